//! SHA-256 on a thread of its own, so that hashing and unpacking overlap, where there is enough to hash.

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
    Here(Hash),
    Elsewhere(HashThread),
}

/// A digest and size in the making.
#[derive(Default)]
struct Hash {
    digest: Sha256,
    size: u64,
}

/// The thread and the way to it.
struct HashThread {
    sender: Option<SyncSender<Chunk>>,
    thread: Option<JoinHandle<Hash>>,
}

impl Hash {
    fn update(&mut self, chunk: &Chunk) {
        self.digest.update(chunk.as_slice());
        self.size += chunk.len() as u64;
    }

    fn finish(self) -> (Digest, u64) {
        (Digest::from_bytes(self.digest.finalize().into()), self.size)
    }
}

impl Hasher {
    fn new() -> Self {
        Self::Here(Hash::default())
    }

    fn send(&mut self, chunk: Chunk) -> io::Result<()> {
        if let Self::Here(hash) = self {
            if hash.size + chunk.len() as u64 <= FEW {
                hash.update(&chunk);
                return Ok(());
            }
            *self = Self::Elsewhere(HashThread::start(std::mem::take(hash))?);
        }
        match self {
            Self::Here(_) => Ok(()),
            Self::Elsewhere(thread) => thread.send(chunk),
        }
    }

    fn finish(self) -> io::Result<(Digest, u64)> {
        match self {
            Self::Here(hash) => Ok(hash.finish()),
            Self::Elsewhere(thread) => thread.finish(),
        }
    }
}

impl HashThread {
    /// Starts the thread, which goes on from what is hashed.
    fn start(hash: Hash) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("sha256".to_owned()).spawn(move || hash_all(hash, &receiver))?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    fn send(&self, chunk: Chunk) -> io::Result<()> {
        let gone = || io::Error::other("the hashing thread is gone");
        self.sender.as_ref().ok_or_else(gone)?.send(chunk).map_err(|_| gone())
    }

    fn finish(mut self) -> io::Result<(Digest, u64)> {
        self.sender = None;
        let gone = || io::Error::other("the hashing thread is gone");
        self.thread.take().ok_or_else(gone)?.join().map(Hash::finish).map_err(|_| gone())
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

fn hash_all(mut hash: Hash, receiver: &Receiver<Chunk>) -> Hash {
    receiver.iter().for_each(|chunk| hash.update(&chunk));
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
        self.hasher.finish()
    }
}

impl<C: Chunks> Chunks for HashingChunks<C> {
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        let Some(chunk) = self.chunks.next()? else { return Ok(None) };
        self.hasher.send(Arc::clone(&chunk))?;
        Ok(Some(chunk))
    }
}

/// Hashes all that is written to it, and hands it on.
pub(crate) struct HashingWriter<W> {
    out: W,
    hasher: Hasher,
    buffer: Vec<u8>,
}

/// Small writes are gathered to this size.
const BUFFER: usize = 256 * 1024;

impl<W: Write> HashingWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, hasher: Hasher::new(), buffer: Vec::with_capacity(BUFFER) }
    }

    /// Digest and size of all that was written.
    ///
    /// # Errors
    /// When the receiver or the thread failed.
    pub(crate) fn finish(mut self) -> io::Result<(Digest, u64)> {
        self.flush()?;
        self.hasher.finish()
    }

    fn pass(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Arc::new(std::mem::replace(&mut self.buffer, Vec::with_capacity(BUFFER)));
        self.hasher.send(Arc::clone(&chunk))?;
        self.out.write_all(&chunk)
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
