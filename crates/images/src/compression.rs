//! Finds out how a stream is compressed, and decompresses it.

use std::io::{self, BufReader, Cursor, Read};

use crate::archive_memory::Share;
use crate::budget::Budget;
use crate::tar::{ArchiveError, input_error};
use crate::xz_window;
use crate::zstd_reader::ZstdReader;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// bzip2.
    Bzip2,
    /// The `.xz` format.
    Xz,
    /// RFC 8878.
    Zstd,
}

/// So many bytes distinguish all formats.
const MAGIC_LENGTH: usize = 6;

impl Compression {
    /// Recognises a stream by its first bytes.
    #[must_use]
    pub fn detect(start: &[u8]) -> Self {
        if start.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if start.starts_with(b"BZh") {
            Self::Bzip2
        } else if start.starts_with(b"\xfd7zXZ\0") {
            Self::Xz
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable_frame(start) {
            Self::Zstd
        } else {
            Self::Identity
        }
    }

    /// The format's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "plain",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }
}

/// RFC 8878, section 3.1.2: zstd streams may begin with frames to be skipped.
fn is_skippable_frame(start: &[u8]) -> bool {
    start.len() >= 4 && (0x50..=0x5f).contains(&start[0]) && start[1..4] == [0x2a, 0x4d, 0x18]
}

/// A reader whose first bytes were peeked at.
pub type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// Peeks at the first bytes of a stream.
///
/// # Errors
/// Whatever the reader fails with.
pub fn peek<R: Read>(mut reader: R) -> io::Result<(Compression, Peeked<R>)> {
    let length = MAGIC_LENGTH as u64;
    let start = sys::bounded_read::read_stream(reader.by_ref().take(length), length)?;
    Ok((Compression::detect(&start), Cursor::new(start).chain(reader)))
}

/// The largest window that an xz stream may require: that of `xz -9`.
const XZ_WINDOW_LIMIT: u64 = 64 << 20;
/// The memory of an xz decoder without its window, about.
const XZ_DECODER: u64 = 1 << 20;
/// The memory of a bzip2 decoder (bzip2(1): "100 kB + 4 × block size").
const BZIP2_DECODER: usize = 3700 << 10;
/// The memory of a gzip decoder and a reader's buffer, about.
const GZIP_DECODER: usize = 64 << 10;
const BUFFER: usize = 64 << 10;

/// Decompresses a stream of a known format; concatenated members are one stream. One that becomes far more
/// than an archive does fails.
///
/// # Errors
/// What [`decompress`] fails with.
pub fn decoder<'a, R: Read + Send + 'a>(
    compression: Compression,
    reader: R,
) -> Result<Box<dyn Read + Send + 'a>, ArchiveError> {
    let budget = Budget::default();
    decoder_within(compression, budget.source(reader), &budget)
}

/// Decompresses a stream of a known format as far as a budget goes.
pub(crate) fn decoder_within<'a, R: Read + Send + 'a>(
    compression: Compression,
    mut reader: R,
    budget: &Budget,
) -> Result<Box<dyn Read + Send + 'a>, ArchiveError> {
    let start = match compression {
        Compression::Xz => {
            let length = xz_window::START as u64;
            sys::bounded_read::read_stream(reader.by_ref().take(length), length).map_err(input_error)?
        }
        _ => Vec::new(),
    };
    let window = xz_window::of(&start).unwrap_or_default().min(XZ_WINDOW_LIMIT) + XZ_DECODER;
    let buffered = BufReader::with_capacity(BUFFER, Cursor::new(start).chain(reader));
    let (decoder, memory): (Box<dyn Read + Send + 'a>, usize) = match compression {
        Compression::Identity => return Ok(Box::new(buffered)),
        Compression::Gzip => (Box::new(flate2::bufread::MultiGzDecoder::new(buffered)), GZIP_DECODER),
        Compression::Bzip2 => (Box::new(bzip2::bufread::MultiBzDecoder::new(buffered)), BZIP2_DECODER),
        Compression::Xz => {
            let kibibytes = u32::try_from(window >> 10).unwrap_or(u32::MAX);
            let decoder = lzma_rust2::XzReader::new_mem_limit(buffered, true, kibibytes);
            (Box::new(decoder), usize::try_from(window).unwrap_or(usize::MAX))
        }
        // It counts its window by itself, once it has read its size.
        Compression::Zstd => (Box::new(ZstdReader::new(buffered).map_err(ArchiveError::Input)?), 0),
    };
    let share = Share::of(BUFFER + memory)?;
    Ok(Box::new(budget.spender(Named { compression, decoder, _share: share })))
}

/// Decompresses a stream of any known format.
///
/// # Errors
/// Whatever the reader fails with, or [`ArchiveError::Busy`].
pub fn decompress<'a, R: Read + Send + 'a>(reader: R) -> Result<Box<dyn Read + Send + 'a>, ArchiveError> {
    let (compression, reader) = peek(reader).map_err(input_error)?;
    decoder(compression, reader)
}

/// Names the format in errors; an early end stays one.
struct Named<R> {
    compression: Compression,
    decoder: R,
    /// The decoder's memory.
    _share: Share,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.decoder.read(buffer) {
            Ok(count) => Ok(count),
            Err(source)
                if matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted) =>
            {
                Err(source)
            }
            Err(source) if is_busy(&source) => Err(source),
            Err(source) => {
                let format = self.compression.name();
                Err(io::Error::other(ArchiveError::Decompress { format, source }))
            }
        }
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|source| matches!(source.downcast_ref(), Some(ArchiveError::Busy)))
}
