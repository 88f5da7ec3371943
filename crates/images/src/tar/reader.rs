//! Reads a tar stream entry by entry.
//!
//! Between two contents everything (headers, extended headers, padding, what follows the end) is
//! kept verbatim in `raw`, so that a recorder can store it and give the archive back unchanged.

use std::io::Read;
use std::sync::Arc;

use super::header::{Dialect, Header};
use super::pax::{Extensions, SparseRecords};
use super::sparse::{self, EXTENT_LIMIT};
use super::{ArchiveError, BLOCK, Chunk, Chunks, Entry, EntryKind, Extent, ReaderChunks, padding};
use crate::archive_memory::Share;

/// The longest extended headers of one entry: a million bytes hold any honest name and attribute.
const EXTENSION_LIMIT: u64 = 1 << 20;
/// Extended headers up to this size are not counted: those of honest archives hardly ever are longer.
const SMALL_EXTENSION: usize = 16 << 10;

/// A tar stream being read.
pub struct Reader<'a> {
    chunks: Box<dyn Chunks + Send + 'a>,
    pub(super) current: Chunk,
    pub(super) position: usize,
    pub(super) offset: u64,
    raw: Vec<u8>,
    /// How much of the entry's content is still to come.
    pub(super) remaining: u64,
    padding: usize,
    /// How many bytes of extended headers the entry has had.
    extended: u64,
    /// The memory of the entry's long extended headers.
    share: Share,
}

/// The extended headers that may precede an entry.
#[derive(Default)]
struct Preceding {
    extensions: Extensions,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<'a> Reader<'a> {
    /// Reads from `chunks`.
    pub(crate) fn new(chunks: impl Chunks + Send + 'a) -> Self {
        Self {
            chunks: Box::new(chunks),
            current: Arc::default(),
            position: 0,
            offset: 0,
            raw: Vec::new(),
            remaining: 0,
            padding: 0,
            extended: 0,
            share: Share::default(),
        }
    }

    /// Reads a plain stream.
    pub fn of(stream: impl Read + Send + 'a) -> Self {
        Self::new(ReaderChunks::new(stream))
    }

    /// Takes what was read since the last call, contents excepted, verbatim.
    pub(crate) fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.raw)
    }

    /// Whether the stream has had no byte so far.
    pub const fn is_empty(&self) -> bool {
        self.offset == 0
    }

    /// Drops the copy of what was read, where the archive is not needed again.
    pub fn forget_raw(&mut self) {
        self.raw.clear();
    }

    /// Reads the next entry's headers; `None` at the end of the archive.
    ///
    /// # Errors
    /// [`ArchiveError`] when the stream is cut off or malformed.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        debug_assert_eq!(self.remaining, 0, "the content was left unread");
        self.skip_padding()?;
        self.extended = 0;
        self.share.release();
        let mut preceding = Preceding::default();
        loop {
            let start = self.offset;
            let Some(block) = self.header_block()? else { return Ok(None) };
            let header = Header(&block);
            if header.is_zero() {
                return Ok(None);
            }
            let bad = |problem| ArchiveError::Header { offset: start, problem };
            if !header.checksum_holds() {
                return Err(bad("its checksum is wrong"));
            }
            let size = header.size().ok_or_else(|| bad("its size is no number"))?;
            match header.kind() {
                b'x' => {
                    let data = self.extension(size)?;
                    preceding.extensions.apply(&data).map_err(bad)?;
                }
                b'g' => drop(self.extension(size)?),
                b'L' => preceding.long_path = Some(self.long_name(size)?),
                b'K' => preceding.long_link = Some(self.long_name(size)?),
                _ => return self.entry(&header, preceding, start).map(Some),
            }
        }
    }

    /// Ensures that the current chunk has unread bytes, and how many; `None` at the end.
    pub(super) fn fill(&mut self) -> Result<Option<usize>, ArchiveError> {
        if self.position == self.current.len() {
            match self.chunks.next().map_err(input_error)? {
                Some(chunk) => {
                    self.current = chunk;
                    self.position = 0;
                }
                None => return Ok(None),
            }
        }
        Ok(Some(self.current.len() - self.position))
    }

    /// Reads exactly `count` bytes into `raw`; how many came before the end.
    fn raw_bytes(&mut self, count: usize) -> Result<usize, ArchiveError> {
        let mut done = 0;
        while done < count {
            let Some(available) = self.fill()? else { break };
            let step = available.min(count - done);
            self.raw.extend_from_slice(&self.current[self.position..self.position + step]);
            self.position += step;
            self.offset += step as u64;
            done += step;
        }
        Ok(done)
    }

    fn skip_padding(&mut self) -> Result<(), ArchiveError> {
        let count = std::mem::take(&mut self.padding);
        // A last content whose padding is missing is whole all the same.
        self.raw_bytes(count).map(drop)
    }

    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        match self.raw_bytes(BLOCK)? {
            0 => Ok(None),
            BLOCK => Ok(self.raw.last_chunk::<BLOCK>().copied()),
            _ => Err(ArchiveError::Truncated),
        }
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        let limit = EXTENSION_LIMIT;
        self.extended = self.extended.saturating_add(size.max(BLOCK as u64));
        let length = usize::try_from(size)
            .ok()
            .filter(|_| self.extended <= limit)
            .ok_or(ArchiveError::Limit { what: "bytes in the extended headers of an entry", limit })?;
        if length > SMALL_EXTENSION {
            self.share.take(length)?;
        }
        let total = length + padding(size);
        if self.raw_bytes(total)? != total {
            return Err(ArchiveError::Truncated);
        }
        let start = self.raw.len() - total;
        Ok(self.raw[start..start + length].to_vec())
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        let data = self.extension(size)?;
        Ok(super::header::until_nul(&data).to_vec())
    }

    fn entry(
        &mut self,
        header: &Header<'_>,
        preceding: Preceding,
        start: u64,
    ) -> Result<Entry, ArchiveError> {
        let bad = |problem| ArchiveError::Header { offset: start, problem };
        let Preceding { mut extensions, long_path, long_link } = preceding;
        let mut path = extensions.path.or(long_path).unwrap_or_else(|| header.path());
        let kind = kind_of(header.kind(), &path);
        let stored = extensions.size.or_else(|| header.size()).unwrap_or_default();
        let stored = if kind == EntryKind::File || kind == EntryKind::Other { stored } else { 0 };
        self.remaining = stored;
        self.padding = padding(stored);
        let (size, extents) = match kind {
            EntryKind::File => self.sparse_extents(header, &mut extensions.sparse, start)?,
            _ => (stored, None),
        };
        if let Some(name) = extensions.sparse.name {
            path = name;
        }
        let narrow = |value: Option<u64>, problem| {
            value.and_then(|value| u32::try_from(value).ok()).ok_or_else(|| bad(problem))
        };
        let (seconds, nanoseconds) = match extensions.modified {
            Some(time) => time,
            None => (header.modified().ok_or_else(|| bad("its time is no number"))?, 0),
        };
        let device = header.device().ok_or_else(|| bad("its device is no number"))?;
        Ok(Entry {
            path,
            link: extensions.link.or(long_link).unwrap_or_else(|| header.link()),
            kind,
            mode: narrow(header.mode(), "its mode is no number")? & 0o7777,
            user: narrow(extensions.user.or_else(|| header.user()), "its owner is out of range")?,
            group: narrow(extensions.group.or_else(|| header.group()), "its group is out of range")?,
            seconds,
            nanoseconds,
            device: (
                narrow(Some(device.0), "its device is out of range")?,
                narrow(Some(device.1), "its device is out of range")?,
            ),
            size,
            stored: self.remaining,
            attributes: extensions.attributes,
            extents,
        })
    }

    /// A file's size with its holes, and the extents between them if it is sparse.
    fn sparse_extents(
        &mut self,
        header: &Header<'_>,
        records: &mut SparseRecords,
        start: u64,
    ) -> Result<(u64, Option<Vec<Extent>>), ArchiveError> {
        let bad = |problem| ArchiveError::Header { offset: start, problem };
        let (size, extents) = if header.kind() == b'S' && header.dialect() == Dialect::Gnu {
            let size = sparse::old_real_size(header.0).ok_or_else(|| bad("its real size is no number"))?;
            (size, self.old_sparse_map(header.0, start)?)
        } else if records.major == Some(1) {
            let size = records.real_size.ok_or_else(|| bad("a sparse file has no size"))?;
            (size, self.sparse_map_in_content(start)?)
        } else if let (Some(size), false) = (records.real_size, records.extents.is_empty()) {
            (size, std::mem::take(&mut records.extents))
        } else {
            return Ok((self.remaining, None));
        };
        sparse::check(&extents, size, self.remaining, start)?;
        Ok((size, Some(extents)))
    }

    fn old_sparse_map(&mut self, header: &[u8; BLOCK], start: u64) -> Result<Vec<Extent>, ArchiveError> {
        let bad = |problem| ArchiveError::Header { offset: start, problem };
        let mut extents = Vec::new();
        let mut more = sparse::old_extents(header, true, &mut extents).map_err(bad)?;
        while more {
            let block = self.header_block()?.ok_or(ArchiveError::Truncated)?;
            more = sparse::old_extents(&block, false, &mut extents).map_err(bad)?;
            if extents.len() > EXTENT_LIMIT {
                return Err(bad("a sparse file has too many pieces"));
            }
        }
        Ok(extents)
    }

    /// Version 1.0: decimal lines, padded to a whole block, come before the content.
    fn sparse_map_in_content(&mut self, start: u64) -> Result<Vec<Extent>, ArchiveError> {
        let bad = |problem| ArchiveError::Header { offset: start, problem };
        let mut text = Vec::new();
        let mut numbers: Vec<u64> = Vec::new();
        loop {
            self.remaining =
                self.remaining.checked_sub(BLOCK as u64).ok_or_else(|| bad("a sparse map is cut off"))?;
            let block = self.header_block()?.ok_or(ArchiveError::Truncated)?;
            text.extend_from_slice(&block);
            let mut consumed = 0;
            while let Some(length) = text[consumed..].iter().position(|byte| *byte == b'\n') {
                let number = super::pax::decimal(&text[consumed..consumed + length])
                    .ok_or_else(|| bad("a sparse map is malformed"))?;
                numbers.push(number);
                consumed += length + 1;
                if is_complete(&numbers) {
                    return Ok(numbers[1..]
                        .chunks_exact(2)
                        .map(|pair| Extent { offset: pair[0], length: pair[1] })
                        .collect());
                }
            }
            text.drain(..consumed);
            if numbers.len() > 2 * EXTENT_LIMIT || text.len() > BLOCK {
                return Err(bad("a sparse map is malformed"));
            }
        }
    }
}

/// Whether a map's first number is followed by as many pairs.
fn is_complete(numbers: &[u64]) -> bool {
    numbers.first().and_then(|count| count.checked_mul(2)).and_then(|count| count.checked_add(1))
        == Some(numbers.len() as u64)
}

fn kind_of(flag: u8, path: &[u8]) -> EntryKind {
    match flag {
        0 | b'0' | b'7' | b'S' if flag != b'S' && path.ends_with(b"/") => EntryKind::Directory,
        0 | b'0' | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharacterDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        _ => EntryKind::Other,
    }
}

/// The sender's failure; a decoder's and an early end keep their meaning.
#[must_use]
pub fn input_error(source: std::io::Error) -> ArchiveError {
    if source.kind() == std::io::ErrorKind::UnexpectedEof {
        return ArchiveError::Truncated;
    }
    match source.downcast::<ArchiveError>() {
        Ok(error) => error,
        Err(source) => ArchiveError::Input(source),
    }
}
