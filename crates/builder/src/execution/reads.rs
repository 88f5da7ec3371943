//! What instructions read of stages, contexts and the client's secrets, by their text.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::contexts::ContextPaths;
use crate::dockerfile::{self, Command, Instruction, RunCommand, RunMount, RunMountKind};
use crate::pattern::literal_prefix;

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

/// The variables through which a command receives secrets.
pub(super) fn secret_variables(instruction: &Instruction, escape: char) -> Vec<String> {
    let Command::Run(run) = &instruction.command else { return Vec::new() };
    let variable = |mount: RunMount| match mount.kind {
        RunMountKind::Secret { variable, .. } => variable,
        _ => None,
    };
    run.parsed_mounts(escape).filter_map(variable).collect()
}

impl Command {
    /// Whether the instruction changes files, so that clients see it as a step.
    pub(super) const fn changes_files(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Transfer(_) | Self::Workdir(_) | Self::ChangeTree(_))
    }

    /// The names that may be those of stages.
    pub(super) fn stage_names(&self, escape: char) -> Vec<String> {
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
