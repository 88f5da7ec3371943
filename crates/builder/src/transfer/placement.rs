//! Where selected files are put, and how.

use std::path::Path;

use images::registry::Cancellation;

use crate::dockerfile::{Directories, Permissions, TransferVerb};
use crate::ignore::IgnorePatterns;
use crate::tree::Owner;

/// How several sources, and the destination, relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sources {
    /// They are one copy: hard links among them stay, and what is in their place gives way.
    Joined,
    /// Each is a copy of its own, and no directory gives way to a file or a file to a directory.
    Independent,
}

/// The metadata of a new directory at the destination that comes from the one whose content is copied there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dressing {
    /// Nothing: it is a directory like any other.
    None,
    /// The bits of `--chmod`.
    Mode,
    /// These, and the time of the other's last change, which `--chmod` with changes removes.
    ModeAndTime,
}

/// Where and how files are put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placement<'a> {
    pub(crate) verb: TransferVerb,
    /// The absolute path, without `.` and `..`.
    pub(crate) destination: &'a Path,
    /// Whether the destination is a directory by its form.
    pub(crate) directory: bool,
    /// `--chown`; without it what a context holds belongs to root, and what an archive holds to its owners.
    pub(crate) owner: Option<Owner>,
    /// Whether files without a requested owner keep theirs, as those of images do.
    pub(crate) keeps_owners: bool,
    /// `--chmod`.
    pub(crate) permissions: Option<&'a Permissions>,
    /// `--exclude`.
    pub(crate) excludes: Option<&'a IgnorePatterns>,
    /// What is put there of a directory.
    pub(crate) directories: Directories,
    /// `--unpack`.
    pub(crate) unpacks: Option<bool>,
    pub(crate) sources: Sources,
    pub(crate) dressing: Dressing,
    pub(crate) cancellation: &'a Cancellation,
}

impl<'a> Placement<'a> {
    /// A copy of what is there, as it is.
    pub(crate) const fn plain(
        destination: &'a Path,
        keeps_owners: bool,
        cancellation: &'a Cancellation,
    ) -> Self {
        Self {
            verb: TransferVerb::Copy,
            destination,
            directory: false,
            owner: None,
            keeps_owners,
            permissions: None,
            excludes: None,
            directories: Directories::Contents,
            unpacks: None,
            sources: Sources::Joined,
            dressing: Dressing::None,
            cancellation,
        }
    }
}
