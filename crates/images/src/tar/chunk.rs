//! Input in shared chunks: one thread parses and writes them while others hash them.

use std::io::{self, Read};
use std::sync::Arc;

use super::ArchiveError;
use crate::archive_memory::Share;

/// A part of a stream that several threads may read.
pub type Chunk = Arc<Vec<u8>>;

/// The size of a chunk: large enough that passing it on costs nothing compared with hashing it.
pub(crate) const CHUNK: usize = 256 * 1024;

/// How many chunks are kept for use again.
const POOL: usize = 8;

/// The memory of a reader without its chunks, about: data on its way from a client, and the threads that process
/// it.
const READER: usize = 256 * 1024;

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

/// Cuts a reader into chunks; their buffers are reused once they are released.
pub(crate) struct ReaderChunks<R> {
    reader: R,
    pool: Vec<Chunk>,
    /// The memory of the chunks in use, and of the reader's source.
    share: Share,
}

impl<R: Read> ReaderChunks<R> {
    /// Reads from `reader`.
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, pool: Vec::new(), share: Share::default() }
    }

    /// A chunk that was released, or a new one.
    fn buffer(&mut self) -> Result<Vec<u8>, ArchiveError> {
        if let Some(index) = self.pool.iter().position(|chunk| Arc::strong_count(chunk) == 1) {
            return Ok(Arc::try_unwrap(self.pool.swap_remove(index)).unwrap_or_default());
        }
        // Beyond the pool the holders of chunks bound their number: they wait in short queues.
        if self.pool.len() < POOL {
            self.share.raise_to(READER + CHUNK * (self.pool.len() + 1))?;
        }
        Ok(Vec::new())
    }
}

impl<R: Read> Chunks for ReaderChunks<R> {
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        let mut buffer = self.buffer().map_err(io::Error::other)?;
        buffer.resize(CHUNK, 0);
        let mut filled = 0;
        // Small reads (a socket's, a decoder's) are gathered: passing on a chunk has a cost.
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
