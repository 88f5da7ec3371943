//! Directories of `RUN --mount=type=cache`: kept over builds, until they are pruned.
//!
//! ```text
//! <builds>/cache-mounts/<sha256 of the id and the beginning>[-<number>]/{id,files/}
//! ```
//! Mounts of one id that begin with other files, or belong to others, are not the same cache.
//! The number distinguishes those that private mounts of the same id made at the same time.
//! `files` comes last, whole: what is there is what the cache was meant to begin with.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
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
/// How often a waiting step checks whether its build is cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The caches of all builds.
#[derive(Debug, Clone)]
pub(super) struct CacheMounts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    /// Where removed ones are moved: the next start deletes them.
    removed: PathBuf,
    removals: AtomicU64,
    /// How many steps use a directory, by its name.
    uses: Mutex<HashMap<String, Uses>>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Uses {
    count: usize,
    /// Whether others cannot join: it is not shared, or not filled yet.
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
    /// Its initial content, in words; empty for an empty directory of root's.
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
    id: String,
    sharing: Sharing,
    /// Whether it is to be filled.
    pub(super) is_new: bool,
}

impl CacheMounts {
    /// Keeps them in `directory`; what is removed is moved into `removed` first, on the same file system.
    pub(super) fn new(directory: PathBuf, removed: PathBuf) -> Self {
        let (removals, uses, ended) = (AtomicU64::new(0), Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { directory, removed, removals, uses, ended }))
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<String, Uses>> {
        self.0.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the directory of a cache into use; `None` when the build is cancelled while it waits for another. A new one
    /// is not shared before it is filled.
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
        if is_new {
            fs::create_dir_all(&path)?;
        } else {
            note_use(&path, id)?;
        }
        let entry = uses.entry(name.clone()).or_default();
        entry.count += 1;
        entry.is_exclusive = is_new || sharing != Sharing::Shared;
        Ok(Some(CacheUse { caches: self.clone(), name, id: id.to_owned(), sharing, is_new }))
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
            let uses_now = self.uses();
            let in_use = uses_now.get(&name).is_some_and(|uses| uses.count > 0);
            // One without an id was never used, or goes now.
            let Ok(used) = fs::metadata(&id).and_then(|found| found.modified()) else { continue };
            let Ok((uses, own)) = read_note(&id) else { continue };
            drop(uses_now);
            found.push(CacheMount {
                uses,
                id: own,
                in_use,
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
        // However large it is, nothing waits for it.
        fs::create_dir_all(&self.0.removed)?;
        let place = self.0.removed.join(self.0.removals.fetch_add(1, Ordering::Relaxed).to_string());
        match fs::rename(self.0.directory.join(name), &place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            moved => moved?,
        }
        // The last one takes the directory of all with it; it is not empty before.
        let _ = fs::remove_dir(&self.0.directory);
        drop(uses);
        images::remove_tree(&place)?;
        // Under the lock: it was not made for another one and is still unused.
        let _uses = self.uses();
        let _ = fs::remove_dir(&self.0.removed);
        Ok(true)
    }
}

impl CacheUse {
    /// The directory that is mounted.
    pub(super) fn path(&self) -> PathBuf {
        self.directory().join(FILES)
    }

    fn directory(&self) -> PathBuf {
        self.caches.0.directory.join(&self.name)
    }

    /// Fills a new one with a directory that is made elsewhere on the same file system; from now on others may join.
    ///
    /// # Errors
    /// What rename(2) or write(2) fails with.
    pub(super) fn fill(&mut self, made: &Path) -> io::Result<()> {
        let mut uses = self.caches.uses();
        note_use(&self.directory(), &self.id)?;
        fs::rename(made, self.path())?;
        if let Some(entry) = uses.get_mut(&self.name) {
            entry.is_exclusive = self.sharing != Sharing::Shared;
        }
        drop(uses);
        self.is_new = false;
        self.caches.0.ended.notify_all();
        Ok(())
    }
}

impl Drop for CacheUse {
    fn drop(&mut self) {
        let mut uses = self.caches.uses();
        if self.is_new {
            // One that could not be filled is unusable: the next step tries again.
            let _ = fs::remove_file(self.directory().join(ID));
            let _ = fs::remove_dir(self.directory());
        }
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

/// Counts a use in the file beside a directory; it is written again each time: its time is that of the last use.
fn note_use(directory: &Path, id: &str) -> io::Result<()> {
    let note = directory.join(ID);
    let before = read_note(&note).map_or(0, |(uses, _)| uses);
    fs::write(note, format!("{}\n{id}", before + 1))
}

/// The file beside a directory: how often it was used, and its id.
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
            // It may go while it is read.
            let Ok(entry) = entry else { break };
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
        let caches = CacheMounts::new(temporary.join("caches"), temporary.join("removed"));
        let cancellation = Cancellation::new();
        let key = CacheKey { id: "x", beginning: "" };
        let made = || {
            let made = temporary.join("made");
            fs::create_dir(&made).expect("a directory");
            made
        };
        let acquire = |sharing| caches.acquire(key, sharing, &cancellation).expect("a directory");
        let mut first = acquire(Sharing::Shared).expect("free");
        assert!(first.is_new);
        first.fill(&made()).expect("filled");
        let second = acquire(Sharing::Shared).expect("shared");
        assert!(!second.is_new);
        assert_eq!(first.path(), second.path());
        let owned = CacheKey { id: "x", beginning: "1000:0:755" };
        let owned = caches.acquire(owned, Sharing::Shared, &cancellation).expect("a directory");
        let mut owned = owned.expect("free");
        assert!(owned.is_new && owned.path() != first.path(), "one of another owner");
        owned.fill(&made()).expect("filled");
        let name = owned.name.clone();
        drop(owned);
        assert!(caches.remove(&name).expect("an answer"), "nobody uses it");
        let mut private = acquire(Sharing::Private).expect("one of its own");
        private.fill(&made()).expect("filled");
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

    #[test]
    fn nobody_joins_one_that_is_not_filled() {
        let temporary = Temporary::new();
        let caches = CacheMounts::new(temporary.join("caches"), temporary.join("removed"));
        let (waiting, over) = (Cancellation::new(), Cancellation::new());
        over.cancel();
        let key = CacheKey { id: "x", beginning: "files" };
        let acquire = |cancellation| caches.acquire(key, Sharing::Shared, cancellation).expect("an answer");
        let given_up = acquire(&waiting).expect("free");
        assert!(given_up.is_new && acquire(&over).is_none(), "another waits while it is filled");
        assert_eq!(caches.list().expect("a list"), [], "it is no cache yet");
        drop(given_up);
        let mut first = acquire(&waiting).expect("free");
        assert!(first.is_new, "what was never filled is new again");
        let made = temporary.join("made");
        fs::create_dir(&made).expect("a directory");
        fs::write(made.join("f"), "content").expect("a file");
        first.fill(&made).expect("filled");
        let second = acquire(&over).expect("it is filled");
        assert!(!second.is_new && second.path().join("f").is_file());
        // One that goes while others are listed or removed is gone.
        drop((first, second));
        let name = caches.list().expect("a list")[0].name.clone();
        assert!(caches.remove(&name).expect("an answer"));
        assert!(caches.remove(&name).expect("an answer"), "it is gone already");
        assert!(!temporary.join("caches").exists());
    }
}
