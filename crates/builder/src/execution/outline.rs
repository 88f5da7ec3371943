//! The outline of a Dockerfile, without building it: its targets, and the parameters of one of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use images::registry::Platform;

use super::arguments::BuildArguments;
use super::plan::{Known, Plan};
use crate::dockerfile::{Command, Dockerfile, Instruction, RunMount, RunMountKind, expand};
use crate::error::BuildError;
use crate::order::Order;
use crate::wording::Wording;

/// A stage as a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The comment above it.
    pub description: String,
    /// The base in FROM, as it is written.
    pub base: String,
    /// The platform that FROM names, as it is written.
    pub platform: Option<String>,
    /// Whether a build without a target builds it.
    pub is_default: bool,
    /// The lines of FROM, from one.
    pub lines: Option<(usize, usize)>,
}

/// The parameters of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The target's name, if it has one.
    pub name: Option<String>,
    /// The comment above it.
    pub description: String,
    /// The arguments that it and what it needs declare.
    pub arguments: Vec<OutlineItem>,
    /// Secrets.
    pub secrets: Vec<OutlineItem>,
    /// Ssh agents.
    pub agents: Vec<OutlineItem>,
    /// Directories of caches.
    pub caches: Vec<OutlineItem>,
}

/// Something that a target can be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineItem {
    /// Its name or id.
    pub name: String,
    /// The comment above it.
    pub description: String,
    /// An argument's value.
    pub value: Option<String>,
    /// Whether the build fails without it.
    pub required: bool,
    /// The lines that name it first, from one.
    pub lines: Option<(usize, usize)>,
}

/// Lists the targets of a Dockerfile.
///
/// # Errors
/// [`BuildError`] when it is no Dockerfile.
pub fn targets(text: &[u8]) -> Result<Vec<Target>, BuildError> {
    let dockerfile = Dockerfile::parse(text, Wording::Today, Order::Graph)?;
    let comments = Comments::of(text);
    let mut found: Vec<Target> = Vec::new();
    for instruction in &dockerfile.instructions {
        if let Command::From { image, platform, stage } = &instruction.command {
            found.push(Target {
                name: stage.clone(),
                description: comments.above(instruction, stage.as_deref()),
                base: image.clone(),
                platform: platform.clone(),
                is_default: false,
                lines: instruction.lines,
            });
        }
    }
    if let Some(last) = found.last_mut() {
        last.is_default = true;
    }
    Ok(found)
}

/// Outlines a target of a Dockerfile; `given` are the request's arguments.
///
/// # Errors
/// [`BuildError`] when it is not a Dockerfile, or lacks the target.
pub fn outline(
    text: &[u8],
    target: Option<&str>,
    given: BTreeMap<String, Option<String>>,
    platform: Option<&Platform>,
) -> Result<Outline, BuildError> {
    let mut dockerfile = Dockerfile::parse(text, Wording::Today, Order::Graph)?;
    dockerfile.stop_after(target, false)?;
    let comments = Comments::of(text);
    let mut arguments = BuildArguments::new(given, platform, Some(dockerfile.target_stage(target)));
    let mut outline = Outline::default();
    let is_global = |instruction: &&Instruction| !matches!(instruction.command, Command::From { .. });
    for instruction in dockerfile.instructions.iter().take_while(is_global) {
        if let Command::Arg(declared) = &instruction.command {
            arguments.declare_global(declared, dockerfile.escape)?;
            outline.add_arguments(instruction, &mut arguments, dockerfile.escape, &comments);
        }
    }
    let plan = {
        let expand = |word: &str| expand(word, dockerfile.escape, &arguments.global()).ok();
        Plan::of(&dockerfile, &expand, &Known { is_context: &|_| false, triggers: &|_| 0 })
    };
    for number in &plan.needed {
        let stage = &plan.stages[*number];
        for instruction in &dockerfile.instructions[stage.instructions.clone()] {
            match &instruction.command {
                Command::From { stage, .. } => {
                    outline.name.clone_from(stage);
                    outline.description = comments.above(instruction, stage.as_deref());
                }
                Command::Arg(_) => {
                    outline.add_arguments(instruction, &mut arguments, dockerfile.escape, &comments);
                }
                Command::Run(run) => {
                    let mounts = run.parsed_mounts(dockerfile.escape);
                    mounts.for_each(|mount| outline.add_mount(mount, instruction));
                }
                _ => {}
            }
        }
    }
    Ok(outline)
}

impl Outline {
    fn add_arguments(
        &mut self,
        instruction: &Instruction,
        arguments: &mut BuildArguments,
        escape: char,
        comments: &Comments<'_>,
    ) {
        let Command::Arg(declared) = &instruction.command else { return };
        for argument in declared {
            let default = argument.default.as_deref();
            // What an earlier ENV would substitute is known only to a build.
            let default = default
                .map(|word| expand(word, escape, &arguments.global()).unwrap_or_else(|_| word.to_owned()));
            let item = OutlineItem {
                name: argument.name.clone(),
                description: comments.above(instruction, Some(&argument.name)),
                value: arguments.value(&argument.name, default),
                required: false,
                lines: instruction.lines,
            };
            match self.arguments.iter_mut().find(|known| known.name == item.name) {
                Some(known) => {
                    known.value = item.value.or(known.value.take());
                    if known.description.is_empty() {
                        known.description = item.description;
                    }
                }
                None => self.arguments.push(item),
            }
        }
    }

    fn add_mount(&mut self, mount: RunMount, instruction: &Instruction) {
        let (list, name, required) = match mount.kind {
            RunMountKind::Secret { id, required, .. } => (&mut self.secrets, id, required),
            RunMountKind::Ssh { id, required, .. } => (&mut self.agents, id, required),
            RunMountKind::Cache { id, .. } => (&mut self.caches, id, false),
            RunMountKind::Bind { .. } | RunMountKind::Tmpfs { .. } => return,
        };
        match list.iter_mut().find(|known| known.name == name) {
            Some(known) => known.required |= required,
            None => list.push(OutlineItem {
                name,
                description: String::new(),
                value: None,
                required,
                lines: instruction.lines,
            }),
        }
    }
}

/// The comments of a Dockerfile: one above an instruction that begins with a name describes what has it.
struct Comments<'a>(Vec<Cow<'a, str>>);

impl<'a> Comments<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self(text.split(|byte| *byte == b'\n').map(String::from_utf8_lossy).collect())
    }

    fn above(&self, instruction: &Instruction, name: Option<&str>) -> String {
        let Some((first, name)) = instruction.lines.map(|(first, _)| first).zip(name) else {
            return String::new();
        };
        let above = self.0.get(..first.saturating_sub(1)).unwrap_or_default();
        let found = above.iter().rev().map_while(|line| line.trim().strip_prefix('#')).find_map(|comment| {
            let (word, rest) = comment.trim().split_once(' ')?;
            (word == name).then(|| rest.trim().to_owned())
        });
        found.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"# VERSION what to build\nARG VERSION=1\nFROM base:${VERSION} AS tools\nARG TOOL=$VERSION\n\
        RUN --mount=type=secret,id=token,required --mount=type=cache,target=/c make\nFROM base AS unneeded\nARG NOT\n\
        # result the whole\n# of it\nFROM --platform=$BUILDPLATFORM tools AS result\nARG VERSION\nRUN --mount=type=ssh make\n";

    fn names(items: &[OutlineItem]) -> Vec<&str> {
        items.iter().map(|item| item.name.as_str()).collect()
    }

    #[test]
    fn a_target_has_what_it_and_its_inputs_name() {
        let given = BTreeMap::from([("TOOL".to_owned(), Some("given".to_owned()))]);
        let outline = outline(TEXT, None, given, None).expect("an outline");
        assert_eq!((outline.name.as_deref(), outline.description.as_str()), (Some("result"), "the whole"));
        assert_eq!(names(&outline.arguments), ["VERSION", "TOOL"]);
        let values: Vec<_> = outline.arguments.iter().map(|item| item.value.as_deref()).collect();
        assert_eq!(values, [Some("1"), Some("given")]);
        assert_eq!(outline.arguments[0].description, "what to build");
        assert_eq!((names(&outline.secrets), outline.secrets[0].required), (vec!["token"], true));
        assert_eq!((names(&outline.agents), names(&outline.caches)), (vec!["default"], vec!["/c"]));
        let tools = super::outline(TEXT, Some("tools"), BTreeMap::new(), None).expect("an outline");
        assert!(tools.agents.is_empty() && tools.arguments[1].value.as_deref() == Some("1"), "{tools:?}");
        assert!(super::outline(TEXT, Some("nosuch"), BTreeMap::new(), None).is_err());
    }

    #[test]
    fn the_last_stage_is_the_default_target() {
        let targets = targets(TEXT).expect("targets");
        let found: Vec<_> = targets
            .iter()
            .map(|target| (target.name.as_deref(), target.base.as_str(), target.is_default))
            .collect();
        assert_eq!(
            found,
            [
                (Some("tools"), "base:${VERSION}", false),
                (Some("unneeded"), "base", false),
                (Some("result"), "tools", true)
            ]
        );
        assert_eq!(
            (targets[2].platform.as_deref(), targets[2].lines),
            (Some("$BUILDPLATFORM"), Some((10, 10)))
        );
    }
}
