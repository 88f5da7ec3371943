//! The paths of a context with their metadata, held in little memory: a million entries are an honest
//! context, and each costs what it weighs.
//!
//! Names are keyed by the number of the directory that they are in, so that a path is stored once
//! however deep it is, and the names of one directory follow each other.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use images::tar::ArchiveError;
use sys::memory_budget::{Budget, Reservation};

use super::slot::{Kind, Slot};
use crate::tree::{Attribute, Inode, Metadata, Modified, Node, NodeKind};

/// The number of the context's root directory.
const ROOT: u32 = 0;
/// The memory of an entry without its name, about: the slot, its key, and its content's place and digest.
const ENTRY_WEIGHT: usize = 144;
/// The memory limit of a context's entries together: a million files with names of thirty bytes.
const WEIGHT_LIMIT: usize = 176 << 20;
/// The memory limit of all contexts of running builds together: the largest one, and as many small ones.
const ALL_LIMIT: usize = WEIGHT_LIMIT + (16 << 20);
/// As many directories a context's paths may lead through that no entry makes: those that pack contexts write an entry
/// for each, and one path of 4,095 bytes makes two thousand.
const IMPLIED_LIMIT: u64 = 100_000;

static CONTEXTS: LazyLock<Arc<Budget>> = LazyLock::new(|| Arc::new(Budget::new(ALL_LIMIT, 0)));

/// The memory of a context.
#[derive(Debug)]
struct Weight(Reservation);

impl Default for Weight {
    fn default() -> Self {
        Self(Reservation::new(Arc::clone(&CONTEXTS)))
    }
}

/// One path of a context.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) node: Node,
    /// The number of its content, where it is a file.
    pub(super) content: Option<u32>,
}

/// Why an entry cannot be put under its path.
#[derive(Debug)]
pub(super) enum Misplaced {
    /// Something on the way is no directory: so many components of the path lead to it.
    Through(usize),
    /// The context holds too much.
    Limit(ArchiveError),
}

/// The paths of a context, relative to its root.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The number of the directory in four bytes, big end first, then the name.
    names: BTreeMap<Box<[u8]>, u32>,
    /// By the numbers that `names` gives; those of paths that are gone stay.
    slots: Vec<Slot>,
    /// How many directories have had a number; the root has the first.
    directories: u32,
    targets: Vec<Box<OsStr>>,
    attributes: HashMap<u32, Vec<Attribute>>,
    weight: Weight,
    implied: u64,
    /// The directory looked up last: a walk looks up its entries next.
    last: Mutex<(PathBuf, u32)>,
}

fn key(directory: u32, name: &[u8]) -> Box<[u8]> {
    [&directory.to_be_bytes(), name].concat().into_boxed_slice()
}

fn components(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}

impl Index {
    /// Weighs what an entry adds, before it is added.
    ///
    /// # Errors
    /// [`ArchiveError::Limit`] when the context holds too much, [`ArchiveError::Busy`] when all contexts do.
    pub(super) fn weigh(&mut self, bytes: usize) -> Result<(), ArchiveError> {
        let weight = self.weight.0.size().saturating_add(ENTRY_WEIGHT).saturating_add(bytes);
        if weight > WEIGHT_LIMIT {
            let limit = WEIGHT_LIMIT as u64;
            return Err(ArchiveError::Limit { what: "bytes of names and attributes", limit });
        }
        self.weight.0.raise_to(weight).map_err(|_| ArchiveError::Busy)
    }

    /// Counts a directory that no entry makes.
    fn weigh_implied(&mut self, name: &OsStr) -> Result<(), ArchiveError> {
        self.implied += 1;
        if self.implied > IMPLIED_LIMIT {
            let what = "directories without an entry of their own";
            return Err(ArchiveError::Limit { what, limit: IMPLIED_LIMIT });
        }
        self.weigh(name.len())
    }

    pub(super) fn get(&self, path: &Path) -> Option<Record> {
        self.find(path).map(|number| self.record(number))
    }

    /// The number of a file's content.
    pub(super) fn content(&self, path: &Path) -> Option<u32> {
        self.slot(self.find(path)?).content()
    }

    /// Marks a node as one that has several names; `None` where the path is not in the context.
    pub(super) fn share(&mut self, path: &Path) -> Option<Record> {
        let number = self.find(path)?;
        self.slots[number as usize].share(number);
        Some(self.record(number))
    }

    /// Puts a record under a path; what an earlier entry of the same name made is gone, but a directory
    /// stays for a directory. Directories above it that no entry made are made now.
    ///
    /// # Errors
    /// [`Misplaced`] when the path leads through something that is no directory, or there is too much.
    pub(super) fn insert(&mut self, path: &Path, record: Record) -> Result<(), Misplaced> {
        let Some(name) = path.file_name() else { return Ok(()) };
        let directory = self.make_parent(path)?;
        let key = key(directory, name.as_bytes());
        let old = self.names.get(&key).copied();
        let mut kept = None;
        if let Some(old) = old {
            kept = self.slot(old).directory().filter(|_| record.node.is_directory());
            if kept.is_none() {
                self.forget(old);
            }
        }
        let slot = self.new_slot(record, kept);
        self.names.insert(key, slot);
        Ok(())
    }

    /// Removes a path and all below it.
    pub(super) fn remove(&mut self, path: &Path) {
        let Some(name) = path.file_name() else { return };
        let Some(directory) = self.directory(path.parent().unwrap_or(Path::new(""))) else { return };
        if let Some(number) = self.names.remove(&key(directory, name.as_bytes())) {
            self.forget(number);
        }
    }

    /// The names in a directory, sorted.
    pub(super) fn names(&self, path: &Path) -> Vec<OsString> {
        let Some(directory) = self.directory(path) else { return Vec::new() };
        self.children(directory).map(|(name, _)| OsStr::from_bytes(name).to_owned()).collect()
    }

    /// Leaves out the paths that `excluded` matches, but not a directory in which something stays.
    pub(super) fn leave_out(&mut self, excluded: impl Fn(&Path) -> bool) {
        self.last = Mutex::default();
        struct Level {
            directory: u32,
            names: std::vec::IntoIter<(OsString, u32)>,
            keeps: bool,
        }
        let level = |index: &Self, directory: u32| {
            let names =
                index.children(directory).map(|(name, number)| (OsStr::from_bytes(name).to_owned(), number));
            Level { directory, names: names.collect::<Vec<_>>().into_iter(), keeps: false }
        };
        let mut path = PathBuf::new();
        let mut levels = vec![level(self, ROOT)];
        while let Some(last) = levels.last_mut() {
            if let Some((name, number)) = last.names.next() {
                path.push(&name);
                if let Some(directory) = self.slot(number).directory() {
                    let below = level(self, directory);
                    levels.push(below);
                    continue;
                }
                if excluded(&path) {
                    self.names.remove(&key(last.directory, name.as_bytes()));
                } else {
                    last.keeps = true;
                }
                path.pop();
                continue;
            }
            let keeps = last.keeps;
            levels.pop();
            let (Some(above), Some(name)) = (levels.last_mut(), path.file_name()) else { break };
            if keeps || !excluded(&path) {
                above.keeps = true;
            } else {
                self.names.remove(&key(above.directory, name.as_bytes()));
            }
            path.pop();
        }
    }

    fn slot(&self, number: u32) -> &Slot {
        &self.slots[number as usize]
    }

    fn children(&self, directory: u32) -> impl Iterator<Item = (&[u8], u32)> {
        let (start, end) = (directory.to_be_bytes(), directory.saturating_add(1).to_be_bytes());
        let bounds = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
        let range = self.names.range::<[u8], _>(bounds);
        range.map(|(key, number)| (&key[4..], *number))
    }

    fn find(&self, path: &Path) -> Option<u32> {
        let directory = self.directory(path.parent()?)?;
        self.names.get(&key(directory, path.file_name()?.as_bytes())).copied()
    }

    /// The number of a directory.
    fn directory(&self, path: &Path) -> Option<u32> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Compared as bytes: names are far apart only at their ends.
        if last.0.as_os_str() == path.as_os_str() {
            return Some(last.1);
        }
        let (mut directory, rest) = path.strip_prefix(&last.0).map_or((ROOT, path), |rest| (last.1, rest));
        for name in components(rest) {
            let number = *self.names.get(&key(directory, name.as_bytes()))?;
            directory = self.slot(number).directory()?;
        }
        *last = (path.to_owned(), directory);
        Some(directory)
    }

    /// The directory that a path is in, made where it is missing.
    fn make_parent(&mut self, path: &Path) -> Result<u32, Misplaced> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if let Some(known) = self.directory(parent) {
            return Ok(known);
        }
        let mut directory = ROOT;
        for (depth, name) in components(parent).enumerate() {
            let key = key(directory, name.as_bytes());
            directory = match self.names.get(&key) {
                Some(number) => self.slot(*number).directory().ok_or(Misplaced::Through(depth + 1))?,
                None => {
                    self.weigh_implied(name).map_err(Misplaced::Limit)?;
                    let record = Record { node: Node::plain_directory(), content: None };
                    let number = self.new_slot(record, None);
                    self.names.insert(key, number);
                    self.slot(number).directory().unwrap_or(ROOT)
                }
            };
        }
        Ok(directory)
    }

    /// Drops what is below a path that is gone or replaced.
    fn forget(&mut self, number: u32) {
        self.last = Mutex::default();
        let mut numbers = vec![number];
        while let Some(number) = numbers.pop() {
            self.attributes.remove(&number);
            let Some(directory) = self.slot(number).directory() else { continue };
            let names: Vec<Box<[u8]>> =
                self.children(directory).map(|(name, _)| key(directory, name)).collect();
            numbers.extend(names.iter().filter_map(|name| self.names.remove(name)));
        }
    }

    fn new_slot(&mut self, record: Record, directory: Option<u32>) -> u32 {
        // The weight's limit is far below so many.
        let number = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let Node { kind, shared, metadata } = record.node;
        let (kind, value) = match kind {
            NodeKind::Directory => {
                (Kind::Directory, directory.unwrap_or_else(|| self.next_directory()).into())
            }
            NodeKind::File { size } => (Kind::File, size),
            NodeKind::Symlink { target } => {
                self.targets.push(target.into_boxed_os_str());
                (Kind::Symlink, self.targets.len() as u64 - 1)
            }
            NodeKind::Fifo => (Kind::Fifo, 0),
            NodeKind::Device { block: false, number } => (Kind::CharacterDevice, number),
            NodeKind::Device { block: true, number } => (Kind::BlockDevice, number),
        };
        if !metadata.attributes.is_empty() {
            self.attributes.insert(number, metadata.attributes.clone());
        }
        let mut slot = Slot::new(kind, value, record.content, &metadata);
        if let Some(inode) = shared {
            slot.share(u32::try_from(inode.number).unwrap_or(number));
        }
        self.slots.push(slot);
        number
    }

    fn next_directory(&mut self) -> u32 {
        self.directories += 1;
        self.directories
    }

    fn record(&self, number: u32) -> Record {
        let slot = self.slot(number);
        let kind = match slot.kind() {
            Kind::Directory => NodeKind::Directory,
            Kind::File => NodeKind::File { size: slot.value() },
            Kind::Symlink => {
                let target = usize::try_from(slot.value()).ok().and_then(|index| self.targets.get(index));
                NodeKind::Symlink { target: target.map(|target| target.to_os_string()).unwrap_or_default() }
            }
            Kind::Fifo => NodeKind::Fifo,
            Kind::CharacterDevice => NodeKind::Device { block: false, number: slot.value() },
            Kind::BlockDevice => NodeKind::Device { block: true, number: slot.value() },
        };
        let (mode, user, group) = slot.permissions();
        let modified = slot.modified().map(|(seconds, nanoseconds)| Modified { seconds, nanoseconds });
        let attributes = self.attributes.get(&number).cloned().unwrap_or_default();
        // Files are numbered by their contents, other nodes by their slots: as if on two devices.
        let device = u64::from(slot.kind() != Kind::File);
        let shared = slot.shared().map(|number| Inode { device, number: number.into() });
        let node = Node { kind, shared, metadata: Metadata { mode, user, group, modified, attributes } };
        Record { node, content: slot.content() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Record {
        let kind = NodeKind::File { size: 1 };
        Record { node: Node { kind, ..Node::plain_directory() }, content: Some(0) }
    }

    fn directory() -> Record {
        Record { node: Node::plain_directory(), content: None }
    }

    fn index(paths: &[&str]) -> Index {
        let mut index = Index::default();
        for path in paths {
            index.insert(Path::new(path), file()).expect(path);
        }
        index
    }

    #[test]
    fn names_are_listed_by_directory_and_in_order() {
        let index = index(&["b", "a/y", "a/x/deep", "a.b"]);
        assert_eq!(index.names(Path::new("")), ["a", "a.b", "b"]);
        assert_eq!(index.names(Path::new("a")), ["x", "y"]);
        assert_eq!(index.get(Path::new("a/x/deep")).map(|record| record.content), Some(Some(0)));
        assert!(index.get(Path::new("a/z")).is_none() && index.get(Path::new("b/z")).is_none());
    }

    #[test]
    fn a_later_entry_replaces_an_earlier_one_with_all_below_it() {
        let mut index = index(&["d/e/f"]);
        index.insert(Path::new("d"), directory()).expect("a directory stays for a directory");
        assert!(index.get(Path::new("d/e/f")).is_some());
        index.insert(Path::new("d"), file()).expect("a file");
        assert!(index.get(Path::new("d/e/f")).is_none());
        let misplaced = index.insert(Path::new("d/x"), file()).expect_err("through a file");
        assert!(matches!(misplaced, Misplaced::Through(1)), "{misplaced:?}");
        index.insert(Path::new("d"), directory()).expect("a directory");
        assert!(index.names(Path::new("d")).is_empty());
    }

    #[test]
    fn a_directory_stays_when_something_in_it_stays() {
        let mut index = index(&["a/keep", "a/drop", "b/drop", "c"]);
        index.leave_out(|path| !path.ends_with("keep") && path != Path::new("c"));
        assert_eq!(index.names(Path::new("")), ["a", "c"]);
        assert_eq!(index.names(Path::new("a")), ["keep"]);
    }
}
