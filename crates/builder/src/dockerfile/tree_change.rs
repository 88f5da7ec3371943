//! Changes of files in graphs of clients that Dockerfiles do not have.

use std::fmt;

/// One change of the files of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeChange {
    /// A file or a directory goes.
    Remove {
        /// Which one.
        path: String,
        /// Whether it may be missing.
        may_be_missing: bool,
        /// Whether the path is a pattern, of which all goes that it matches.
        is_pattern: bool,
    },
    /// A symbolic link is made.
    Link {
        /// Where.
        path: String,
        /// Where it leads.
        target: String,
        /// Its owner and time.
        given: GivenMetadata,
    },
    /// A directory is made; one that is there stays as it is.
    Directory {
        /// Where.
        path: String,
        /// Its permission bits, and those of the directories above it that are made.
        mode: u32,
        /// Whether those above it are made too.
        makes_parents: bool,
        /// Its owner and time.
        given: GivenMetadata,
    },
    /// The layers of another stage are put on top.
    Layers {
        /// The stage.
        stage: String,
        /// The stage that it continues, whose layers are left out.
        without: Option<String>,
    },
}

/// A graph's metadata of a new file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenMetadata {
    /// `user` or `user:group`, names or numbers; root by default.
    pub owner: Option<String>,
    /// Nanoseconds since 1970; now by default.
    pub modified: Option<i64>,
}

impl TreeChange {
    /// All of it as texts, for keys of caches.
    pub(crate) fn words(&self) -> Vec<String> {
        let given = |given: &GivenMetadata| format!("{given:?}");
        match self {
            Self::Remove { path, may_be_missing, is_pattern } => {
                vec!["rm".to_owned(), path.clone(), may_be_missing.to_string(), is_pattern.to_string()]
            }
            Self::Link { path, target, given: metadata } => {
                vec!["symlink".to_owned(), path.clone(), target.clone(), given(metadata)]
            }
            Self::Directory { path, mode, makes_parents, given: metadata } => vec![
                "mkdir".to_owned(),
                path.clone(),
                format!("{mode:o}"),
                makes_parents.to_string(),
                given(metadata),
            ],
            Self::Layers { stage, without } => {
                vec!["layers".to_owned(), stage.clone(), without.clone().unwrap_or_default()]
            }
        }
    }

    /// The stages whose files it takes.
    pub(crate) fn stages(&self) -> Vec<String> {
        match self {
            Self::Layers { stage, without } => {
                [Some(stage), without.as_ref()].into_iter().flatten().cloned().collect()
            }
            Self::Remove { .. } | Self::Link { .. } | Self::Directory { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for TreeChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove { path, .. } => write!(formatter, "rm {path}"),
            Self::Link { path, target, .. } => write!(formatter, "symlink {target} -> {path}"),
            Self::Directory { path, .. } => write!(formatter, "mkdir {path}"),
            Self::Layers { stage, without: None } => write!(formatter, "merge {stage}"),
            Self::Layers { stage, without: Some(lower) } => write!(formatter, "diff {lower} -> {stage}"),
        }
    }
}
