//! Makes files on several threads: a copy of thousands spends its time in the kernel.
//!
//! Files come in batches of the same directory, in which the kernel makes one name at a time. The thread that adds them
//! also writes them wherever it would wait otherwise, so that one processor needs no further thread.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, available_parallelism};

use super::create::{Content, replace};
use super::{Node, NodeKind, TreeError};

/// Files of one batch, unless its directory has fewer.
const BATCH: usize = 64;
/// A batch of fewer files continues in the next directory.
const SMALL_BATCH: usize = 16;
/// Bytes of one batch.
const BATCH_BYTES: u64 = 1 << 20;
/// Batches that wait: with their bytes a bound on memory.
const QUEUE: usize = 4;
/// Threads in addition to the one that adds.
const THREAD_LIMIT: usize = 3;

/// A file that is to be made.
#[derive(Debug)]
pub(super) struct NewFile {
    /// Where, on the host.
    pub(super) path: PathBuf,
    /// Its place in the tree, for errors.
    pub(super) shown: PathBuf,
    pub(super) node: Node,
    pub(super) source: FileSource,
}

/// Where the content of a new file comes from.
#[derive(Debug)]
pub(crate) enum FileSource {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file that stays as it is until the writers are done.
    Copy(PathBuf),
}

impl NewFile {
    fn make(&self) -> Result<(), TreeError> {
        let mut content = match &self.source {
            FileSource::Bytes(bytes) => Content::Bytes(bytes),
            FileSource::Copy(path) => Content::Copy(path),
        };
        replace(&self.path, &self.node, &mut content).map_err(TreeError::file("create", &self.shown))
    }

    const fn size(&self) -> u64 {
        match self.node.kind {
            NodeKind::File { size } => size,
            _ => 0,
        }
    }
}

/// The files that are being made, and the threads that make them.
#[derive(Debug, Default)]
pub(super) struct Writers {
    batch: Vec<NewFile>,
    batch_bytes: u64,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Vec<NewFile>>,
    /// Batches that threads work on.
    working: usize,
    /// The failure that came first; nothing more is made after it.
    failure: Option<TreeError>,
    is_closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, batch: &[NewFile]) {
        for file in batch {
            let made = file.make();
            if made.is_err() || self.state().failure.is_some() {
                if let Err(failure) = made {
                    self.state().failure.get_or_insert(failure);
                }
                return;
            }
        }
    }

    /// Makes batches until there will be no more.
    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some(batch) = state.queue.pop_front() {
                state.working += 1;
                drop(state);
                self.make(&batch);
                state = self.state();
                state.working -= 1;
                self.changed.notify_all();
            } else if state.is_closed {
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Writers {
    /// Has a file made now or later; what is under its name gives way.
    pub(super) fn add(&mut self, file: NewFile) {
        let is_elsewhere = self.batch.last().is_some_and(|last| last.path.parent() != file.path.parent());
        if is_elsewhere && self.batch.len() >= SMALL_BATCH {
            self.send();
        }
        self.batch_bytes += file.size();
        self.batch.push(file);
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
            self.send();
        }
    }

    fn send(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.start_threads();
        let mut state = self.shared.state();
        if self.threads.is_empty() || state.queue.len() >= QUEUE {
            drop(state);
            return self.shared.make(&batch);
        }
        state.queue.push_back(batch);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// A thread that cannot be started is done without.
    fn start_threads(&mut self) {
        if !self.threads.is_empty() {
            return;
        }
        let wanted = available_parallelism().map_or(0, |count| (count.get() - 1).min(THREAD_LIMIT));
        for _ in 0..wanted {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("files".to_owned());
            self.threads.extend(thread.spawn(move || shared.work()).ok());
        }
    }

    /// Waits until all files are there.
    ///
    /// # Errors
    /// [`TreeError`] of the first that could not be made.
    pub(super) fn complete(&mut self) -> Result<(), TreeError> {
        self.batch_bytes = 0;
        self.shared.make(&std::mem::take(&mut self.batch));
        let mut state = self.shared.state();
        loop {
            if let Some(batch) = state.queue.pop_front() {
                drop(state);
                self.shared.make(&batch);
                state = self.shared.state();
            } else if state.working > 0 {
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                return state.failure.take().map_or(Ok(()), Err);
            }
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.queue.clear();
        state.is_closed = true;
        drop(state);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // It has no failure of its own to report.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tree::{Metadata, Modified};

    fn file(directory: &std::path::Path, name: &str, content: &str) -> NewFile {
        let modified = Some(Modified { seconds: 7, nanoseconds: 0 });
        let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let metadata = Metadata { mode: 0o640, user, group, modified, attributes: Vec::new() };
        let kind = NodeKind::File { size: content.len() as u64 };
        NewFile {
            path: directory.join(name),
            shown: name.into(),
            node: Node { kind, shared: None, metadata },
            source: FileSource::Bytes(content.as_bytes().to_vec()),
        }
    }

    /// Another one for each file.
    fn content(directory: &std::path::Path, name: u32) -> String {
        format!("{name} of {}", directory.display())
    }

    #[test]
    fn all_files_are_there_when_the_writers_are_done() {
        let root = std::env::temp_dir().join(format!("berth-writers-{}", std::process::id()));
        let mut writers = Writers::default();
        for directory in 0..30 {
            let directory = root.join(directory.to_string());
            fs::create_dir_all(&directory).expect("a directory");
            for name in 0..33 {
                writers.add(file(&directory, &name.to_string(), &content(&directory, name)));
            }
        }
        writers.complete().expect("all files");
        for directory in 0..30 {
            let directory = root.join(directory.to_string());
            for name in 0..33 {
                let file = directory.join(name.to_string());
                assert_eq!(fs::read_to_string(&file).expect("a file"), content(&directory, name));
            }
            assert_eq!(directory.read_dir().expect("the directory").count(), 33, "nothing else is there");
        }
        fs::remove_dir_all(&root).expect("the directory");
    }

    #[test]
    fn the_failure_of_one_is_given_and_nothing_hangs() {
        let root = std::env::temp_dir().join(format!("berth-writers-failure-{}", std::process::id()));
        fs::create_dir_all(&root).expect("a directory");
        let mut writers = Writers::default();
        for number in 0..1000 {
            let name = if number == 500 { "missing/x".to_owned() } else { number.to_string() };
            writers.add(file(&root, &name, "x"));
        }
        let failure = writers.complete().expect_err("a directory is missing");
        assert!(failure.to_string().starts_with("cannot create missing/x"), "{failure}");
        writers.complete().expect("the failure was given");
        fs::remove_dir_all(&root).expect("the directory");
    }
}
