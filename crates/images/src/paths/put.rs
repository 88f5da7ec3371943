//! Puts a tar's files into a directory of a container.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{self, StatVfsMountFlags};

use super::PathError;
use super::resolve::Asked;
use crate::unpack::{Options, Overwrite, Ownership, Unpacked, Whiteouts, Writing, device_of, unpack_with};

/// How an archive's files are put in their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Whether directories and others may replace each other.
    pub overwrite: Overwrite,
    /// Who owns them.
    pub ownership: Ownership,
}

impl Placement {
    /// Files that belong to root, whatever the archive says.
    #[must_use]
    pub const fn of_root(overwrite: Overwrite) -> Self {
        Self { overwrite, ownership: Ownership::ROOT }
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
    placement: Placement,
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
        writing: Writing::Late,
        // The container's own layer is where the engine's files are; its mounts may be filled.
        engine_device: device_of(root)?,
    };
    Ok(unpack_with(directory.as_fd(), archive, options)?)
}
