//! SHA-256 on a thread of its own, so that hashing and unpacking overlap, where there is enough to hash.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use model::Digest;
use sha2::{Digest as _, Sha256};

use crate::tar::{Chunk, Chunks};

/// How many chunks may wait for the hash: a bound on memory.
const QUEUE: usize = 4;

/// So many bytes are hashed where they pass: that takes less time than to start a thread.
const FEW: u64 = 64 * 1024;

/// Hashes all chunks that pass through it.
pub(crate) struct HashingChunks<C> {
    chunks: C,
    hasher: Hasher,
}

/// Where the hash is computed.
enum Hasher {
    Here(MarkedHash),
    Elsewhere(HashThread),
}

/// A digest and size in the making.
#[derive(Clone, Default)]
pub(super) struct Hash {
    digest: Sha256,
    size: u64,
}

/// A hash, and its state at a mark if that was requested.
#[derive(Default)]
struct MarkedHash {
    hash: Hash,
    marks: Vec<Hash>,
}

/// Messages to the thread that computes the hash.
enum Piece {
    Chunk(Chunk),
    /// The hash's present state is to be recorded.
    Mark,
}

/// The thread and the way to it.
struct HashThread {
    sender: Option<SyncSender<Piece>>,
    thread: Option<JoinHandle<MarkedHash>>,
}

impl MarkedHash {
    fn take(&mut self, piece: &Piece) {
        match piece {
            Piece::Chunk(chunk) => {
                self.hash.digest.update(chunk.as_slice());
                self.hash.size += chunk.len() as u64;
            }
            Piece::Mark => self.marks.push(self.hash.clone()),
        }
    }

    fn finish(self) -> (Digest, u64, Vec<Hash>) {
        let Hash { digest, size } = self.hash;
        (Digest::from_bytes(digest.finalize().into()), size, self.marks)
    }
}

impl Hasher {
    fn new() -> Self {
        Self::Here(MarkedHash::default())
    }

    fn send(&mut self, chunk: Chunk) -> io::Result<()> {
        let chunk_size = chunk.len() as u64;
        let piece = Piece::Chunk(chunk);
        if let Self::Here(hash) = self {
            if hash.hash.size + chunk_size <= FEW {
                hash.take(&piece);
                return Ok(());
            }
            *self = Self::Elsewhere(HashThread::start(std::mem::take(hash))?);
        }
        self.pass(piece)
    }

    /// Passes a message to the thread that computes the hash.
    fn pass(&mut self, piece: Piece) -> io::Result<()> {
        match self {
            Self::Here(hash) => {
                hash.take(&piece);
                Ok(())
            }
            Self::Elsewhere(thread) => thread.send(piece),
        }
    }

    fn finish(self) -> io::Result<(Digest, u64, Vec<Hash>)> {
        match self {
            Self::Here(hash) => Ok(hash.finish()),
            Self::Elsewhere(thread) => thread.finish(),
        }
    }
}

impl HashThread {
    /// Starts the thread, which continues from the given hash.
    fn start(hash: MarkedHash) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("sha256".to_owned()).spawn(move || hash_all(hash, &receiver))?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        let gone = || io::Error::other("the hashing thread is gone");
        self.sender.as_ref().ok_or_else(gone)?.send(piece).map_err(|_| gone())
    }

    fn finish(mut self) -> io::Result<(Digest, u64, Vec<Hash>)> {
        self.sender = None;
        let gone = || io::Error::other("the hashing thread is gone");
        self.thread.take().ok_or_else(gone)?.join().map(MarkedHash::finish).map_err(|_| gone())
    }
}

impl Drop for HashThread {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // It only hashes: there is no failure to report.
            let _ = thread.join();
        }
    }
}

fn hash_all(mut hash: MarkedHash, receiver: &Receiver<Piece>) -> MarkedHash {
    receiver.iter().for_each(|piece| hash.take(&piece));
    hash
}

impl<C: Chunks> HashingChunks<C> {
    pub(crate) fn new(chunks: C) -> Self {
        Self { chunks, hasher: Hasher::new() }
    }

    /// Digest and size of all that passed.
    ///
    /// # Errors
    /// When the thread failed.
    pub(crate) fn finish(self) -> io::Result<(Digest, u64)> {
        let (digest, size, _) = self.hasher.finish()?;
        Ok((digest, size))
    }
}

impl<C: Chunks> Chunks for HashingChunks<C> {
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        let Some(chunk) = self.chunks.next()? else { return Ok(None) };
        self.hasher.send(Arc::clone(&chunk))?;
        Ok(Some(chunk))
    }
}

/// Hashes all that is written to it, and passes it on.
pub(crate) struct HashingWriter<W> {
    out: W,
    hasher: Hasher,
    buffer: Vec<u8>,
    /// The chunks that were sent last, the oldest first: their memory is reused once they are hashed, since that of new
    /// ones would have to be mapped page by page.
    sent: VecDeque<Chunk>,
}

/// Small writes are gathered to this size.
const BUFFER: usize = 256 * 1024;

impl<W: Write> HashingWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, hasher: Hasher::new(), buffer: Vec::with_capacity(BUFFER), sent: VecDeque::new() }
    }

    /// Continues from a hash that was marked earlier.
    pub(super) fn going_on(out: W, hash: Hash) -> Self {
        let hasher = Hasher::Here(MarkedHash { hash, marks: Vec::new() });
        Self { hasher, ..Self::new(out) }
    }

    /// Marks what the hash is now.
    ///
    /// # Errors
    /// When the receiver or the thread failed.
    pub(super) fn mark(&mut self) -> io::Result<()> {
        self.pass()?;
        self.hasher.pass(Piece::Mark)
    }

    /// Has so many bytes, fewer than are gathered at once, put behind those that are gathered.
    ///
    /// # Errors
    /// When `put`, the receiver or the thread failed.
    pub(super) fn gather(
        &mut self,
        count: u64,
        put: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.buffer.len() as u64 + count > BUFFER as u64 {
            self.pass()?;
        }
        put(&mut self.buffer)?;
        if self.buffer.len() >= BUFFER { self.pass() } else { Ok(()) }
    }

    /// Digest and size of all that was written.
    ///
    /// # Errors
    /// When the receiver or the thread failed.
    pub(crate) fn finish(self) -> io::Result<(Digest, u64)> {
        let (digest, size, _) = self.finish_marked()?;
        Ok((digest, size))
    }

    /// Digest and size of all that was written, and the hashes that were marked.
    ///
    /// # Errors
    /// When the receiver or the thread failed.
    pub(super) fn finish_marked(mut self) -> io::Result<(Digest, u64, Vec<Hash>)> {
        self.flush()?;
        self.hasher.finish()
    }

    fn pass(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let next = self.empty_buffer();
        let chunk = Arc::new(std::mem::replace(&mut self.buffer, next));
        self.hasher.send(Arc::clone(&chunk))?;
        self.out.write_all(&chunk)?;
        self.sent.push_back(chunk);
        Ok(())
    }

    /// The memory of the oldest chunk, if it has no reader any more. There are no more than wait for their hash.
    fn empty_buffer(&mut self) -> Vec<u8> {
        match self.sent.pop_front().map(Arc::try_unwrap) {
            Some(Ok(mut buffer)) => {
                buffer.clear();
                buffer
            }
            Some(Err(busy)) => {
                self.sent.push_front(busy);
                Vec::with_capacity(BUFFER)
            }
            None => Vec::with_capacity(BUFFER),
        }
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BUFFER - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == BUFFER {
            self.pass()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass()?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_and_many_have_the_digest_of_what_was_written() {
        let few = usize::try_from(FEW).expect("few bytes");
        for size in [0, 1, few - 1, few, few + 1, BUFFER, 3 * BUFFER + 7] {
            let bytes: Vec<u8> = (0..251).cycle().take(size).collect();
            let mut out = Vec::new();
            let mut hashing = HashingWriter::new(&mut out);
            for piece in bytes.chunks(1000) {
                hashing.write_all(piece).expect("written");
                if piece[0] % 3 == 0 {
                    hashing.flush().expect("handed on");
                }
            }
            let want = (Digest::from_bytes(Sha256::digest(&bytes).into()), size as u64);
            assert_eq!(hashing.finish().expect("a digest"), want);
            assert_eq!(out, bytes);
        }
    }
}
