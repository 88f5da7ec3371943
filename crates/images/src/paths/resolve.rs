//! Takes paths of the API apart and follows symlinks inside a root.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, FileType, OFlags, Stat};
use rustix::io::Errno;

use super::PathError;
use crate::unpack::open_beneath;

/// As many symlinks as one path may lead through, the limit of path resolution in Docker's clients.
const SYMLINK_LIMIT: u32 = 255;

/// A path as the API means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The path as it was given, for errors.
    pub(super) shown: String,
    /// The directory of the last name, from the root.
    pub(super) parent: String,
    /// The last name; empty for the root itself.
    pub(super) name: String,
    /// It ends in `/` or `/.`: a last symlink is followed, and it must be a directory.
    pub(super) directory: bool,
    /// It ends in `/.`: its content is meant.
    pub(super) content: bool,
}

impl Asked {
    /// Cleans a path as text: `.` and empty parts go, `..` takes the part before it.
    pub(super) fn parse(path: &str) -> Self {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                _ => parts.push(part),
            }
        }
        let content = path.ends_with("/.") || path == ".";
        let directory = content || path.ends_with('/') || path.ends_with("/..") || path == "..";
        let name = parts.pop().unwrap_or_default().to_owned();
        Self { shown: path.to_owned(), parent: parts.join("/"), name, directory, content }
    }

    /// The whole path from the root.
    pub(super) fn whole(&self) -> String {
        if self.parent.is_empty() { self.name.clone() } else { format!("{}/{}", self.parent, self.name) }
    }

    /// Opens the parent and reads the status of the last name, its symlink unfollowed.
    pub(super) fn look(&self, root: BorrowedFd<'_>) -> Result<(OwnedFd, Stat), PathError> {
        let failed = || PathError::of("open", &self.shown);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let parent = open_beneath(root, self.parent.as_bytes(), flags).map_err(failed())?;
        let name = if self.name.is_empty() { "." } else { &self.name };
        let stat = fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed())?;
        Ok((parent, stat))
    }

    /// Opens the directory that the path names.
    pub(super) fn open_directory(&self, root: BorrowedFd<'_>) -> Result<OwnedFd, PathError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        open_beneath(root, self.whole().as_bytes(), flags).map_err(PathError::of("open", &self.shown))
    }
}

/// Where a path finally leads, all symlinks followed inside the root; the last part need not exist.
pub(super) fn follow(root: BorrowedFd<'_>, asked: &Asked) -> Result<String, PathError> {
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut left: Vec<Vec<u8>> = parts(asked.whole().as_bytes());
    left.reverse();
    let mut symlinks = 0;
    while let Some(part) = left.pop() {
        match part.as_slice() {
            b"." | b"" => continue,
            b".." => {
                done.pop();
                continue;
            }
            _ => {}
        }
        let parent = done.join(&b'/');
        done.push(part.clone());
        let Some(target) =
            symlink_target(root, &parent, &part).map_err(PathError::of("follow", &asked.shown))?
        else {
            continue;
        };
        symlinks += 1;
        if symlinks > SYMLINK_LIMIT {
            return Err(PathError::TooManyLinks(asked.shown.clone()));
        }
        done.pop();
        if target.starts_with(b"/") {
            done.clear();
        }
        left.extend(parts(&target).into_iter().rev());
    }
    Ok(format!("/{}", String::from_utf8_lossy(&done.join(&b'/'))))
}

/// The target, if a name is a symlink; `None` when it is missing or something else.
fn symlink_target(root: BorrowedFd<'_>, parent: &[u8], name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let parent = match open_beneath(root, parent, OFlags::PATH | OFlags::DIRECTORY) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other?,
    };
    match fs::readlinkat(&parent, OsStr::from_bytes(name), Vec::new()) {
        Ok(target) => Ok(Some(target.into_bytes())),
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect()
}

pub(super) fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

#[cfg(test)]
mod tests {
    use super::Asked;

    #[test]
    fn paths_are_cleaned_and_their_end_is_kept_in_mind() {
        for (path, parent, name, directory, content) in [
            ("/w/d", "w", "d", false, false),
            ("w//./d/", "w", "d", true, false),
            ("/w/d/.", "w", "d", true, true),
            ("/", "", "", true, false),
            ("/.", "", "", true, true),
            ("../../etc/x", "etc", "x", false, false),
            ("/a/b/..", "", "a", true, false),
        ] {
            let asked = Asked::parse(path);
            assert_eq!(
                (asked.parent.as_str(), asked.name.as_str(), asked.directory, asked.content),
                (parent, name, directory, content),
                "{path}"
            );
        }
    }
}
