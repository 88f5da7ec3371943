//! Hashes contents on a thread of their own while they are read and written.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use images::tar::{Chunk, Extent};
use model::Digest;
use sha2::{Digest as _, Sha256};

/// So many chunks may wait to be hashed.
const WAITING: usize = 8;

enum Job {
    /// Several contents, with their numbers, each as a whole.
    Whole(Vec<u8>, Vec<(u32, Range<usize>)>),
    /// A part of a content.
    Piece(Chunk, Range<usize>),
    /// Where a content with holes has bytes: so holes need not be hashed, however long.
    Holes(Vec<u8>),
    /// The content of this number ends here.
    End(u32),
}

/// A running hash thread; it has ended when the hasher is finished or dropped.
pub(super) struct Hasher {
    /// `None` once nothing more comes.
    jobs: Option<SyncSender<Job>>,
    used: Receiver<Vec<u8>>,
    /// `None` once it has ended.
    thread: Option<JoinHandle<Digests>>,
    known: Vec<(u32, Digest)>,
}

impl Hasher {
    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, incoming) = sync_channel(WAITING);
        let (recycle, used) = channel();
        let thread = thread::Builder::new().name("sha256".to_owned());
        let thread = thread.spawn(move || hash(&incoming, &recycle))?;
        Ok(Self { jobs: Some(jobs), used, thread: Some(thread), known: Vec::new() })
    }

    /// Hashes contents that lie in `bytes`, and gives an empty buffer back.
    pub(super) fn whole(&self, bytes: Vec<u8>, contents: Vec<(u32, Range<usize>)>) -> Vec<u8> {
        self.send(Job::Whole(bytes, contents));
        self.used.try_recv().unwrap_or_default()
    }

    /// Begins a content that has bytes only here and there.
    pub(super) fn holes(&self, size: u64, extents: &[Extent]) {
        let numbers = extents.iter().flat_map(|extent| [extent.offset, extent.length]);
        self.send(Job::Holes([size].into_iter().chain(numbers).flat_map(u64::to_le_bytes).collect()));
    }

    /// Continues with a content.
    pub(super) fn piece(&self, chunk: &Chunk, range: Range<usize>) {
        self.send(Job::Piece(Chunk::clone(chunk), range));
    }

    /// Ends a content.
    pub(super) fn end(&self, number: u32) {
        self.send(Job::End(number));
    }

    /// Records a known digest.
    pub(super) fn known(&mut self, number: u32, digest: Digest) {
        self.known.push((number, digest));
    }

    /// Waits for the digests of all contents, in the order of their numbers.
    pub(super) fn finish(mut self) -> Vec<Digest> {
        let mut digests = self.join();
        for (number, digest) in std::mem::take(&mut self.known) {
            digests.set(number, digest);
        }
        digests.0
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread takes jobs for as long as the channel is open.
            let _ = jobs.send(job);
        }
    }

    /// Closes the channel and waits for the thread, which then ends.
    fn join(&mut self) -> Digests {
        self.jobs.take();
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.join();
    }
}

/// Digests by the numbers of their contents: a million of them are held once.
#[derive(Debug, Default)]
struct Digests(Vec<Digest>);

impl Digests {
    fn set(&mut self, number: u32, digest: Digest) {
        let index = number as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, Digest::from_bytes([0; 32]));
        }
        self.0[index] = digest;
    }
}

fn hash(incoming: &Receiver<Job>, recycle: &Sender<Vec<u8>>) -> Digests {
    let mut digests = Digests::default();
    let mut state = Sha256::new();
    for job in incoming {
        match job {
            Job::Whole(mut bytes, contents) => {
                for (number, range) in contents {
                    digests.set(number, Digest::from_bytes(Sha256::digest(&bytes[range]).into()));
                }
                bytes.clear();
                let _ = recycle.send(bytes);
            }
            Job::Piece(chunk, range) => state.update(&chunk[range]),
            Job::Holes(map) => state.update(map),
            Job::End(number) => digests.set(number, Digest::from_bytes(state.finalize_reset().into())),
        }
    }
    digests
}
