//! Hashes the contents of a stream's files on a thread of its own, while they are written.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use model::Digest;
use sha2::{Digest as _, Sha256};

/// The size of the pieces that contents are read, written and hashed in.
const PIECE: usize = 256 * 1024;
/// As many pieces may wait to be hashed.
const WAITING: usize = 8;

enum Job {
    Data(Vec<u8>),
    /// The content ends here.
    End,
}

/// A running hash thread; contents are numbered from 0 in the order of their ends.
pub(super) struct Hasher {
    jobs: SyncSender<Job>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Vec<Digest>>,
    ended: usize,
}

impl Hasher {
    /// Starts the thread.
    pub(super) fn start() -> Self {
        let (jobs, incoming) = sync_channel(WAITING);
        let (recycle, empty) = channel();
        let thread = thread::spawn(move || hash(&incoming, &recycle));
        Self { jobs, empty, thread, ended: 0 }
    }

    /// A buffer to read the next piece into.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.empty.try_recv().unwrap_or_default();
        buffer.resize(PIECE, 0);
        buffer
    }

    /// Hashes a piece of the present content.
    pub(super) fn add(&self, piece: Vec<u8>) {
        // The thread lives until the channel is closed.
        let _ = self.jobs.send(Job::Data(piece));
    }

    /// Ends the present content and gives its number.
    pub(super) fn end(&mut self) -> usize {
        let _ = self.jobs.send(Job::End);
        self.ended += 1;
        self.ended - 1
    }

    /// Waits for the digests of all contents.
    pub(super) fn finish(self) -> Vec<Digest> {
        drop(self.jobs);
        self.thread.join().unwrap_or_default()
    }
}

fn hash(incoming: &Receiver<Job>, recycle: &Sender<Vec<u8>>) -> Vec<Digest> {
    let mut digests = Vec::new();
    let mut state = Sha256::new();
    for job in incoming {
        match job {
            Job::Data(piece) => {
                state.update(&piece);
                let _ = recycle.send(piece);
            }
            Job::End => digests.push(Digest::from_bytes(state.finalize_reset().into())),
        }
    }
    digests
}
