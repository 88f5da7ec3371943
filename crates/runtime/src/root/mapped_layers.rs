//! Shows the layers of a root to a user namespace: each is mounted over itself, in the child's own mounts, with the
//! owners of its files mapped. An overlay of these places has the owners that the namespace expects, and nothing is changed
//! on disk.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::path::Path;

use model::{ContainerSpec, MountSource, RootFilesystem};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};
use sys::mount::Submounts;

use crate::error::Doing;
use crate::{FailureKind, StartError};

/// Maps all layers of a specification. The caller's mounts must be private.
pub(crate) fn map(spec: &ContainerSpec, users: BorrowedFd<'_>) -> Result<(), StartError> {
    let act = |place: &Path| format!("mapping the owners of {}", place.display());
    let copy = |place| {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let layer = rustix::mount::open_tree(CWD, place, flags).doing_with(|| act(place))?;
        map_owners(&layer, users, Submounts::Excluded, &place.display())?;
        Ok((place, layer))
    };
    // All of them before the first lies over another.
    let copies = places(spec).into_iter().map(copy).collect::<Result<Vec<_>, StartError>>()?;
    copies.into_iter().try_for_each(|(place, layer)| {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&layer, c"", CWD, place, flags).doing_with(|| act(place))
    })
}

/// Maps the owners of a detached mount of something that has a name.
pub(crate) fn map_owners(
    mount: impl std::os::fd::AsFd,
    users: BorrowedFd<'_>,
    submounts: Submounts,
    name: &dyn std::fmt::Display,
) -> Result<(), StartError> {
    sys::mount::map_owners(mount, users, submounts).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::INVAL) => {
            let message = format!(
                "the file system of {name} has no idmapped mounts, which a container with a user namespace needs"
            );
            StartError::words(FailureKind::System, message)
        }
        _ => StartError::system(format!("mapping the owners of {name}"), error),
    })
}

/// The container's own layer and overlay's work directory must be on one mount, which is that of their parent.
fn places(spec: &ContainerSpec) -> BTreeSet<&Path> {
    let mut places = BTreeSet::new();
    if let RootFilesystem::Overlay { lower, upper, .. } = &spec.root {
        places.extend(lower.iter().map(AsRef::<Path>::as_ref));
        places.extend(upper.parent());
    }
    for mount in &spec.mounts {
        if let MountSource::Image(layers) = &mount.source {
            places.extend(layers.iter().map(AsRef::<Path>::as_ref));
        }
    }
    places
}
