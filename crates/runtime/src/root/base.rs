//! The root file system itself: an overlay or a directory, entered by pivot_root(2).

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use model::{ContainerSpec, RootFilesystem};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use sys::file_owner::make_files_as;
use sys::mount::{AttributeChange, MountAttributes, Submounts};
use sys::overlay::Syncing;

use super::mapped_layers::map_owners;
use super::place::Root;
use crate::StartError;
use crate::error::Doing;

/// Stops mounts made here from reaching the host. Binds were copied before and keep their own ways.
pub(crate) fn make_private() -> Result<(), StartError> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", private).doing("making the mounts private")
}

/// Mounts the root, detached, and enters the place where it will be attached. The layers of an overlay have been mapped for a
/// user namespace, and overlay must work in them as its root.
pub(crate) fn mount(spec: &ContainerSpec, users: Option<BorrowedFd<'_>>) -> Result<OwnedFd, StartError> {
    let mount = match &spec.root {
        RootFilesystem::Overlay { lower, upper, work, volatile } => {
            let syncing = if *volatile { Syncing::Nothing } else { Syncing::Disk };
            let mount = || sys::overlay::mount(lower, upper, work, syncing);
            let owner = spec.user_namespace.as_ref().and_then(|mapping| mapping.on_host((0, 0)));
            let mounted = match owner {
                Some(owner) => make_files_as(owner, mount).and_then(|mounted| mounted),
                None => mount(),
            };
            mounted.doing("mounting the overlay")
        }
        RootFilesystem::Directory(path) => directory(path, users),
    }?;
    rustix::process::chdir(place(&spec.root)).doing("entering the place of the root")?;
    Ok(mount)
}

/// Makes a mount the process's root and detaches the host's. The root of a user namespace could not resolve a path
/// to the place, but it is there.
pub(crate) fn enter(mount: OwnedFd) -> Result<Root, StartError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(&mount, c"", CWD, c"", flags).doing("attaching the root")?;
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

fn directory(path: &Path, users: Option<BorrowedFd<'_>>) -> Result<OwnedFd, StartError> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let mount =
        rustix::mount::open_tree(CWD, path, flags).doing_with(|| format!("mounting {}", path.display()))?;
    if let Some(users) = users {
        map_owners(&mount, users, Submounts::Included, &path.display())?;
    }
    Ok(mount)
}
