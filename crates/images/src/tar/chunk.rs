//! Input in shared chunks: one thread parses and writes them while others hash them.

use std::io::{self, Read};
use std::sync::Arc;

/// A piece of a stream that several threads may read.
pub type Chunk = Arc<Vec<u8>>;

/// The size of a chunk: large enough that a hand-over costs nothing beside hashing it.
pub(crate) const CHUNK: usize = 256 * 1024;

/// How many chunks are kept for use again.
const POOL: usize = 8;

/// A stream as a sequence of chunks.
pub(crate) trait Chunks {
    /// Takes the next chunk, never an empty one; `None` at the end.
    ///
    /// # Errors
    /// Whatever the source fails with.
    fn next(&mut self) -> io::Result<Option<Chunk>>;
}

impl<C: Chunks + ?Sized> Chunks for &mut C {
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        (**self).next()
    }
}

/// Cuts a reader into chunks; their buffers are used again once nobody holds them.
pub(crate) struct ReaderChunks<R> {
    reader: R,
    pool: Vec<Chunk>,
}

impl<R: Read> ReaderChunks<R> {
    /// Reads from `reader`.
    pub(crate) const fn new(reader: R) -> Self {
        Self { reader, pool: Vec::new() }
    }

    fn buffer(&mut self) -> Vec<u8> {
        for index in 0..self.pool.len() {
            if Arc::strong_count(&self.pool[index]) == 1 {
                return Arc::try_unwrap(self.pool.swap_remove(index)).unwrap_or_default();
            }
        }
        Vec::new()
    }
}

impl<R: Read> Chunks for ReaderChunks<R> {
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        let mut buffer = self.buffer();
        buffer.resize(CHUNK, 0);
        let mut filled = 0;
        // Small reads (a socket's, a decoder's) are gathered: a chunk costs a hand-over.
        while filled < CHUNK {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if filled == 0 {
            return Ok(None);
        }
        buffer.truncate(filled);
        let chunk = Arc::new(buffer);
        if self.pool.len() < POOL {
            self.pool.push(Arc::clone(&chunk));
        }
        Ok(Some(chunk))
    }
}
