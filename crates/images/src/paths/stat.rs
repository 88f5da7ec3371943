//! What `X-Docker-Container-Path-Stat` says of a path.

use std::os::fd::BorrowedFd;

use model::Timestamp;
use rustix::fs::{self, FileType, Stat};
use serde::Serialize;

use super::PathError;
use super::resolve::{Asked, follow, is_link};

/// A path's attributes, in the documented form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathStat {
    /// The last name of the path as it was asked for.
    pub name: String,
    /// Bytes of a file, of a link's target, or what the file system says of others.
    pub size: u64,
    /// Permission and kind in the bits of Go's `os.FileMode`.
    pub mode: u32,
    /// When its content changed last.
    pub mtime: Timestamp,
    /// Where a link finally leads, from the container's root; else empty.
    pub link_target: String,
}

/// Looks at a path: a link as its last name is not followed unless a `/` comes after it.
///
/// # Errors
/// [`PathError`]; `BadParameter` when it says to be a directory and is none.
pub fn stat(root: BorrowedFd<'_>, path: &str) -> Result<PathStat, PathError> {
    let asked = Asked::parse(path);
    let (found, link_target) = if asked.directory {
        let directory = asked.open_directory(root)?;
        (fs::fstat(&directory).map_err(PathError::of("look at", path))?, String::new())
    } else {
        let (_, found) = asked.look(root)?;
        let target = if is_link(&found) { follow(root, &asked)? } else { String::new() };
        (found, target)
    };
    let nanoseconds = u32::try_from(found.st_mtime_nsec).unwrap_or_default();
    Ok(PathStat {
        name: shown_name(&asked),
        size: u64::try_from(found.st_size).unwrap_or_default(),
        mode: go_mode(&found),
        mtime: Timestamp::from_unix(found.st_mtime, nanoseconds).unwrap_or(Timestamp::NEVER),
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

/// The bits of Go's `os.FileMode` (package os, constants `ModeDir` and following).
fn go_mode(stat: &Stat) -> u32 {
    const DIRECTORY: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const PIPE: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const SETUID: u32 = 1 << 23;
    const SETGID: u32 = 1 << 22;
    const CHARACTER: u32 = 1 << 21;
    const STICKY: u32 = 1 << 20;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => DIRECTORY,
        FileType::Symlink => SYMLINK,
        FileType::BlockDevice => DEVICE,
        FileType::CharacterDevice => DEVICE | CHARACTER,
        FileType::Fifo => PIPE,
        FileType::Socket => SOCKET,
        _ => 0,
    };
    let special = [(0o4000, SETUID), (0o2000, SETGID), (0o1000, STICKY)];
    let special = special.iter().filter(|(bit, _)| stat.st_mode & bit != 0).map(|(_, mode)| mode);
    (stat.st_mode & 0o777) | kind | special.sum::<u32>()
}
