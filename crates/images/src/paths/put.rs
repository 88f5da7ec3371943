//! Puts a tar's files into a directory of a container.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use model::IdMapping;
use rustix::fs::{self, StatVfsMountFlags};
use sys::file_owner::make_files_as;

use super::PathError;
use super::resolve::Asked;
use crate::unpack::{Options, Overwrite, Ownership, Unpacked, Whiteouts, Writing, device_of, unpack_with};

/// How an archive's files are put in their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement<'p> {
    /// Whether directories and others may replace each other.
    pub overwrite: Overwrite,
    /// The owner of the files.
    pub ownership: Ownership,
    /// The user namespace in which the owners are meant; `None` for the host's.
    pub user_namespace: Option<&'p IdMapping>,
}

impl Placement<'_> {
    /// Files that belong to root, whatever the archive has.
    #[must_use]
    pub const fn of_root(overwrite: Overwrite) -> Self {
        Self { overwrite, ownership: Ownership::ROOT, user_namespace: None }
    }
}

/// Unpacks an archive, compressed in any known way, into the directory at `path`. Names in the archive cannot leave the root, links on their
/// way are followed inside it.
///
/// # Errors
/// [`PathError`]: `NotFound`, `BadParameter` when the path is no directory, `Forbidden` when it is
/// read-only; the archive's own errors. What was unpacked before stays.
pub fn put(
    root: BorrowedFd<'_>,
    path: &str,
    archive: impl Read + Send,
    placement: Placement<'_>,
) -> Result<Unpacked, PathError> {
    let asked = Asked::parse(path);
    let directory = asked.open_directory(root).map_err(|error| match error {
        PathError::NotADirectory(_) => PathError::NotADirectoryToFill,
        other => other,
    })?;
    let mount = fs::fstatvfs(&directory).map_err(PathError::of("look at", path))?;
    if mount.f_flag.contains(StatVfsMountFlags::RDONLY) {
        let is_root = device_of(directory.as_fd())? == device_of(root)?;
        return Err(if is_root { PathError::ReadOnlyRoot } else { PathError::ReadOnlyMount });
    }
    let options = Options {
        whiteouts: Whiteouts::Literal,
        overwrite: placement.overwrite,
        ownership: placement.ownership,
        user_namespace: placement.user_namespace,
        writing: Writing::Late,
        // The container's own layer is where the engine's files are; its mounts may be filled.
        engine_device: device_of(root)?,
    };
    let unpack = || unpack_with(directory.as_fd(), archive, options);
    Ok(match placement.user_namespace.and_then(|mapping| mapping.on_host((0, 0))) {
        // Only ids that the namespace maps can make files there.
        Some(owner) => make_files_as(owner, unpack).map_err(|source| PathError::System {
            act: "become the owner of files at",
            path: path.to_owned(),
            source,
        })??,
        None => unpack()?,
    })
}
