//! SHA-256 on a thread of its own, so that hashing and unpacking overlap.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use model::Digest;
use sha2::{Digest as _, Sha256};

use crate::tar::{Chunk, Chunks};

/// How many chunks may wait for the hash: a bound on memory.
const QUEUE: usize = 4;

/// Hashes all chunks that pass through it.
pub(crate) struct HashingChunks<C> {
    chunks: C,
    hasher: Hasher,
}

/// The thread and the way to it.
struct Hasher {
    sender: Option<SyncSender<Chunk>>,
    thread: Option<JoinHandle<(Digest, u64)>>,
}

impl Hasher {
    fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("sha256".to_owned()).spawn(move || hash(&receiver))?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    fn send(&self, chunk: Chunk) -> io::Result<()> {
        let gone = || io::Error::other("the hashing thread is gone");
        self.sender.as_ref().ok_or_else(gone)?.send(chunk).map_err(|_| gone())
    }

    fn finish(mut self) -> io::Result<(Digest, u64)> {
        self.sender = None;
        let gone = || io::Error::other("the hashing thread is gone");
        self.thread.take().ok_or_else(gone)?.join().map_err(|_| gone())
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // It only hashes: there is no failure to report.
            let _ = thread.join();
        }
    }
}

fn hash(receiver: &Receiver<Chunk>) -> (Digest, u64) {
    let mut hasher = Sha256::new();
    let mut size = 0;
    for chunk in receiver {
        hasher.update(chunk.as_slice());
        size += chunk.len() as u64;
    }
    (Digest::from_bytes(hasher.finalize().into()), size)
}

impl<C: Chunks> HashingChunks<C> {
    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(chunks: C) -> io::Result<Self> {
        Ok(Self { chunks, hasher: Hasher::start()? })
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
    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(out: W) -> io::Result<Self> {
        Ok(Self { out, hasher: Hasher::start()?, buffer: Vec::with_capacity(BUFFER) })
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
