//! Directories of `RUN --mount=type=cache`: kept over builds, until they are pruned.
//!
//! ```text
//! <builds>/cache-mounts/<sha256 of the id and the beginning>[-<number>]/{id,files/}
//! ```
//! Mounts of one id that begin with other files, or belong to others, are not the same cache.
//! The number distinguishes those that private mounts of the same id made at the same time.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use images::digest_of;
use images::registry::Cancellation;

use crate::dockerfile::Sharing;

/// Where a directory's id is written.
const ID: &str = "id";
/// Where its files are.
const FILES: &str = "files";
/// Bytes of an id's file at most; ids come from Dockerfiles, which are shorter.
const NOTE_LIMIT: u64 = 32 << 20;
/// How often a waiting step looks whether its build is cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The caches of all builds.
#[derive(Debug, Clone)]
pub(super) struct CacheMounts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    /// How many steps use a directory, by its name.
    uses: Mutex<HashMap<String, Uses>>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Uses {
    count: usize,
    /// Whether nobody may join.
    is_exclusive: bool,
}

/// A directory kept for `RUN --mount=type=cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CacheMount {
    /// The name of its directory.
    pub(super) name: String,
    /// The id that Dockerfiles give it.
    pub(super) id: String,
    /// The bytes that its files take.
    pub(super) size: u64,
    /// When it was made.
    pub(super) created: Option<SystemTime>,
    /// When a step used it last.
    pub(super) used: Option<SystemTime>,
    /// How many steps have used it.
    pub(super) uses: u64,
    /// Whether a step uses it now.
    pub(super) in_use: bool,
}

/// Which cache a step means.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheKey<'a> {
    /// The id that Dockerfiles give it.
    pub(super) id: &'a str,
    /// What it is when it is made, in words; empty for an empty directory of root's.
    pub(super) beginning: &'a str,
}

impl CacheKey<'_> {
    fn name(&self) -> String {
        let text = match self.beginning {
            "" => self.id.to_owned(),
            // No Dockerfile has this byte in an id.
            beginning => format!("{}\0{beginning}", self.id),
        };
        digest_of(text.as_bytes()).hexadecimal()
    }
}

/// The use of a directory by a step; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct CacheUse {
    caches: CacheMounts,
    name: String,
    /// Whether it has just been made.
    pub(super) is_new: bool,
}

impl CacheMounts {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(Arc::new(Shared { directory, uses: Mutex::default(), ended: Condvar::new() }))
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<String, Uses>> {
        self.0.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the directory of a cache into use; `None` when the build is cancelled while it waits for another.
    ///
    /// # Errors
    /// What mkdir(2) or write(2) fails with.
    pub(super) fn acquire(
        &self,
        key: CacheKey<'_>,
        sharing: Sharing,
        cancellation: &Cancellation,
    ) -> io::Result<Option<CacheUse>> {
        let (id, base) = (key.id, key.name());
        let mut uses = self.uses();
        let mut number = 0_usize;
        let name = loop {
            let name = if number == 0 { base.clone() } else { format!("{base}-{number}") };
            let (count, is_exclusive) =
                uses.get(&name).map_or((0, false), |uses| (uses.count, uses.is_exclusive));
            match sharing {
                Sharing::Shared if !is_exclusive => break name,
                Sharing::Private | Sharing::Locked if count == 0 => break name,
                Sharing::Private => number += 1,
                Sharing::Shared | Sharing::Locked => {
                    if cancellation.is_cancelled() {
                        return Ok(None);
                    }
                    let waited = self.0.ended.wait_timeout(uses, POLL_INTERVAL);
                    uses = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        };
        let path = self.0.directory.join(&name);
        let is_new = !path.join(FILES).is_dir();
        fs::create_dir_all(path.join(FILES))?;
        // Written again each time: its time is that of the last use.
        let before = read_note(&path.join(ID)).map_or(0, |(uses, _)| uses);
        fs::write(path.join(ID), format!("{}\n{id}", before + 1))?;
        let entry = uses.entry(name.clone()).or_default();
        entry.count += 1;
        entry.is_exclusive = sharing != Sharing::Shared;
        Ok(Some(CacheUse { caches: self.clone(), name, is_new }))
    }

    /// Lists the directories, by their names.
    ///
    /// # Errors
    /// What readdir(3) or lstat(2) fails with.
    pub(super) fn list(&self) -> io::Result<Vec<CacheMount>> {
        let entries = match fs::read_dir(&self.0.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            let Ok(name) = name.into_string() else { continue };
            let id = path.join(ID);
            // One without an id was never used.
            let Ok(used) = fs::metadata(&id).and_then(|found| found.modified()) else { continue };
            let (uses, own) = read_note(&id)?;
            found.push(CacheMount {
                uses,
                id: own,
                in_use: self.uses().get(&name).is_some_and(|uses| uses.count > 0),
                size: size(&path.join(FILES))?,
                created: fs::metadata(&path).and_then(|found| found.created()).ok(),
                used: Some(used),
                name,
            });
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Removes a directory unless a step uses it; whether it is gone.
    ///
    /// # Errors
    /// What unlink(2) fails with.
    pub(super) fn remove(&self, name: &str) -> io::Result<bool> {
        let uses = self.uses();
        if uses.get(name).is_some_and(|uses| uses.count > 0) || name.contains('/') {
            return Ok(false);
        }
        images::remove_tree(&self.0.directory.join(name))?;
        // The last one takes the directory of all with it; it is not empty before.
        let _ = fs::remove_dir(&self.0.directory);
        Ok(true)
    }
}

impl CacheUse {
    /// The directory that is mounted.
    pub(super) fn path(&self) -> PathBuf {
        self.caches.0.directory.join(&self.name).join(FILES)
    }
}

impl Drop for CacheUse {
    fn drop(&mut self) {
        let mut uses = self.caches.uses();
        if let Some(entry) = uses.get_mut(&self.name) {
            entry.count -= 1;
            if entry.count == 0 {
                uses.remove(&self.name);
            }
        }
        drop(uses);
        self.caches.0.ended.notify_all();
    }
}

/// What stands beside a directory: how often it was used, and its id.
fn read_note(path: &Path) -> io::Result<(u64, String)> {
    let bytes = sys::bounded_read::read(path, NOTE_LIMIT)?;
    let text = String::from_utf8_lossy(&bytes);
    let (uses, id) = text.split_once('\n').unwrap_or(("", &text));
    Ok((uses.parse().unwrap_or(0), id.to_owned()))
}

/// The bytes that the files below a directory take, however deep.
fn size(directory: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    /// The unit of `st_blocks`, stat(2).
    const BLOCK: u64 = 512;
    let mut sum = 0_u64;
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            // A step may remove it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Ok(found) = entry.metadata() else { continue };
            sum += found.blocks() * BLOCK;
            if found.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Temporary;

    #[test]
    fn uses_are_shared_private_or_one_after_the_other() {
        let temporary = Temporary::new();
        let caches = CacheMounts::new(temporary.join("caches"));
        let cancellation = Cancellation::new();
        let key = CacheKey { id: "x", beginning: "" };
        let acquire = |sharing| caches.acquire(key, sharing, &cancellation).expect("a directory");
        let first = acquire(Sharing::Shared).expect("free");
        let second = acquire(Sharing::Shared).expect("shared");
        assert!(first.is_new && !second.is_new);
        assert_eq!(first.path(), second.path());
        let owned = CacheKey { id: "x", beginning: "1000:0:755" };
        let owned = caches.acquire(owned, Sharing::Shared, &cancellation).expect("a directory");
        let owned = owned.expect("free");
        assert!(owned.is_new && owned.path() != first.path(), "one of another owner");
        let name = owned.name.clone();
        drop(owned);
        assert!(caches.remove(&name).expect("an answer"), "nobody uses it");
        let private = acquire(Sharing::Private).expect("one of its own");
        assert_ne!(first.path(), private.path());
        fs::write(first.path().join("f"), "content").expect("a file");
        let listed = caches.list().expect("a list");
        assert_eq!(
            listed.iter().map(|cache| (cache.id.as_str(), cache.in_use)).collect::<Vec<_>>(),
            [("x", true); 2]
        );
        assert!(listed.iter().any(|cache| cache.size > 0));
        assert!(!caches.remove(&listed[0].name).expect("an answer"), "a step uses it");
        cancellation.cancel();
        assert!(acquire(Sharing::Locked).is_none(), "cancelled while it waits");
        drop((first, second, private));
        let locked = acquire(Sharing::Locked).expect("free");
        assert!(!locked.is_new);
        assert!(acquire(Sharing::Shared).is_none(), "nobody joins a locked one");
        drop(locked);
        let listed = caches.list().expect("a list");
        assert_eq!(listed.iter().map(|cache| cache.uses).sum::<u64>(), 4);
        for cache in &listed {
            assert!(caches.remove(&cache.name).expect("an answer"), "nobody uses it");
        }
        assert_eq!(caches.list().expect("a list"), []);
    }
}
