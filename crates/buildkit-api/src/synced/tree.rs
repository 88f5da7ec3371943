//! A received directory: entries by path, put together in the order in which they come.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, LazyLock};

use engine::sys::memory_budget::{Budget, Reservation};

use super::contents::Content;
use super::entry::{Entry, EntryKind};
use super::error::SyncError;

/// The memory limit of the entries of one directory: half a million files with names of thirty bytes.
const WEIGHT_LIMIT: usize = 256 << 20;
/// The memory limit of those of all directories, received or being received.
const ALL_LIMIT: usize = WEIGHT_LIMIT + (64 << 20);
/// The memory of an entry without itself, about: its keys and its name in its directory.
const ENTRY_WEIGHT: usize = 160;

/// As many symbolic links are followed in one path: path_resolution(7).
const SYMLINK_LIMIT: usize = 40;

static TREES: LazyLock<Arc<Budget>> = LazyLock::new(|| Arc::new(Budget::new(ALL_LIMIT, 0)));

/// A received directory.
#[derive(Debug)]
pub(crate) struct Tree {
    /// By path, byte for byte: a path that is taken apart takes longer to be found.
    pub(super) entries: HashMap<OsString, Entry>,
    /// The names in each directory; the root has an empty path.
    pub(super) names: HashMap<OsString, Vec<OsString>>,
    _weight: Reservation,
}

/// A directory that is being received.
#[derive(Debug)]
pub(crate) struct TreeBuilder {
    entries: HashMap<OsString, Entry>,
    names: HashMap<OsString, Vec<OsString>>,
    weight: Reservation,
    last: OsString,
    links: u32,
}

impl TreeBuilder {
    pub(crate) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            names: HashMap::from([(OsString::new(), Vec::new())]),
            weight: Reservation::new(Arc::clone(&TREES)),
            last: OsString::new(),
            links: 0,
        }
    }

    /// Inserts an entry; `known` is the directory's earlier state, whose contents are kept where the
    /// description has not changed. Returns whether its content is to be requested.
    ///
    /// # Errors
    /// [`SyncError`] for an entry out of order, in no directory, without a valid name, or that is too much.
    pub(crate) fn insert(
        &mut self,
        path: &Path,
        mut entry: Entry,
        known: Option<&Tree>,
    ) -> Result<bool, SyncError> {
        let shown = || path.display().to_string();
        if !follows(path, &self.last) {
            return Err(SyncError::Order(shown()));
        }
        path.as_os_str().clone_into(&mut self.last);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(SyncError::Path(shown()));
        };
        let Some(siblings) = self.names.get_mut(parent.as_os_str()) else {
            return Err(SyncError::Parent(shown()));
        };
        if entry.kind == EntryKind::Socket {
            return Ok(false);
        }
        let size = self.weight.size() + entry.weight() + 2 * path.as_os_str().len() + ENTRY_WEIGHT;
        if size > WEIGHT_LIMIT {
            return Err(SyncError::Limit { what: "bytes of names and attributes", limit: WEIGHT_LIMIT });
        }
        self.weight.raise_to(size).map_err(|_| SyncError::Busy)?;
        siblings.push(name.to_owned());
        match entry.kind {
            EntryKind::Directory => drop(self.names.insert(path.into(), Vec::new())),
            EntryKind::File if !entry.link.is_empty() => self.share(path, &mut entry)?,
            EntryKind::File => {
                let before = known.and_then(|known| known.entries.get(path.as_os_str()));
                let before = before.filter(|before| entry.is_unchanged(before));
                entry.content = before.and_then(|before| before.content.clone());
            }
            _ => {}
        }
        let wanted = entry.needs_content();
        self.entries.insert(path.into(), entry);
        Ok(wanted)
    }

    /// Makes an entry a further name of a file before it, whose content may still be on its way.
    fn share(&mut self, path: &Path, entry: &mut Entry) -> Result<(), SyncError> {
        let first = self.entries.get_mut(&*entry.link);
        let first = first.filter(|first| first.kind == EntryKind::File && first.link.is_empty());
        let Some(first) = first else {
            let (path, target) = (path.display().to_string(), Path::new(&*entry.link).display().to_string());
            return Err(SyncError::Link { path, target });
        };
        if first.shared.is_none() {
            self.links += 1;
            first.shared = Some(self.links);
        }
        entry.shared = first.shared;
        entry.size = first.size;
        Ok(())
    }

    /// Sets the requested content of a file.
    pub(crate) fn set_content(&mut self, path: &Path, content: Content) {
        if let Some(entry) = self.entries.get_mut(path.as_os_str()) {
            entry.set_content(content);
        }
    }

    /// The directory, with all contents there.
    pub(crate) fn finish(self) -> Tree {
        Tree { entries: self.entries, names: self.names, _weight: self.weight }
    }
}

impl Tree {
    /// The entry that a path names; further names of a file lead to the first.
    pub(super) fn file(&self, path: &Path) -> Option<&Entry> {
        let entry = self.entries.get(path.as_os_str()).filter(|entry| entry.kind == EntryKind::File)?;
        if entry.link.is_empty() { Some(entry) } else { self.entries.get(&*entry.link) }
    }

    /// Whether a path is a further name of a file, whose content is the first one's.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn is_further_name(&self, path: &Path) -> bool {
        self.entries.get(path.as_os_str()).is_some_and(|entry| !entry.link.is_empty())
    }

    /// How many entries it has.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The bytes of all its contents.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.values().filter(|entry| entry.link.is_empty()).map(|entry| entry.size).sum()
    }

    /// The file that a path leads to, symbolic links followed within the directory.
    fn follow(&self, path: &Path) -> Option<&Entry> {
        let mut rest = steps(path);
        let mut reached = PathBuf::new();
        let mut links = 0;
        while let Some(step) = rest.pop_front() {
            if step == ".." {
                reached.pop();
                continue;
            }
            let next = reached.join(&step);
            let Some(link) =
                self.entries.get(next.as_os_str()).filter(|entry| entry.kind == EntryKind::Symlink)
            else {
                reached = next;
                continue;
            };
            links += 1;
            if links > SYMLINK_LIMIT {
                return None;
            }
            let target = Path::new(&*link.link);
            if target.is_absolute() {
                reached = PathBuf::new();
            }
            steps(target).into_iter().rev().for_each(|step| rest.push_front(step));
        }
        self.file(&reached)
    }

    /// Reads a file, symbolic links followed; `None` if it does not exist.
    ///
    /// # Errors
    /// [`SyncError::Long`] when it is longer than a limit, [`SyncError::Keep`] when it cannot be read.
    pub(crate) fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SyncError> {
        let Some(entry) = self.follow(Path::new(path)) else { return Ok(None) };
        if entry.size > limit {
            return Err(SyncError::Long { path: path.to_owned(), limit });
        }
        let Some(content) = &entry.content else { return Ok(None) };
        match content.take().map_err(SyncError::Keep)? {
            super::contents::Taken::Bytes(bytes) => Ok(Some(bytes)),
            super::contents::Taken::File(path) => {
                engine::sys::bounded_read::read(path, limit).map(Some).map_err(SyncError::Keep)
            }
        }
    }
}

/// Whether a path comes after another one in the order of a walk: a directory's names before those that follow it.
fn follows(path: &Path, last: &OsStr) -> bool {
    let (path, last) = (path.as_os_str().as_bytes(), last.as_bytes());
    let same = path.iter().zip(last).take_while(|(one, other)| one == other).count();
    // No name has a byte that comes before the end of one.
    let rank = |byte: Option<&u8>| byte.map(|byte| if *byte == b'/' { 1 } else { 1 + u16::from(*byte) });
    rank(path.get(same)) > rank(last.get(same))
}

/// The names of a path, `..` among them.
fn steps(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter(|step| matches!(step, Component::Normal(_) | Component::ParentDir));
    names.map(|step| step.as_os_str().to_owned()).collect()
}
