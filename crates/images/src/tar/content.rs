//! Reads the content of an archive's entries, and what follows the last one.

use std::io::{self, Read};
use std::ops::Range;

use super::{ArchiveError, Chunk, Reader};

impl<'a> Reader<'a> {
    /// Passes the entry's content to `sink` in parts.
    ///
    /// # Errors
    /// [`ArchiveError::Truncated`] when the stream ends within it; whatever `sink` fails with.
    pub fn content(
        &mut self,
        mut sink: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        self.shared_content(|chunk, range| sink(&chunk[range]))
    }

    /// Passes the entry's content to `sink` in parts of chunks that it may keep.
    ///
    /// # Errors
    /// [`ArchiveError::Truncated`] when the stream ends within it; whatever `sink` fails with.
    pub fn shared_content(
        &mut self,
        mut sink: impl FnMut(&Chunk, Range<usize>) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        while self.remaining > 0 {
            let available = self.fill()?.ok_or(ArchiveError::Truncated)?;
            let count =
                usize::try_from(self.remaining).map_or(available, |remaining| remaining.min(available));
            sink(&self.current, self.position..self.position + count)?;
            self.consume(count);
        }
        Ok(())
    }

    /// Counts bytes of the content as read.
    const fn consume(&mut self, count: usize) {
        self.position += count;
        self.offset += count as u64;
        self.remaining -= count as u64;
    }

    /// The entry's content as a reader.
    pub const fn content_reader(&mut self) -> ContentReader<'_, 'a> {
        ContentReader { reader: self }
    }

    /// Reads what follows the end of the archive to the end of the stream, up to `limit` bytes.
    ///
    /// # Errors
    /// [`ArchiveError::Limit`] when more follows; whatever `sink` fails with.
    pub(crate) fn trailer(
        &mut self,
        limit: u64,
        mut sink: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut total = 0;
        while let Some(available) = self.fill()? {
            total += available as u64;
            if total > limit {
                return Err(ArchiveError::Limit { what: "bytes after the end of the archive", limit });
            }
            sink(&self.current[self.position..])?;
            self.position += available;
            self.offset += available as u64;
        }
        Ok(())
    }
}

/// Reads one entry's content: an archive within an archive.
pub struct ContentReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
}

impl Read for ContentReader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = &mut *self.reader;
        if reader.remaining == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let available = reader.fill().map_err(io::Error::other)?;
        let available = available.ok_or_else(|| io::Error::other(ArchiveError::Truncated))?;
        let most = usize::try_from(reader.remaining).map_or(available, |left| left.min(available));
        let count = most.min(buffer.len());
        buffer[..count].copy_from_slice(&reader.current[reader.position..reader.position + count]);
        reader.consume(count);
        Ok(count)
    }
}
