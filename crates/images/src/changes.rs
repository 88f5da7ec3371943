//! Lists what a container changed in its image's file system.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use serde::{Serialize, Serializer};

use crate::Error;
use crate::tree::{self, Form, Found, Stack, is_directory, is_whiteout};

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ChangeKind {
    /// It is another than in the image.
    Modified = 0,
    /// The image does not have it.
    Added = 1,
    /// Only the image has it.
    Deleted = 2,
}

impl Serialize for ChangeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// One changed path, in the documented form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Change {
    /// The path inside the container; bytes that are no UTF-8 are replaced.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
}

/// Lists the changes of `upper` against the layers below it, topmost first, ordered by path.
/// `mount_points` are paths where the engine mounts something: the empty files and directories
/// that serve for it are no changes.
///
/// # Errors
/// `Internal` when a layer cannot be read.
pub fn changes(upper: &Path, lowers: &[PathBuf], mount_points: &[PathBuf]) -> Result<Vec<Change>, Error> {
    find(upper, lowers, mount_points).map_err(Error::file("compare", upper))
}

fn find(upper: &Path, lowers: &[PathBuf], mount_points: &[PathBuf]) -> io::Result<Vec<Change>> {
    let mut found = Changes { kinds: BTreeMap::new(), mount_points };
    let top = Level {
        upper: Stack::open(&[upper])?,
        below: Stack::open(lowers)?,
        opaque: false,
        path: b"/".to_vec(),
    };
    let mut levels = vec![top];
    while let Some(level) = levels.pop() {
        found.level(level, &mut levels)?;
    }
    let shown = |(path, kind): (Vec<u8>, ChangeKind)| Change {
        path: String::from_utf8_lossy(&path).into_owned(),
        kind,
    };
    Ok(found.kinds.into_iter().map(shown).collect())
}

struct Changes<'a> {
    kinds: BTreeMap<Vec<u8>, ChangeKind>,
    mount_points: &'a [PathBuf],
}

/// A directory of the upper layer, with what is below it.
struct Level {
    upper: Stack,
    below: Stack,
    /// Whether it hides what is below.
    opaque: bool,
    /// Ends in `/`.
    path: Vec<u8>,
}

impl Changes<'_> {
    fn level(&mut self, level: Level, levels: &mut Vec<Level>) -> io::Result<()> {
        let own = level.upper.names(Form::Difference)?;
        if level.opaque {
            for name in level.below.names(Form::Merged)?.into_keys().filter(|name| !own.contains_key(name)) {
                self.note([level.path.as_slice(), &name].concat(), ChangeKind::Deleted);
            }
        }
        for (name, found) in own {
            let path = [level.path.as_slice(), &name].concat();
            let before = level.below.find(&name)?;
            if is_whiteout(&found.stat) {
                if before.is_some() {
                    self.note(path, ChangeKind::Deleted);
                }
                continue;
            }
            let Some(before) = before else {
                self.added(&level.upper, &name, &found, path, levels)?;
                continue;
            };
            if differs(&level, &name, &found, &before)? {
                self.note(path.clone(), ChangeKind::Modified);
            }
            if is_directory(&found.stat) {
                let was_directory = is_directory(&before.stat);
                let below = if was_directory {
                    level.below.child(&name, before.layer, Form::Merged)?
                } else {
                    Stack(Vec::new())
                };
                self.descend(&level.upper, &name, below, level.opaque, path, levels)?;
            }
        }
        Ok(())
    }

    fn added(
        &mut self,
        upper: &Stack,
        name: &[u8],
        found: &Found,
        path: Vec<u8>,
        levels: &mut Vec<Level>,
    ) -> io::Result<()> {
        if !self.is_mount_point(&path, &found.stat) {
            self.note(path.clone(), ChangeKind::Added);
        }
        if is_directory(&found.stat) {
            self.descend(upper, name, Stack(Vec::new()), false, path, levels)?;
        }
        Ok(())
    }

    fn descend(
        &self,
        upper: &Stack,
        name: &[u8],
        below: Stack,
        opaque: bool,
        mut path: Vec<u8>,
        levels: &mut Vec<Level>,
    ) -> io::Result<()> {
        let upper = upper.child(name, 0, Form::Difference)?;
        let Some(top) = upper.0.first() else { return Ok(()) };
        let opaque = opaque || tree::is_opaque(top)?;
        path.push(b'/');
        levels.push(Level { upper, below, opaque, path });
        Ok(())
    }

    /// Notes a change, and that the directories above it changed thereby.
    fn note(&mut self, path: Vec<u8>, kind: ChangeKind) {
        let mut parent = path.as_slice();
        while let Some(slash) = parent.iter().rposition(|byte| *byte == b'/').filter(|slash| *slash > 0) {
            parent = &parent[..slash];
            if self.kinds.contains_key(parent) {
                break;
            }
            // A mount point with something beneath that is new is new itself.
            self.kinds.insert(parent.to_vec(), ChangeKind::Modified);
        }
        self.kinds.insert(path, kind);
    }

    fn is_mount_point(&self, path: &[u8], stat: &Stat) -> bool {
        (is_directory(stat) || stat.st_size == 0)
            && self.mount_points.iter().any(|mount| mount.starts_with(OsStr::from_bytes(path)))
    }
}

/// Whether something is other than it was: a directory by its owner and mode, all else also by its
/// content's size and time; overlay copies up what is opened for writing, even if nothing is written.
fn differs(level: &Level, name: &[u8], found: &Found, before: &Found) -> io::Result<bool> {
    let (now, then) = (&found.stat, &before.stat);
    if (now.st_mode, now.st_uid, now.st_gid, now.st_rdev)
        != (then.st_mode, then.st_uid, then.st_gid, then.st_rdev)
    {
        return Ok(true);
    }
    let content = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec, stat.st_size);
    if !is_directory(now) && content(now) != content(then) {
        return Ok(true);
    }
    let attributes = |stack: &Stack, found: &Found| tree::attributes_at(&stack.0[found.layer], name);
    Ok(attributes(&level.upper, found)? != attributes(&level.below, before)?)
}
