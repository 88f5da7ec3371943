//! Which stages a target needs, what each needs of the others, and how clients see their steps.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path};

use model::ImageReference;

use super::contexts::ContextPaths;
use super::stage::Stage;
use crate::dockerfile::{self, Command, Dockerfile, Instruction, RunCommand, RunMount, RunMountKind};
use crate::event::Vertex;
use crate::pattern::literal_prefix;

/// A stage of a Dockerfile.
#[derive(Debug)]
pub(super) struct PlannedStage {
    pub(super) name: Option<String>,
    /// Its instructions, FROM first.
    pub(super) instructions: Range<usize>,
    /// The stages that it certainly needs.
    pub(super) inputs: BTreeSet<usize>,
    base: Base,
}

/// The base of a stage.
#[derive(Debug)]
enum Base {
    Nothing,
    Stage(usize),
    /// An image or a context, as clients see it.
    Image(String),
}

/// The stages of a Dockerfile, the last of which is the target.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) stages: Vec<PlannedStage>,
    /// The stages that the target needs, itself among them.
    pub(super) needed: BTreeSet<usize>,
    /// The steps that clients see; those of stages that the target may come to need are the last.
    vertices: Vec<Vertex>,
    /// The label before each one's instruction: `[build 2/5]`.
    labels: Vec<String>,
    /// How many of them the target certainly needs.
    announced: usize,
    /// The step that an instruction is, by the instruction's number.
    pub(super) vertex_of: Vec<Option<usize>>,
}

impl Plan {
    /// Plans the stages of a Dockerfile; `expand` puts variables into the images of FROM, and `is_context`
    /// selects the names that belong to contexts instead of stages.
    pub(super) fn of(
        dockerfile: &Dockerfile,
        expand: &dyn Fn(&str) -> Option<String>,
        is_context: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut stages: Vec<PlannedStage> = Vec::new();
        for (number, instruction) in dockerfile.instructions.iter().enumerate() {
            let names = instruction.command.stage_names(dockerfile.escape);
            let names: Vec<_> = names.into_iter().map(|name| expand(&name).unwrap_or_default()).collect();
            let inputs: Vec<_> = names
                .iter()
                .filter(|name| !is_context(name))
                .filter_map(|name| {
                    let is_from = matches!(instruction.command, Command::From { .. });
                    let own = if is_from { stages.len() } else { stages.len().saturating_sub(1) };
                    stage_number(&stages[..own], name, is_from)
                })
                .collect();
            if let Command::From { stage, .. } = &instruction.command {
                let base = match (names.first().map_or("", String::as_str), inputs.first()) {
                    (_, Some(stage)) => Base::Stage(*stage),
                    ("scratch", None) => Base::Nothing,
                    (name, None) if is_context(name) => Base::Image(name.to_owned()),
                    (name, None) => Base::Image(qualified(name)),
                };
                let (instructions, inputs) = (number..number, BTreeSet::new());
                stages.push(PlannedStage { name: stage.clone(), instructions, inputs, base });
            }
            if let Some(stage) = stages.last_mut() {
                stage.instructions.end = number + 1;
                stage.inputs.extend(inputs);
            }
        }
        let mut plan = Self {
            stages,
            needed: BTreeSet::new(),
            vertices: Vec::new(),
            labels: Vec::new(),
            announced: 0,
            vertex_of: vec![None; dockerfile.instructions.len()],
        };
        plan.needed = plan.needed_by_last();
        let mut last_of = vec![None; plan.stages.len()];
        let (needed, others): (Vec<_>, Vec<_>) =
            (0..plan.stages.len()).partition(|number| plan.needed.contains(number));
        needed.into_iter().for_each(|number| plan.add_vertices(dockerfile, number, &mut last_of));
        plan.announced = plan.vertices.len();
        others.into_iter().for_each(|number| plan.add_vertices(dockerfile, number, &mut last_of));
        plan
    }

    fn needed_by_last(&self) -> BTreeSet<usize> {
        let mut needed: BTreeSet<usize> = self.stages.len().checked_sub(1).into_iter().collect();
        // Stages need earlier ones alone.
        for number in (0..self.stages.len()).rev().filter(|_| !self.stages.is_empty()) {
            if needed.contains(&number) {
                needed.extend(&self.stages[number].inputs);
            }
        }
        needed
    }

    fn add_vertices(&mut self, dockerfile: &Dockerfile, stage_number: usize, last_of: &mut [Option<usize>]) {
        let stage = &self.stages[stage_number];
        let shown = |number: &usize| match &dockerfile.instructions[*number].command {
            Command::From { .. } => matches!(stage.base, Base::Image(_)),
            command => command.changes_files(),
        };
        let steps: Vec<usize> = stage.instructions.clone().filter(shown).collect();
        if let Base::Stage(base) = stage.base {
            last_of[stage_number] = last_of[base];
        }
        let width = steps.len().to_string().len();
        let label = match &stage.name {
            Some(name) => format!("{} ", name.to_ascii_lowercase()),
            None if self.stages.len() > 1 => format!("stage-{stage_number} "),
            None => String::new(),
        };
        for (place, number) in steps.iter().enumerate() {
            let instruction = &dockerfile.instructions[*number];
            let names = instruction.command.stage_names(dockerfile.escape);
            let is_from = matches!(instruction.command, Command::From { .. });
            let named = names
                .iter()
                .filter_map(|name| self::stage_number(&self.stages[..stage_number], name, is_from));
            let named = named.filter_map(|stage| last_of[stage]);
            let inputs = last_of[stage_number].into_iter().chain(named).collect();
            let vertex = self.vertices.len();
            let label = format!("[{label}{:>width$}/{}]", place + 1, steps.len());
            let name = match (&instruction.command, &stage.base) {
                (Command::From { .. }, Base::Image(image)) => format!("{label} FROM {image}"),
                (Command::ChangeTree(_), _) => format!("{label} {}", instruction.shown),
                _ => format!("{label} {}", instruction.written),
            };
            self.labels.push(label);
            self.vertices.push(Vertex { number: vertex, name, inputs });
            self.vertex_of[*number] = Some(vertex);
            last_of[stage_number] = Some(vertex);
        }
    }

    /// The name of a beginning step for clients, with its stage's variables.
    pub(super) fn name(
        &self,
        vertex: usize,
        instruction: &Instruction,
        escape: char,
        stage: Option<&Stage>,
    ) -> String {
        match stage {
            Some(stage) if !matches!(instruction.command, Command::From { .. }) => {
                format!("{} {}", self.labels[vertex], instruction.description(escape, &stage.variables()))
            }
            _ => self.vertices[vertex].name.clone(),
        }
    }

    /// The steps that clients see from the beginning.
    pub(super) fn announced(&self) -> Vec<Vertex> {
        self.vertices[..self.announced].to_vec()
    }

    /// The steps of a stage that turned out to be needed.
    pub(super) fn steps_of(&self, stage: usize) -> Vec<Vertex> {
        let numbers = self.vertex_of[self.stages[stage].instructions.clone()].iter().flatten();
        numbers.map(|number| self.vertices[*number].clone()).collect()
    }

    /// The number of the last stage of a name before stage `before`.
    pub(super) fn named(&self, name: &str, before: usize) -> Option<usize> {
        stage_number(&self.stages[..before.min(self.stages.len())], name, true)
    }

    /// The paths of the main context that the needed stages read.
    pub(super) fn context_paths(&self, dockerfile: &Dockerfile) -> ContextPaths {
        let stages = self.needed.iter().map(|number| self.stages[*number].instructions.clone());
        let commands = stages.flatten().map(|number| &dockerfile.instructions[number].command);
        context_paths(commands, dockerfile.escape)
    }

    /// The paths of it that one stage reads.
    pub(super) fn context_paths_of(&self, stage: usize, dockerfile: &Dockerfile) -> ContextPaths {
        let instructions = &dockerfile.instructions[self.stages[stage].instructions.clone()];
        context_paths(instructions.iter().map(|instruction| &instruction.command), dockerfile.escape)
    }
}

/// The paths of the main context that commands read.
pub(super) fn context_paths<'a>(
    commands: impl IntoIterator<Item = &'a Command>,
    escape: char,
) -> ContextPaths {
    let mut paths = BTreeSet::new();
    for source in commands.into_iter().flat_map(|command| command.context_sources(escape)) {
        match source.as_deref().and_then(context_path) {
            Some(path) => drop(paths.insert(path)),
            None => return ContextPaths::All,
        }
    }
    ContextPaths::Some(paths)
}

/// The part of a source's path that names one place; `None` where that is the whole context.
fn context_path(source: &str) -> Option<String> {
    let mut path = Vec::new();
    for component in Path::new(literal_prefix(source)).components() {
        match component {
            Component::Normal(name) => path.push(name.to_str()?),
            Component::ParentDir => return None,
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    (!path.is_empty()).then(|| path.join("/"))
}

/// The substituted word; `None` where a variable decides that.
fn known_word(word: &str, escape: char) -> Option<String> {
    if word.contains('$') {
        return None;
    }
    dockerfile::expand(word, escape, &|_: &str| None::<&'static str>).ok()
}

/// The full name of an image; an invalid one stays as it is, and fails when it is looked up.
fn qualified(name: &str) -> String {
    let tagged = |reference: ImageReference| reference.with_default_tag().to_string();
    model::qualified(&ImageReference::parse(name).map_or_else(|_| name.to_owned(), tagged))
}

fn stage_number(stages: &[PlannedStage], name: &str, names_only: bool) -> Option<usize> {
    let is_named =
        |stage: &PlannedStage| stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name));
    let by_number = || name.parse().ok().filter(|number| !names_only && *number < stages.len());
    stages.iter().rposition(is_named).or_else(by_number)
}

impl Command {
    /// Whether the instruction changes files, so that clients see it as a step.
    const fn changes_files(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Transfer(_) | Self::Workdir(_) | Self::ChangeTree(_))
    }

    /// The names that may be those of stages.
    fn stage_names(&self, escape: char) -> Vec<String> {
        match self {
            Self::From { image, .. } => vec![image.clone()],
            Self::Transfer(transfer) => {
                let from = transfer.from.iter();
                from.map(|from| known_word(from, escape).unwrap_or_else(|| from.clone())).collect()
            }
            Self::ChangeTree(change) => change.stages(),
            // Mounts with variables are read later.
            Self::Run(run) => {
                run.parsed_mounts(escape).filter_map(|mount| mount.from().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The paths that the instruction reads of the main context; `None` for those with variables.
    fn context_sources(&self, escape: char) -> Vec<Option<String>> {
        match self {
            Self::Transfer(transfer) if transfer.from.is_none() => {
                let sources = transfer.sources.iter().filter(|source| !source.contains("://"));
                sources.map(|source| known_word(source, escape)).collect()
            }
            Self::Run(run) => {
                let unknown = run.mounts.iter().filter(|mount| mount.contains('$')).map(|_| None);
                let sources = run.parsed_mounts(escape).filter_map(|mount| match mount.kind {
                    RunMountKind::Bind { from: None, source } => Some(Some(source)),
                    _ => None,
                });
                sources.chain(unknown).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl RunCommand {
    /// The mounts that have no variables.
    pub(super) fn parsed_mounts(&self, escape: char) -> impl Iterator<Item = RunMount> {
        let known = self.mounts.iter().filter_map(move |mount| known_word(mount, escape));
        known.filter_map(|mount| RunMount::parse(&mount).ok())
    }
}
