//! Reading and writing of tar streams: ustar, PAX and GNU, with access to the raw bytes.
//!
//! Layers must be restored byte for byte, so the reader returns what it skipped between two contents
//! verbatim; it borrows its input in chunks, so that contents are written without a copy.

mod block;
mod chunk;
mod content;
mod entry;
mod error;
mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

pub use block::BLOCK;
pub(crate) use block::padding;
pub use chunk::Chunk;
pub(crate) use chunk::{Chunks, ReaderChunks};
pub use content::ContentReader;
pub use entry::{Entry, EntryKind, Extent, Places};
pub use error::ArchiveError;
pub(crate) use error::is_want_of_room;
pub(crate) use error::shown;
pub use reader::{Reader, input_error};
pub(crate) use writer::{Member, Writer};

/// Whether a block is an entry's header, by its checksum.
#[must_use]
pub fn is_header(block: &[u8; BLOCK]) -> bool {
    let header = header::Header(block);
    !header.is_zero() && header.checksum_holds()
}
