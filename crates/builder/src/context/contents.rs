//! The contents of a context's files on disk: small ones one after another in one file, each large
//! one in a file of its own, which may become a layer's.
//!
//! Making a file costs more than writing a few bytes, and a build whose steps are all cached never
//! asks for one. Everything is hashed on the way.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use images::tar::{Chunk, Entry};
use model::Digest;

use super::hasher::Hasher;
use crate::transfer::{Given, hash_file};

/// Contents up to this size share a file.
const SMALL: u64 = 64 * 1024;
/// Small contents are written in blocks of at least this size.
const BLOCK: usize = 256 * 1024;
/// The name that the file of small contents has for a moment; the others are named by their numbers.
const SHARED: &str = "small";

/// Where a content lies.
#[derive(Debug)]
enum Place {
    /// In a file of its own.
    Own(PathBuf),
    /// In the shared file.
    Shared { offset: u64, length: usize },
}

/// The contents of a context, by number.
#[derive(Debug)]
pub(super) struct Contents {
    shared: File,
    places: Vec<Place>,
    digests: Vec<Digest>,
}

impl Contents {
    /// The digest of a content.
    pub(super) fn digest(&self, number: usize) -> Option<Digest> {
        self.digests.get(number).copied()
    }

    /// Reads a content as a whole.
    ///
    /// # Errors
    /// What open(2) or read(2) fails with.
    pub(super) fn read(&self, number: usize) -> io::Result<Vec<u8>> {
        match self.give(number)? {
            Given::Link(path) | Given::Copy(path) => std::fs::read(path),
            Given::Bytes(bytes) => Ok(bytes),
        }
    }

    /// Hands a content out: one with a file of its own may be linked.
    ///
    /// # Errors
    /// What read(2) fails with.
    pub(super) fn give(&self, number: usize) -> io::Result<Given> {
        match self.places.get(number).ok_or(io::ErrorKind::NotFound)? {
            Place::Own(path) => Ok(Given::Link(path.clone())),
            Place::Shared { offset, length } => {
                let mut bytes = vec![0; *length];
                self.shared.read_exact_at(&mut bytes, *offset)?;
                Ok(Given::Bytes(bytes))
            }
        }
    }
}

/// Takes contents in.
pub(super) struct Intake {
    directory: PathBuf,
    shared: File,
    /// What the shared file already has.
    written: u64,
    /// What it gets next, and the small contents in it.
    block: Vec<u8>,
    pending: Vec<(usize, Range<usize>)>,
    places: Vec<Place>,
    hasher: Hasher,
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
        Ok(Self {
            directory: directory.to_owned(),
            shared,
            written: 0,
            block: Vec::new(),
            pending: Vec::new(),
            places: Vec::new(),
            hasher: Hasher::start(),
        })
    }

    /// Whether a file's content is to be [added](Self::add) in one piece: it is small and has no holes.
    pub(super) const fn is_small(entry: &Entry) -> bool {
        entry.extents.is_none() && entry.stored <= SMALL
    }

    /// Adds a small content and gives its number; `read` appends it to the bytes that it is given.
    ///
    /// # Errors
    /// What `read` fails with, or, as `write` puts it, write(2).
    pub(super) fn add<E>(
        &mut self,
        read: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
        write: impl FnOnce(io::Error) -> E,
    ) -> Result<usize, E> {
        let start = self.block.len();
        read(&mut self.block)?;
        let length = self.block.len() - start;
        let number = self.places.len();
        self.places.push(Place::Shared { offset: self.written + start as u64, length });
        self.pending.push((number, start..self.block.len()));
        if self.block.len() >= BLOCK {
            self.flush().map_err(write)?;
        }
        Ok(number)
    }

    /// Begins a content with a file of its own.
    ///
    /// # Errors
    /// What open(2) fails with.
    pub(super) fn begin(&mut self, entry: &Entry) -> io::Result<Large<'_>> {
        let path = self.directory.join(self.places.len().to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        if let Some(extents) = &entry.extents {
            file.set_len(entry.size)?;
            self.hasher.holes(entry.size, extents);
        }
        Ok(Large { file, path, places: entry.places(), intake: self })
    }

    /// Adds a file that is there already and stays where it is.
    ///
    /// # Errors
    /// What reading it fails with.
    pub(super) fn adopt(&mut self, path: PathBuf) -> io::Result<usize> {
        let digest = hash_file(&path)?;
        let number = self.places.len();
        self.places.push(Place::Own(path));
        self.hasher.known(number, digest);
        Ok(number)
    }

    /// Writes what is left, and waits for all digests.
    ///
    /// # Errors
    /// What write(2) fails with.
    pub(super) fn finish(mut self) -> io::Result<Contents> {
        self.flush()?;
        Ok(Contents { shared: self.shared, places: self.places, digests: self.hasher.finish() })
    }

    fn flush(&mut self) -> io::Result<()> {
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
    path: PathBuf,
    places: images::tar::Places,
    intake: &'a mut Intake,
}

impl Large<'_> {
    /// Writes the next bytes where they belong.
    ///
    /// # Errors
    /// What write(2) fails with.
    pub(super) fn write(&mut self, chunk: &Chunk, range: Range<usize>) -> io::Result<()> {
        self.places.write(&self.file, &chunk[range.clone()])?;
        self.intake.hasher.piece(chunk, range);
        Ok(())
    }

    /// Ends the content and gives its number.
    pub(super) fn end(self) -> usize {
        let number = self.intake.places.len();
        self.intake.places.push(Place::Own(self.path));
        self.intake.hasher.end(number);
        number
    }
}
