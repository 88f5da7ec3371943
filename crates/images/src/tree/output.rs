//! Where a tar goes that is being packed.

use std::io::{self, Write};
use std::path::Path;

use model::Digest;

/// Receives a tar in parts.
pub(crate) trait Output {
    /// Takes bytes of the tar.
    ///
    /// # Errors
    /// When it cannot.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Flushes buffered data.
    ///
    /// # Errors
    /// When it cannot.
    fn flush(&mut self) -> io::Result<()>;

    /// Notes that an entry of the tar begins.
    ///
    /// # Errors
    /// When it cannot.
    fn begin_entry(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes a content that lies at a source, by its digest and size; whether its bytes are to follow.
    ///
    /// # Errors
    /// When it cannot.
    fn content(&mut self, _source: &Path, _digest: &Digest, _size: u64) -> io::Result<bool> {
        Ok(true)
    }
}

impl<W: Write> Output for W {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(self)
    }
}
