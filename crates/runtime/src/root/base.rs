//! The root file system itself: an overlay or a directory, entered by pivot_root(2).

use std::os::fd::OwnedFd;
use std::path::Path;

use model::RootFilesystem;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use sys::mount::{AttributeChange, MountAttributes};

use super::place::Root;
use crate::StartError;
use crate::error::Doing;

/// Stops mounts made here from reaching the host. Binds were copied before and keep their own ways.
pub(crate) fn make_private() -> Result<(), StartError> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", private).doing("making the mounts private")
}

/// Mounts the root, attached nowhere.
pub(crate) fn mount(root: &RootFilesystem) -> Result<OwnedFd, StartError> {
    match root {
        RootFilesystem::Overlay { lower, upper, work } => {
            sys::overlay::mount(lower, upper, work).doing("mounting the overlay")
        }
        RootFilesystem::Directory(path) => directory(path),
    }
}

/// Makes a mount the process's root and lets go of the host's.
pub(crate) fn enter(root: &RootFilesystem, mount: OwnedFd) -> Result<Root, StartError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&mount, c"", CWD, place(root), flags).doing("attaching the root")?;
    rustix::process::fchdir(&mount).doing("entering the root")?;
    drop(mount);
    rustix::process::pivot_root(c".", c".").doing("changing the root")?;
    // The old root lies on top of the new one now.
    rustix::mount::unmount(c".", UnmountFlags::DETACH).doing("leaving the host's root")?;
    rustix::process::chdir(c"/").doing("entering the root")?;
    let directory = rustix::fs::open(c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .doing("opening the root")?;
    Ok(Root::new(directory))
}

/// Makes the root read-only, the last of all changes.
pub(crate) fn make_read_only(root: &Root) -> Result<(), StartError> {
    let change = AttributeChange { set: MountAttributes::READ_ONLY, ..AttributeChange::default() };
    sys::mount::set_attributes(root, c"", change).doing("making the root read-only")
}

/// A directory of the host over which something may lie for a moment. Any would do: the tree is this process's own and
/// soon gone.
pub(crate) fn place(root: &RootFilesystem) -> &Path {
    let (RootFilesystem::Overlay { upper: place, .. } | RootFilesystem::Directory(place)) = root;
    place
}

fn directory(path: &Path) -> Result<OwnedFd, StartError> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, path, flags).doing_with(|| format!("mounting {}", path.display()))
}
