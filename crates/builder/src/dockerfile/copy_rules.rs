//! The rules of a copy that Dockerfiles have no flags for, and graphs of clients choose.

use super::flags::Flags;

/// How a copy finds its sources and puts them; without flags as COPY does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyRules {
    /// What is copied of a directory.
    pub(crate) directories: Directories,
    /// What is copied of a symbolic link.
    pub(crate) links: Links,
    /// Whether a pattern may match nothing.
    pub(crate) may_match_nothing: bool,
    /// Whether the directories above the destination are made.
    pub(crate) makes_parents: bool,
}

/// What is copied of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directories {
    /// What is in it.
    Contents,
    /// Itself: into the destination where that is a directory, or else as the destination.
    Whole,
}

/// What is copied of a symbolic link that is a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// What it leads to.
    Followed,
    /// Itself.
    Kept,
}

impl CopyRules {
    /// Those that flags of graphs set.
    pub(super) fn of(flags: &Flags) -> Self {
        let is_set = |name: &str| flags.switch(name).unwrap_or(false);
        Self {
            directories: if is_set("whole") { Directories::Whole } else { Directories::Contents },
            links: if is_set("keep-links") { Links::Kept } else { Links::Followed },
            may_match_nothing: !is_set("not-empty"),
            makes_parents: !is_set("no-parents"),
        }
    }

    /// The rules that are not COPY's, for keys of caches.
    pub(crate) fn words(self) -> impl Iterator<Item = &'static str> {
        [
            (self.directories == Directories::Whole).then_some("directories"),
            (self.links == Links::Kept).then_some("links"),
            (!self.may_match_nothing).then_some("not empty"),
            (!self.makes_parents).then_some("no parents"),
        ]
        .into_iter()
        .flatten()
    }
}
