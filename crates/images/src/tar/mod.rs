//! Reading and writing of tar streams: ustar, PAX and GNU, with the raw bytes at hand.
//!
//! Layers must be given back byte for byte, so the reader hands out what it skipped between two
//! contents verbatim; it borrows its input in chunks, so that contents are written without a copy.

mod chunk;
mod content;
mod entry;
mod error;
mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

pub use chunk::Chunk;
pub(crate) use chunk::{Chunks, ReaderChunks};
pub use content::ContentReader;
pub use entry::{Entry, EntryKind, Extent, Places};
pub use error::ArchiveError;
pub(crate) use error::shown;
pub use reader::Reader;
pub(crate) use reader::input_error;
pub(crate) use writer::{Member, Writer};

/// The unit of a tar.
pub const BLOCK: usize = 512;

/// Whether a block is an entry's header, by its checksum.
#[must_use]
pub fn is_header(block: &[u8; BLOCK]) -> bool {
    let header = header::Header(block);
    !header.is_zero() && header.checksum_holds()
}

/// The bytes that fill the last block of a content.
pub(crate) const fn padding(size: u64) -> usize {
    // The remainder is below 512, so the cast keeps it.
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of 512")]
    let rest = (size % BLOCK as u64) as usize;
    if rest == 0 { 0 } else { BLOCK - rest }
}
