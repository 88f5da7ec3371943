//! Which stages a target needs, what each needs of the others, and how clients see their steps.

use std::collections::BTreeSet;
use std::ops::Range;

use model::ImageReference;

use super::contexts::ContextPaths;
use super::reads::{context_paths, secret_variables};
use super::stage::Stage;
use crate::dockerfile::{self, Command, Dockerfile, Instruction, MaskedVariables, may_be_stage};
use crate::event::Vertex;
use crate::order::Order;

/// A stage of a Dockerfile.
#[derive(Debug)]
pub(super) struct PlannedStage {
    pub(super) name: Option<String>,
    /// Its instructions, FROM first.
    pub(super) instructions: Range<usize>,
    /// The stages that it certainly needs.
    pub(super) inputs: BTreeSet<usize>,
    base: Base,
    /// How many triggers of its image clients see as steps, as far as they are known.
    triggers: usize,
}

/// What is known beside the Dockerfile.
pub(super) struct Known<'a> {
    /// Selects the names that belong to contexts instead of stages.
    pub(super) is_context: &'a dyn Fn(&str) -> bool,
    /// How many triggers of an image clients see as steps.
    pub(super) triggers: &'a dyn Fn(&str) -> usize,
}

/// The place of a step among those of its stage.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// From zero, without triggers.
    number: usize,
    /// How many steps the stage has, without triggers.
    total: usize,
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
    /// The place of each.
    places: Vec<Place>,
    /// How many of them the target certainly needs.
    announced: usize,
    /// The step that an instruction is, by the instruction's number.
    pub(super) vertex_of: Vec<Option<usize>>,
    escape: char,
}

impl Plan {
    /// Plans the stages of a Dockerfile; `expand` puts variables into the images of FROM.
    pub(super) fn of(
        dockerfile: &Dockerfile,
        expand: &dyn Fn(&str) -> Option<String>,
        known: &Known<'_>,
    ) -> Self {
        let is_context = known.is_context;
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
                    if is_from {
                        base_number(&stages, name)
                    } else {
                        stage_number(&stages[..own], name, false)
                    }
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
                let triggers = match (&base, names.first()) {
                    (Base::Stage(stage), _) => count_shown(triggers_in(
                        &dockerfile.instructions[stages[*stage].instructions.clone()],
                    )),
                    (Base::Image(_), Some(name)) => (known.triggers)(name),
                    (Base::Image(_) | Base::Nothing, _) => 0,
                };
                stages.push(PlannedStage { name: stage.clone(), instructions, inputs, base, triggers });
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
            places: Vec::new(),
            announced: 0,
            vertex_of: vec![None; dockerfile.instructions.len()],
            escape: dockerfile.escape,
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
        let mut places = Vec::new();
        for (place, number) in steps.iter().enumerate() {
            let instruction = &dockerfile.instructions[*number];
            let names = instruction.command.stage_names(dockerfile.escape);
            let before = &self.stages[..stage_number];
            let named = names.iter().filter_map(|name| match &instruction.command {
                Command::From { .. } => base_number(before, name),
                _ => self::stage_number(before, name, false),
            });
            let named = named.filter_map(|stage| last_of[stage]);
            let inputs = last_of[stage_number].into_iter().chain(named).collect();
            let vertex = self.vertices.len();
            let place = Place { number: place, total: steps.len() };
            let is_from = matches!(instruction.command, Command::From { .. });
            let label = self.label(stage_number, place, stage.triggers, is_from);
            let name = match (&instruction.command, &stage.base) {
                (Command::From { .. }, Base::Image(image)) => format!("{label} FROM {image}"),
                (Command::ChangeTree(_), _) => format!("{label} {}", instruction.shown),
                _ => format!("{label} {}", instruction.written),
            };
            places.push(place);
            self.vertices.push(Vertex { number: vertex, name, inputs });
            self.vertex_of[*number] = Some(vertex);
            last_of[stage_number] = Some(vertex);
        }
        self.places.extend(places);
    }

    /// The label before a step's instruction: `[build 2/5]`. Triggers come behind FROM.
    fn label(&self, stage: usize, Place { number, total }: Place, triggers: usize, is_from: bool) -> String {
        let number = if is_from { number + 1 } else { number + 1 + triggers };
        self.label_at(stage, number, total + triggers)
    }

    fn label_at(&self, stage: usize, number: usize, total: usize) -> String {
        let width = total.to_string().len();
        let name = match &self.stages[stage].name {
            Some(name) => format!("{} ", name.to_ascii_lowercase()),
            None if self.stages.len() > 1 => format!("stage-{stage} "),
            None => String::new(),
        };
        format!("[{name}{number:>width$}/{total}]")
    }

    /// How clients see a trigger: `place` is its place among those of a stage that they see, from zero.
    pub(super) fn trigger_name(
        &self,
        (stage, place, triggers): (usize, usize, usize),
        trigger: &Instruction,
        made: Option<&Stage>,
    ) -> String {
        let vertices = self.vertex_of[self.stages[stage].instructions.clone()].iter().flatten();
        let before = usize::from(matches!(self.stages[stage].base, Base::Image(_)));
        let label = self.label_at(stage, before + place + 1, vertices.count() + triggers);
        let text = made.map(|made| described(trigger, self.escape, made));
        format!("{label} ONBUILD {}", text.as_deref().unwrap_or(&trigger.written))
    }

    /// How many triggers of a stage's image are known to be steps.
    pub(super) fn triggers(&self, stage: usize) -> usize {
        self.stages[stage].triggers
    }

    /// How many steps are planned.
    pub(super) fn vertex_count(&self) -> usize {
        self.vertices.len()
    }

    /// The name of a beginning step for clients, with its stage's variables.
    pub(super) fn name(
        &self,
        (number, vertex, triggers): (usize, usize, usize),
        instruction: &Instruction,
        stage: Option<&Stage>,
    ) -> String {
        match stage {
            Some(stage) if !matches!(instruction.command, Command::From { .. }) => {
                let label = self.label(number, self.places[vertex], triggers, false);
                format!("{label} {}", described(instruction, self.escape, stage))
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

/// How many of the triggers clients see as steps.
pub(super) fn count_shown<'a>(triggers: impl Iterator<Item = &'a str>) -> usize {
    let parsed = triggers.filter_map(|trigger| dockerfile::parse_trigger(trigger).ok());
    parsed.filter(|trigger| trigger.command.changes_files()).count()
}

/// The triggers that instructions add to their image.
fn triggers_in(instructions: &[Instruction]) -> impl Iterator<Item = &str> {
    instructions.iter().filter_map(|instruction| match &instruction.command {
        Command::OnBuild(trigger) => Some(trigger.as_str()),
        _ => None,
    })
}

/// What clients see of an instruction, with the variables of its stage but those that are secrets.
fn described(instruction: &Instruction, escape: char, stage: &Stage) -> String {
    let variables = stage.variables();
    let names = secret_variables(instruction, escape);
    instruction.description(escape, &MaskedVariables { variables: &variables, names })
}

/// The full name of an image; an invalid one stays as it is, and fails when it is looked up.
fn qualified(name: &str) -> String {
    let tagged = |reference: ImageReference| reference.with_default_tag().to_string();
    model::qualified(&ImageReference::parse(name).map_or_else(|_| name.to_owned(), tagged))
}

/// The number of the stage that FROM names.
fn base_number(stages: &[PlannedStage], name: &str) -> Option<usize> {
    stage_number(stages, name, true).filter(|_| may_be_stage(name, Order::Graph))
}

fn stage_number(stages: &[PlannedStage], name: &str, names_only: bool) -> Option<usize> {
    let is_named =
        |stage: &PlannedStage| stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name));
    let by_number = || name.parse().ok().filter(|number| !names_only && *number < stages.len());
    stages.iter().rposition(is_named).or_else(by_number)
}
