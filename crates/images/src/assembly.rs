//! The record that rebuilds a layer's tar: its bytes between contents, and where contents lie.
//!
//! A zstd stream of records: `0` a length and that many bytes; `1` the length of a path, the path
//! (in `diff`, or `../replaced/<number>` for what was replaced), offset and length of a content.
//! Numbers are little-endian base-128 (LEB128). A replacement that is known only after its record
//! was written is noted at the end: `2` the number of contents before it, the old path, the new.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Raw(Vec<u8>),
    Content { path: Vec<u8>, offset: u64, length: u64 },
    Replaced { before: u64, path: Vec<u8>, now: Vec<u8> },
}

/// Headers of tars shrink a hundredfold at the fastest level.
const LEVEL: i32 = 1;
/// So many bytes are compressed at once.
const GATHERED: usize = 64 * 1024;
/// Larger raw parts are split, so that reading needs little memory.
const RAW_LIMIT: usize = 1 << 20;

/// Writes a record file.
pub(crate) struct AssemblyWriter {
    out: Gathered,
    contents: u64,
    replaced: Vec<Record>,
}

impl AssemblyWriter {
    /// Makes the file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let out = BufWriter::new(sys::private::create(path)?);
        let compressor = zstd::stream::write::Encoder::new(out, LEVEL)?;
        let out = Gathered { compressor, bytes: Vec::new(), has_begun: false };
        Ok(Self { out, contents: 0, replaced: Vec::new() })
    }

    /// Notes bytes that are no content.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(RAW_LIMIT) {
            self.out.write_all(&[0])?;
            write_number(&mut self.out, piece.len() as u64)?;
            self.out.write_all(piece)?;
        }
        Ok(())
    }

    /// Notes a content.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn content(&mut self, path: &[u8], offset: u64, length: u64) -> io::Result<()> {
        self.contents += 1;
        self.out.write_all(&[1])?;
        write_bytes(&mut self.out, path)?;
        write_number(&mut self.out, offset)?;
        write_number(&mut self.out, length)
    }

    /// Notes that what was noted so far below `path` is now at `now`.
    pub(crate) fn replaced(&mut self, path: &[u8], now: &[u8]) {
        self.replaced.push(Record::Replaced {
            before: self.contents,
            path: path.to_vec(),
            now: now.to_vec(),
        });
    }

    /// Whether anything was replaced so far, and how often.
    pub(crate) fn replacements(&self) -> usize {
        self.replaced.len()
    }

    /// Completes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        for record in &self.replaced {
            if let Record::Replaced { before, path, now } = record {
                self.out.write_all(&[2])?;
                write_number(&mut self.out, *before)?;
                write_bytes(&mut self.out, path)?;
                write_bytes(&mut self.out, now)?;
            }
        }
        self.out.finish()
    }
}

/// Gathers what is compressed: most of what is noted is a few bytes, and each call of the compressor takes its time.
struct Gathered {
    compressor: zstd::stream::write::Encoder<'static, BufWriter<File>>,
    bytes: Vec<u8>,
    /// Whether the compressor has had something.
    has_begun: bool,
}

impl Gathered {
    fn pass_on(&mut self) -> io::Result<()> {
        self.has_begun = true;
        self.compressor.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    /// Completes the file.
    fn finish(mut self) -> io::Result<()> {
        if !self.has_begun {
            // For so little the compressor does with a few pages instead of a megabyte.
            self.compressor.set_pledged_src_size(Some(self.bytes.len() as u64))?;
        }
        self.pass_on()?;
        self.compressor.finish()?.into_inner().map_err(io::IntoInnerError::into_error).map(drop)
    }
}

impl Write for Gathered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > GATHERED {
            self.pass_on()?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()
    }
}

/// Reads a record file.
pub(crate) struct AssemblyReader<'a> {
    input: BufReader<zstd::stream::read::Decoder<'a, BufReader<File>>>,
}

impl AssemblyReader<'_> {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let decoder = zstd::stream::read::Decoder::new(File::open(path)?)?;
        Ok(Self { input: BufReader::new(decoder) })
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        let mut kind = [0];
        if self.input.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let input = &mut self.input;
        Ok(Some(match kind[0] {
            0 => Record::Raw(read_bytes(input)?),
            1 => Record::Content {
                path: read_bytes(input)?,
                offset: read_number(input)?,
                length: read_number(input)?,
            },
            2 => Record::Replaced {
                before: read_number(input)?,
                path: read_bytes(input)?,
                now: read_bytes(input)?,
            },
            _ => return Err(damaged()),
        }))
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the layer's assembly record is damaged")
}

fn write_number(out: &mut impl Write, mut value: u64) -> io::Result<()> {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.write_all(&[low]);
        }
        out.write_all(&[low | 0x80])?;
    }
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_number(out, bytes.len() as u64)?;
    out.write_all(bytes)
}

fn read_number(input: &mut impl Read) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(damaged())
}

fn read_bytes(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = usize::try_from(read_number(input)?).ok().filter(|length| *length <= RAW_LIMIT);
    let mut bytes = vec![0; length.ok_or_else(damaged)?];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}
