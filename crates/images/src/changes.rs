//! Lists what a container changed in its image's file system.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use crate::Error;
use crate::tree::{self, Descent, Form, Found, Place, Stack, is_directory, is_whiteout};

/// The memory of a change without its path, about.
const CHANGE_WEIGHT: usize = 64;
/// The memory limit of all changes together: seven hundred thousand with paths of thirty bytes.
const WEIGHT_LIMIT: usize = 64 << 20;

/// The change of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is another than in the image.
    Modified,
    /// The image does not have it.
    Added,
    /// Only the image has it.
    Deleted,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path inside the container; bytes that are no UTF-8 are replaced.
    pub path: String,
    /// The change.
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
    let mut found = Changes { kinds: BTreeMap::new(), weight: 0, mount_points };
    let top = Place { stack: Stack::open(&[upper])?, below: Stack::open(lowers)? };
    // Directories wait in lists of their own: how deep they lie within each other is the container's choice.
    let mut path = b"/".to_vec();
    let mut levels = vec![found.level(&top, false, &path)?];
    let mut descent = Descent::new(Form::Difference, top);
    while let Some(level) = levels.last_mut() {
        path.truncate(level.length);
        let Some(name) = level.directories.pop() else {
            levels.pop();
            descent.leave()?;
            continue;
        };
        if descent.is_at_limit() {
            return Err(io::Error::other("directories are nested too deeply for a list"));
        }
        if !descent.enter(&name, 0)? {
            continue;
        }
        let Some(place) = descent.place() else { continue };
        path.extend_from_slice(&name);
        path.push(b'/');
        let opaque = level.opaque || tree::is_opaque(&place.stack.0[0])?;
        levels.push(found.level(place, opaque, &path)?);
    }
    let text = |path: Vec<u8>| {
        String::from_utf8(path).unwrap_or_else(|path| String::from_utf8_lossy(path.as_bytes()).into_owned())
    };
    Ok(found.kinds.into_iter().map(|(path, kind)| Change { path: text(path), kind }).collect())
}

struct Changes<'a> {
    kinds: BTreeMap<Vec<u8>, ChangeKind>,
    /// Their memory, about.
    weight: usize,
    mount_points: &'a [PathBuf],
}

/// A directory of the upper layer that was compared.
struct Level {
    /// Whether it hides what is below.
    opaque: bool,
    /// How long its path is, which ends in `/`.
    length: usize,
    /// The directories in it that are not compared yet.
    directories: Vec<Vec<u8>>,
}

impl Changes<'_> {
    /// Compares what is in a directory; `path` ends in `/`.
    fn level(&mut self, place: &Place, opaque: bool, path: &[u8]) -> io::Result<Level> {
        let own = place.stack.names(Form::Difference)?;
        if opaque {
            for name in place.below.names(Form::Merged)?.into_keys().filter(|name| !own.contains_key(name)) {
                self.note([path, &name].concat(), ChangeKind::Deleted)?;
            }
        }
        let mut directories = Vec::new();
        for (name, found) in own {
            let path = [path, &name].concat();
            match place.below.find(&name)? {
                before if is_whiteout(&found.stat) => {
                    if before.is_some() {
                        self.note(path, ChangeKind::Deleted)?;
                    }
                    continue;
                }
                Some(before) => {
                    if differs(place, &name, &found, &before)? {
                        self.note(path, ChangeKind::Modified)?;
                    }
                }
                None if self.is_mount_point(&path, &found.stat) => {}
                None => self.note(path, ChangeKind::Added)?,
            }
            if is_directory(&found.stat) {
                directories.push(name);
            }
        }
        Ok(Level { opaque, length: path.len(), directories })
    }

    /// Notes a change, and that the directories above it changed thereby.
    fn note(&mut self, path: Vec<u8>, kind: ChangeKind) -> io::Result<()> {
        let mut parent = path.as_slice();
        while let Some(slash) = parent.iter().rposition(|byte| *byte == b'/').filter(|slash| *slash > 0) {
            parent = &parent[..slash];
            if self.kinds.contains_key(parent) {
                break;
            }
            // A mount point with something beneath that is new is new itself.
            self.weight += CHANGE_WEIGHT + parent.len();
            self.kinds.insert(parent.to_vec(), ChangeKind::Modified);
        }
        self.weight += CHANGE_WEIGHT + path.len();
        self.kinds.insert(path, kind);
        if self.weight > WEIGHT_LIMIT {
            return Err(io::Error::other("the changes are too many for a list"));
        }
        Ok(())
    }

    fn is_mount_point(&self, path: &[u8], stat: &Stat) -> bool {
        (is_directory(stat) || stat.st_size == 0)
            && self.mount_points.iter().any(|mount| mount.starts_with(OsStr::from_bytes(path)))
    }
}

/// Whether something is other than it was: a directory by its owner and mode, all else also by its
/// content's size and time; overlay copies up what is opened for writing, even if nothing is written.
fn differs(place: &Place, name: &[u8], found: &Found, before: &Found) -> io::Result<bool> {
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
    Ok(attributes(&place.stack, found)? != attributes(&place.below, before)?)
}
