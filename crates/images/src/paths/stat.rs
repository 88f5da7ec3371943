//! The status of a path in a container.

use std::os::fd::BorrowedFd;

use model::Timestamp;
use rustix::fs::{self, FileType, Stat};

use super::PathError;
use super::resolve::{Asked, follow, is_link};

/// The kind of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    BlockDevice,
    CharacterDevice,
    Pipe,
    Socket,
}

/// A path's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// The last name of the requested path.
    pub name: String,
    /// Bytes of a file, of a symlink's target, or the file system's value for others.
    pub size: u64,
    /// Its kind.
    pub kind: FileKind,
    /// Its mode without the kind: permissions, set-user-ID, set-group-ID and sticky bit.
    pub permissions: u32,
    /// When its content changed last.
    pub modified: Timestamp,
    /// Where a symlink finally leads, from the container's root.
    pub link_target: Option<String>,
}

/// Returns the status of a path: a symlink as its last name is not followed unless a `/` comes after it.
///
/// # Errors
/// [`PathError`]; `Invalid` when it ends as that of a directory does and is not one.
pub fn stat(root: BorrowedFd<'_>, path: &str) -> Result<PathStat, PathError> {
    let asked = Asked::parse(path);
    let (found, link_target) = if asked.directory {
        let directory = asked.open_directory(root)?;
        (fs::fstat(&directory).map_err(PathError::of("look at", path))?, None)
    } else {
        let (_, found) = asked.look(root)?;
        let target = is_link(&found).then(|| follow(root, &asked)).transpose()?;
        (found, target)
    };
    let nanoseconds = u32::try_from(found.st_mtime_nsec).unwrap_or_default();
    Ok(PathStat {
        name: shown_name(&asked),
        size: u64::try_from(found.st_size).unwrap_or_default(),
        kind: kind_of(&found),
        permissions: found.st_mode & 0o7777,
        modified: Timestamp::from_unix(found.st_mtime, nanoseconds).unwrap_or(Timestamp::NEVER),
        link_target,
    })
}

fn shown_name(asked: &Asked) -> String {
    if asked.content {
        ".".to_owned()
    } else if asked.name.is_empty() {
        "/".to_owned()
    } else {
        asked.name.clone()
    }
}

fn kind_of(stat: &Stat) -> FileKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::CharacterDevice => FileKind::CharacterDevice,
        FileType::Fifo => FileKind::Pipe,
        FileType::Socket => FileKind::Socket,
        FileType::RegularFile | FileType::Unknown => FileKind::File,
    }
}
