//! Reads small files of one directory on several threads before they are packed, one after the other: opening thousands of
//! them takes longer than processing their bytes. Only for directories that do not change.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, available_parallelism};

use rustix::fs::{self, FileType, Mode, OFlags, Stat};

use super::holes::has_holes;
use super::stack::{self, Found};

/// Larger files are read in chunks.
pub(super) const SMALL: u64 = 64 * 1024;
/// Files that are read together, and their bytes: a bound on memory.
const RUN: usize = 128;
const RUN_BYTES: u64 = 2 << 20;
/// Fewer files are not worth the threads.
const RUN_LEAST: usize = 8;
/// Threads in addition to the one that packs.
const THREAD_LIMIT: usize = 3;

/// A small file with all that an archive holds of it.
#[derive(Debug)]
pub(super) struct SmallFile {
    pub(super) stat: Stat,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) content: Vec<u8>,
}

/// The files of a directory that were read, in the order in which they are packed; nothing for one that is to be read as
/// any other file.
pub(super) type Ready = VecDeque<(Vec<u8>, Option<SmallFile>)>;

/// Names of a directory that a thread reads.
struct Job {
    parent: Arc<OwnedFd>,
    names: Vec<Vec<u8>>,
}

struct Helper {
    jobs: Option<Sender<Job>>,
    results: Receiver<Vec<Option<SmallFile>>>,
    thread: Option<JoinHandle<()>>,
}

/// The threads that read.
#[derive(Default)]
pub(super) struct ReadAhead {
    helpers: Vec<Helper>,
    is_started: bool,
}

impl ReadAhead {
    /// The content of a file, reading it and those that are packed after it first; `rest` are the directory's other
    /// entries, last first. `None` where it is to be read like any other file.
    pub(super) fn take(
        &mut self,
        ready: &mut Ready,
        parent: &Arc<OwnedFd>,
        (child, found): (&[u8], &Found),
        rest: &[(Vec<u8>, Option<Found>)],
    ) -> Option<SmallFile> {
        if ready.front().is_none_or(|(name, _)| name != child) {
            ready.clear();
            *ready = self.read(parent, names(child, found, rest))?;
        }
        ready.pop_front()?.1
    }

    fn read(&mut self, parent: &Arc<OwnedFd>, names: Vec<Vec<u8>>) -> Option<Ready> {
        if names.len() < RUN_LEAST {
            return None;
        }
        self.start();
        let share = names.len().div_ceil(self.helpers.len() + 1);
        let mut shares = names.chunks(share);
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> = shares.zip(&self.helpers).collect();
        for (names, helper) in &others {
            let job = Job { parent: Arc::clone(parent), names: names.to_vec() };
            // A thread that is gone gives nothing: its files are read as any other.
            let _ = helper.jobs.as_ref().map(|jobs| jobs.send(job));
        }
        let mut files: Vec<_> = own.iter().map(|name| read(parent, name)).collect();
        for (names, helper) in others {
            let others = helper.results.recv().unwrap_or_default();
            files.extend(others.into_iter().chain(std::iter::repeat_with(|| None)).take(names.len()));
        }
        Some(names.into_iter().zip(files).collect())
    }

    /// A thread that cannot be started is done without.
    fn start(&mut self) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        let wanted = available_parallelism().map_or(0, |count| (count.get() - 1).min(THREAD_LIMIT));
        for _ in 0..wanted {
            let ((jobs, taken), (sender, results)) = (channel::<Job>(), channel());
            let work = move || {
                for Job { parent, names } in taken {
                    if sender.send(names.iter().map(|name| read(&parent, name)).collect()).is_err() {
                        return;
                    }
                }
            };
            if let Ok(thread) = std::thread::Builder::new().name("read".to_owned()).spawn(work) {
                self.helpers.push(Helper { jobs: Some(jobs), results, thread: Some(thread) });
            }
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It only reads: there is no failure to report.
            let _ = thread.join();
        }
    }
}

/// The small files that are packed one after the other from `child` on.
fn names(child: &[u8], found: &Found, rest: &[(Vec<u8>, Option<Found>)]) -> Vec<Vec<u8>> {
    let layer = found.layer;
    let mut bytes = 0;
    let mut fits = |found: &Found| {
        let size = u64::try_from(found.stat.st_size).unwrap_or(u64::MAX);
        let is_small = stack::kind(&found.stat) == FileType::RegularFile && size <= SMALL;
        bytes += if is_small { size } else { 0 };
        is_small && found.layer == layer && bytes <= RUN_BYTES
    };
    if !fits(found) {
        return Vec::new();
    }
    let others = rest.iter().rev().take_while(|(_, found)| found.as_ref().is_some_and(&mut fits));
    std::iter::once(child.to_vec()).chain(others.map(|(name, _)| name.clone())).take(RUN).collect()
}

/// Reads a file, if it is worth it.
fn read(parent: &OwnedFd, name: &[u8]) -> Option<SmallFile> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = fs::openat(parent, OsStr::from_bytes(name), flags, Mode::empty()).ok()?;
    let stat = fs::fstat(&file).ok()?;
    let size = u64::try_from(stat.st_size).ok().filter(|size| (1..=SMALL).contains(size))?;
    // A file without blocks may be generated by the kernel.
    if stack::kind(&stat) != FileType::RegularFile || stat.st_blocks == 0 || has_holes(&stat, size) {
        return None;
    }
    let attributes = stack::attributes(&file).ok()?;
    let content = whole(&File::from(file), size).ok()?;
    Some(SmallFile { stat, attributes, content })
}

fn whole(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}
