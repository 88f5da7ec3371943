//! The container's file tree, built inside its own mount namespace.
//!
//! Everything of the host is opened before the root is entered, and everything else is made
//! after it, by descriptors that cannot lead out: the old root is gone by then.
//!
//! ```text
//! Sources::open      host paths → detached mounts      (still the host's tree)
//! mapped_layers      layers as a user namespace sees them, which is entered then
//! base::enter        overlay or directory, pivot_root  (the host's tree is gone)
//! kernel, devices, mounts, hiding                      (inside)
//! ```

pub(crate) mod base;
pub(crate) mod cgroup_view;
pub(crate) mod devices;
pub(crate) mod hiding;
pub(crate) mod host_devices;
pub(crate) mod kernel;
pub(crate) mod mapped_layers;
pub(crate) mod mounts;
pub(crate) mod place;
mod propagation;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use model::{ContainerSpec, Mount};
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

/// Attaches a detached mount to the place that a descriptor names.
pub(crate) fn attach(mount: impl AsFd, place: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount.as_fd(), c"", place.as_fd(), c"", flags)
}

/// Makes a detached copy of the mount that a descriptor lies on, from there downward.
pub(crate) fn copy_mount(place: impl AsFd, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(place.as_fd(), c"", flags)
}

/// Whether the specification itself mounts something at a default place.
pub(crate) fn is_overridden(spec: &ContainerSpec, place: &str) -> bool {
    spec.mounts.iter().any(|mount: &Mount| mount.destination == Path::new(place))
}
