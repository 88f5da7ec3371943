//! Finds out how a stream is compressed, and decompresses it.

use std::io::{self, BufReader, Cursor, Read};

use crate::budget::Budget;
use crate::tar::ArchiveError;

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

/// As many bytes tell all formats apart.
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

/// A reader whose first bytes were looked at.
pub type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// Looks at the first bytes of a stream without losing them.
///
/// # Errors
/// Whatever the reader fails with.
pub fn peek<R: Read>(mut reader: R) -> io::Result<(Compression, Peeked<R>)> {
    let length = MAGIC_LENGTH as u64;
    let start = sys::bounded_read::read_stream(reader.by_ref().take(length), length)?;
    Ok((Compression::detect(&start), Cursor::new(start).chain(reader)))
}

/// The memory that a zstd or xz stream may ask its decoder to hold: what the encoders' highest
/// ordinary levels need.
const WINDOW_LOG_LIMIT: u32 = 27;
const XZ_MEMORY_LIMIT_KIB: u32 = 192 * 1024;

/// Decompresses a stream of a known format; concatenated members are one stream. One that becomes far
/// more than an archive does fails.
///
/// # Errors
/// Whatever the decoder needs to start.
pub fn decoder<'a, R: Read + Send + 'a>(
    compression: Compression,
    reader: R,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let budget = Budget::default();
    decoder_within(compression, budget.source(reader), &budget)
}

/// Decompresses a stream of a known format as far as a budget goes.
pub(crate) fn decoder_within<'a, R: Read + Send + 'a>(
    compression: Compression,
    reader: R,
    budget: &Budget,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let buffered = BufReader::with_capacity(64 * 1024, reader);
    let decoder: Box<dyn Read + Send + 'a> = match compression {
        Compression::Identity => return Ok(Box::new(buffered)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered)),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(buffered, true, XZ_MEMORY_LIMIT_KIB)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
            decoder.window_log_max(WINDOW_LOG_LIMIT)?;
            Box::new(decoder)
        }
    };
    Ok(Box::new(budget.spender(Named { compression, decoder })))
}

/// Decompresses a stream of any known format.
///
/// # Errors
/// Whatever the reader fails with.
pub fn decompress<'a, R: Read + Send + 'a>(reader: R) -> io::Result<Box<dyn Read + Send + 'a>> {
    let (compression, reader) = peek(reader)?;
    decoder(compression, reader)
}

/// Names the format in errors; an early end stays one.
struct Named<R> {
    compression: Compression,
    decoder: R,
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
            Err(source) => {
                let format = self.compression.name();
                Err(io::Error::other(ArchiveError::Decompress { format, source }))
            }
        }
    }
}
