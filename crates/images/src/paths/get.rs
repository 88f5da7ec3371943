//! Packs a path as a tar, named by its last component for `docker cp`.

use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use model::IdMapping;
use rustix::fs::FileType;

use super::PathError;
use super::resolve::{Asked, follow};
use super::stat::{PathStat, stat};
use crate::tree::{Form, Packer, Stack, open_directory};

/// A path that was found and can be written as a tar: errors come before anything is written.
#[derive(Debug)]
pub struct Fetched {
    /// Its attributes.
    pub stat: PathStat,
    /// Where it is from the root, the symlinks on the way followed.
    pub place: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A directory and the name its entries begin with.
    Directory(OwnedFd, String),
    /// One thing in its parent.
    Single(OwnedFd, String),
}

/// Finds what a path stands for: a symlink as its last name is itself meant unless a `/` follows.
///
/// # Errors
/// [`PathError`].
pub fn fetch(root: BorrowedFd<'_>, path: &str) -> Result<Fetched, PathError> {
    let stat = stat(root, path)?;
    let asked = Asked::parse(path);
    let place = place(root, &asked)?;
    let name = |name: &str| if name.is_empty() { "/".to_owned() } else { format!("{name}/") };
    let source = if asked.directory {
        let prefix = if asked.content { "./".to_owned() } else { name(&asked.name) };
        Source::Directory(asked.open_directory(root)?, prefix)
    } else {
        let (parent, found) = asked.look(root)?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            let opened = open_directory(&parent, asked.name.as_bytes());
            Source::Directory(opened.map_err(PathError::of("open", path))?, name(&asked.name))
        } else {
            Source::Single(parent, asked.name)
        }
    };
    Ok(Fetched { stat, place, source })
}

/// Where a path is from the root; its last name is followed only when it ends as that of a directory.
fn place(root: BorrowedFd<'_>, asked: &Asked) -> Result<String, PathError> {
    if asked.directory || asked.name.is_empty() {
        return follow(root, asked);
    }
    let parent = follow(root, &Asked::parse(&asked.parent))?;
    Ok(format!("{}/{}", parent.trim_end_matches('/'), asked.name))
}

/// Where a path leads from the root, all symlinks followed; what is not there stays as it is written.
///
/// # Errors
/// [`PathError`].
pub fn target(root: BorrowedFd<'_>, path: &str) -> Result<String, PathError> {
    follow(root, &Asked::parse(path))
}

/// Finds what a path leads to: every symlink is followed, and what comes after the last name means nothing.
///
/// # Errors
/// [`PathError`].
pub fn fetch_target(root: BorrowedFd<'_>, path: &str) -> Result<Fetched, PathError> {
    fetch(root, &target(root, path)?)
}

impl Fetched {
    /// Writes the tar, with the owners of files as processes of a user namespace see them.
    ///
    /// # Errors
    /// [`PathError::Output`] when something cannot be read or `out` fails.
    pub fn write(self, mut out: &mut dyn Write, user_namespace: Option<&IdMapping>) -> Result<(), PathError> {
        let mut packer = Packer::new(&mut out, Form::Plain, None).with_owners_of(user_namespace);
        let packed = match self.source {
            Source::Directory(directory, prefix) => {
                packer.directory_entry(&directory, prefix.as_bytes()).and_then(|()| {
                    let stack = Stack(vec![Arc::new(directory)]);
                    packer.directory(stack, Stack(Vec::new()), prefix.as_bytes())
                })
            }
            Source::Single(parent, name) => packer.single(&parent, name.as_bytes(), name.as_bytes()),
        };
        packed.and_then(|()| packer.finish().map(drop)).map_err(PathError::Output)
    }
}
