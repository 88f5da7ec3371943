//! Hashes the contents of a stream's files, the large ones on a thread of their own while they are
//! written.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use model::Digest;
use sha2::{Digest as _, Sha256};

/// The size of the pieces that contents are read, written and hashed in.
const PIECE: u64 = 256 * 1024;
/// Contents up to this size are hashed at once: waking a thread would take longer.
const SMALL: u64 = 32 * 1024;
/// As many pieces may wait to be hashed.
const WAITING: usize = 8;

enum Job {
    Data(Vec<u8>),
    /// The content of this number ends here.
    End(usize),
}

/// A running hash thread; contents are numbered from 0 in the order of their ends.
pub(super) struct Hasher {
    jobs: SyncSender<Job>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Vec<(usize, Digest)>>,
    /// The contents that were hashed at once.
    small: Vec<(usize, Digest)>,
    ended: usize,
    /// The buffer of small contents.
    spare: Vec<u8>,
}

impl Hasher {
    /// Starts the thread.
    pub(super) fn start() -> Self {
        let (jobs, incoming) = sync_channel(WAITING);
        let (recycle, empty) = channel();
        let thread = thread::spawn(move || hash(&incoming, &recycle));
        Self { jobs, empty, thread, small: Vec::new(), ended: 0, spare: Vec::new() }
    }

    /// Hashes a content while `pass` reads and writes it piece by piece, and gives its number.
    ///
    /// `size` is what the content is expected to have; `pass` fills the buffer as far as it can,
    /// uses what it filled, and gives how much that is: 0 at the end.
    ///
    /// # Errors
    /// Whatever `pass` fails with.
    pub(super) fn content<E>(
        &mut self,
        size: u64,
        mut pass: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        if size <= SMALL {
            return self.small_content(size, pass);
        }
        loop {
            let mut piece = self.empty.try_recv().unwrap_or_default();
            piece.resize(length(size.min(PIECE)), 0);
            let count = pass(&mut piece)?;
            if count == 0 {
                break;
            }
            piece.truncate(count);
            // The thread lives until the channel is closed.
            let _ = self.jobs.send(Job::Data(piece));
        }
        let number = self.next_number();
        let _ = self.jobs.send(Job::End(number));
        Ok(number)
    }

    fn small_content<E>(
        &mut self,
        size: u64,
        mut pass: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut state = Sha256::new();
        let mut buffer = std::mem::take(&mut self.spare);
        // One byte more, so that the end is seen.
        buffer.resize(length(size) + 1, 0);
        loop {
            match pass(&mut buffer)? {
                0 => break,
                count => state.update(&buffer[..count]),
            }
        }
        self.spare = buffer;
        let number = self.next_number();
        self.small.push((number, Digest::from_bytes(state.finalize().into())));
        Ok(number)
    }

    fn next_number(&mut self) -> usize {
        self.ended += 1;
        self.ended - 1
    }

    /// Waits for the digests of all contents.
    pub(super) fn finish(self) -> Vec<Digest> {
        drop(self.jobs);
        let mut digests = self.thread.join().unwrap_or_default();
        digests.extend(self.small);
        digests.sort_unstable();
        digests.into_iter().map(|(_, digest)| digest).collect()
    }
}

/// A length that is known to be small.
fn length(size: u64) -> usize {
    usize::try_from(size).unwrap_or(0)
}

fn hash(incoming: &Receiver<Job>, recycle: &Sender<Vec<u8>>) -> Vec<(usize, Digest)> {
    let mut digests = Vec::new();
    let mut state = Sha256::new();
    for job in incoming {
        match job {
            Job::Data(piece) => {
                state.update(&piece);
                let _ = recycle.send(piece);
            }
            Job::End(number) => digests.push((number, Digest::from_bytes(state.finalize_reset().into()))),
        }
    }
    digests
}
