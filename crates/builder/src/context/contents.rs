//! The contents of a context's files on disk: small ones one after another in one file, each large
//! one in a file of its own, which may become a layer's.
//!
//! Making a file costs more than writing a few bytes, and a build whose steps are all cached never
//! reads one. Everything is hashed on the way.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use images::Space;
use images::tar::{ArchiveError, Chunk, Entry};
use model::Digest;
use sys::bounded_read;

use super::hasher::Hasher;
use crate::transfer::{Given, hash_file};

/// Contents up to this size share a file.
const SMALL: u64 = 64 * 1024;
/// Small contents are written in blocks of at least this size.
const BLOCK: usize = 256 * 1024;
/// A block holds no more contents than this, however small they are.
const BLOCK_CONTENTS: usize = 4096;
/// The name that the file of small contents has for a moment; the others are named by their numbers.
const SHARED: &str = "small";

/// Where a content lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// In the shared file; [`OWN`] for a content with a file of its own.
    offset: u64,
    length: u32,
}

/// The offset of a content with a file of its own.
const OWN: u64 = u64::MAX;

/// The contents of a context, by number.
#[derive(Debug)]
pub(super) struct Contents {
    directory: PathBuf,
    shared: File,
    places: Vec<Place>,
    /// Files that were there already, and stay where they are.
    adopted: HashMap<u32, PathBuf>,
    digests: Vec<Digest>,
}

impl Contents {
    /// The digest of a content.
    pub(super) fn digest(&self, number: u32) -> Option<Digest> {
        self.digests.get(number as usize).copied()
    }

    /// Reads a content as a whole; those of the shared file are below every limit.
    ///
    /// # Errors
    /// What open(2) or read(2) fails with; [`bounded_read::Refusal::TooLong`].
    pub(super) fn read(&self, number: u32, limit: u64) -> io::Result<Vec<u8>> {
        match self.give(number)? {
            Given::Link(path) | Given::Copy(path) => bounded_read::read(&path, limit),
            Given::Bytes(bytes) => Ok(bytes),
        }
    }

    /// Returns a content: one with a file of its own may be linked.
    ///
    /// # Errors
    /// What read(2) fails with.
    pub(super) fn give(&self, number: u32) -> io::Result<Given> {
        let place = *self.places.get(number as usize).ok_or(io::ErrorKind::NotFound)?;
        if place.offset == OWN {
            let adopted = self.adopted.get(&number).cloned();
            return Ok(Given::Link(adopted.unwrap_or_else(|| self.directory.join(number.to_string()))));
        }
        let mut bytes = vec![0; place.length as usize];
        self.shared.read_exact_at(&mut bytes, place.offset)?;
        Ok(Given::Bytes(bytes))
    }
}

/// Takes contents in.
pub(super) struct Intake {
    directory: PathBuf,
    shared: File,
    /// The bytes that the shared file already has.
    written: u64,
    /// Its next block, and the small contents in it.
    block: Vec<u8>,
    pending: Vec<(u32, Range<usize>)>,
    places: Vec<Place>,
    adopted: HashMap<u32, PathBuf>,
    hasher: Hasher,
    space: Space,
}

impl Intake {
    /// Keeps contents in an empty directory.
    ///
    /// # Errors
    /// What open(2) fails with.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let path = directory.join(SHARED);
        let shared = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        // Without a name it is gone with the context: what is not on disk yet need not get there.
        std::fs::remove_file(path)?;
        let space = Space::of(File::open(directory)?.as_fd())?;
        Ok(Self {
            directory: directory.to_owned(),
            shared,
            written: 0,
            block: Vec::new(),
            pending: Vec::new(),
            places: Vec::new(),
            adopted: HashMap::new(),
            hasher: Hasher::start()?,
            space,
        })
    }

    /// Whether a file's content is to be [added](Self::add) as a whole: it is small and has no holes.
    pub(super) const fn is_small(entry: &Entry) -> bool {
        entry.extents.is_none() && entry.stored <= SMALL
    }

    /// Adds a small content and returns its number; `read` appends it to the bytes that it is given.
    ///
    /// # Errors
    /// What `read` fails with, or, as `write` puts it, write(2).
    pub(super) fn add<E>(
        &mut self,
        read: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
        write: impl FnOnce(io::Error) -> E,
    ) -> Result<u32, E> {
        let start = self.block.len();
        read(&mut self.block)?;
        let length = self.block.len() - start;
        let offset = self.written + start as u64;
        // Small contents are far shorter than this type can hold.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let number = self.place(Place { offset, length });
        self.pending.push((number, start..self.block.len()));
        if self.block.len() >= BLOCK || self.pending.len() >= BLOCK_CONTENTS {
            self.flush().map_err(write)?;
        }
        Ok(number)
    }

    /// Begins a content with a file of its own.
    ///
    /// # Errors
    /// What open(2) fails with; [`io::ErrorKind::StorageFull`] when it is longer than what is free.
    pub(super) fn begin(&mut self, entry: &Entry) -> io::Result<Large<'_>> {
        self.space.check(entry.stored).map_err(full)?;
        let path = self.directory.join(self.places.len().to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        if let Some(extents) = &entry.extents {
            file.set_len(entry.size)?;
            self.hasher.holes(entry.size, extents);
        }
        Ok(Large { file, places: entry.places(), intake: self })
    }

    /// Adds a file that is there already and stays where it is.
    ///
    /// # Errors
    /// What reading it fails with.
    pub(super) fn adopt(&mut self, path: PathBuf) -> io::Result<u32> {
        let digest = hash_file(&path)?;
        let number = self.place(Place { offset: OWN, length: 0 });
        self.adopted.insert(number, path);
        self.hasher.known(number, digest);
        Ok(number)
    }

    /// Numbers a content; the index's limit is far below that of the type.
    fn place(&mut self, place: Place) -> u32 {
        let number = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(place);
        number
    }

    /// Writes what is left, and waits for all digests.
    ///
    /// # Errors
    /// What write(2) fails with.
    pub(super) fn finish(mut self) -> io::Result<Contents> {
        self.flush()?;
        let Self { directory, shared, places, adopted, hasher, .. } = self;
        Ok(Contents { directory, shared, places, adopted, digests: hasher.finish() })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.space.write(self.block.len()).map_err(full)?;
        self.shared.write_all(&self.block)?;
        self.written += self.block.len() as u64;
        let pending = std::mem::take(&mut self.pending);
        self.block = self.hasher.whole(std::mem::take(&mut self.block), pending);
        Ok(())
    }
}

/// A content under way that gets a file of its own.
pub(super) struct Large<'a> {
    file: File,
    places: images::tar::Places,
    intake: &'a mut Intake,
}

impl Large<'_> {
    /// Writes the next bytes where they belong.
    ///
    /// # Errors
    /// What write(2) fails with.
    pub(super) fn write(&mut self, chunk: &Chunk, range: Range<usize>) -> io::Result<()> {
        self.intake.space.write(range.len()).map_err(full)?;
        self.places.write(&self.file, &chunk[range.clone()])?;
        self.intake.hasher.piece(chunk, range);
        Ok(())
    }

    /// Ends the content and returns its number.
    pub(super) fn end(self) -> u32 {
        let number = self.intake.place(Place { offset: OWN, length: 0 });
        self.intake.hasher.end(number);
        number
    }
}

/// Less is free than a content needs.
fn full(limit: ArchiveError) -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, limit)
}
