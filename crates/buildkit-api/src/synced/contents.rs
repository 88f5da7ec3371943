//! The contents of received files on disk: small ones one after another in one file, each large one in its own.
//!
//! A content exists as long as something refers to it, so that a directory that is received again shares unchanged
//! contents with its earlier state.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::images::Space;
use model::Digest;
use sha2::{Digest as _, Sha256};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::leftovers;

/// Contents up to this size share a file.
pub(crate) const SMALL: u64 = 64 * 1024;
/// Small contents are written in blocks of at least this size.
const BLOCK: usize = 256 * 1024;

/// The directory of all received contents.
#[derive(Debug)]
pub(crate) struct Contents {
    directory: PathBuf,
    next: AtomicU64,
}

impl Contents {
    /// Takes a directory, which is made, or emptied of what an earlier process left.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        leftovers::remove(&directory, None)?;
        Ok(Self { directory, next: AtomicU64::new(0) })
    }

    fn create(&self) -> io::Result<(File, Stored)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(number.to_string());
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((file, Stored(path)))
    }
}

/// A file that is deleted with the last reference to it.
#[derive(Debug)]
struct Stored(PathBuf);

impl Drop for Stored {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove a received file");
        }
    }
}

/// Where a content lies, and its digest.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    place: Place,
    pub(super) digest: Digest,
}

#[derive(Debug, Clone)]
enum Place {
    Empty,
    Shared { pack: Arc<Pack>, offset: u64, length: u32 },
    Own(Arc<Stored>),
}

#[derive(Debug)]
struct Pack {
    file: File,
    _stored: Stored,
}

/// A content in the form in which a copy takes it.
#[derive(Debug)]
pub(crate) enum Taken<'a> {
    Bytes(Vec<u8>),
    File(&'a Path),
}

impl Content {
    /// The content: its bytes, or the file that holds nothing else.
    ///
    /// # Errors
    /// What reading fails with.
    pub(super) fn take(&self) -> io::Result<Taken<'_>> {
        let mut bytes = Vec::new();
        Ok(self.take_into(&mut bytes)?.map_or(Taken::Bytes(bytes), Taken::File))
    }

    /// Whether it has no file to itself.
    pub(super) const fn is_bytes(&self) -> bool {
        !matches!(self.place, Place::Own(_))
    }

    /// Appends the content to a buffer, unless it has a file to itself, which this is then.
    ///
    /// # Errors
    /// What reading fails with.
    pub(super) fn take_into(&self, buffer: &mut Vec<u8>) -> io::Result<Option<&Path>> {
        match &self.place {
            Place::Empty => {}
            Place::Shared { pack, offset, length } => {
                let end = buffer.len();
                buffer.resize(end + *length as usize, 0);
                pack.file.read_exact_at(&mut buffer[end..], *offset)?;
            }
            Place::Own(stored) => return Ok(Some(&stored.0)),
        }
        Ok(None)
    }
}

/// Takes the contents of one directory.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    contents: &'a Contents,
    pack: Option<Arc<Pack>>,
    space: Option<Space>,
    written: u64,
    block: Vec<u8>,
}

impl<'a> Intake<'a> {
    pub(crate) const fn new(contents: &'a Contents) -> Self {
        Self { contents, pack: None, space: None, written: 0, block: Vec::new() }
    }

    /// Keeps a small content.
    ///
    /// # Errors
    /// What writing fails with.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> io::Result<Content> {
        let digest = Digest::from_bytes(Sha256::digest(bytes).into());
        let Ok(length) = u32::try_from(bytes.len()) else { return Err(io::ErrorKind::FileTooLarge.into()) };
        if length == 0 {
            return Ok(Content { place: Place::Empty, digest });
        }
        let pack = match &self.pack {
            Some(pack) => Arc::clone(pack),
            None => {
                let (file, stored) = self.contents.create()?;
                Arc::clone(self.pack.insert(Arc::new(Pack { file, _stored: stored })))
            }
        };
        let offset = self.written + self.block.len() as u64;
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK {
            self.flush()?;
        }
        Ok(Content { place: Place::Shared { pack, offset, length }, digest })
    }

    /// Begins a large content.
    ///
    /// # Errors
    /// What open(2) fails with.
    pub(crate) fn begin(&self) -> io::Result<Large> {
        let (file, stored) = self.contents.create()?;
        let space = Space::of(file.as_fd())?;
        Ok(Large { file, stored, space, hash: Sha256::new() })
    }

    /// Flushes buffered contents. Before it no content can be read.
    ///
    /// # Errors
    /// Errors of write(2), or that the disk lacks the space in addition to the engine's own reserve.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(pack) = &self.pack {
            if self.space.is_none() {
                self.space = Some(Space::of(pack.file.as_fd())?);
            }
            if let Some(space) = &mut self.space {
                space.write(self.block.len()).map_err(io::Error::other)?;
            }
            blocking(|| pack.file.write_all_at(&self.block, self.written))?;
            self.written += self.block.len() as u64;
            self.block.clear();
        }
        Ok(())
    }
}

/// Does what may wait for the disk. Directories are received by tasks that others wait behind.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// A content under way that has a file of its own.
#[derive(Debug)]
pub(crate) struct Large {
    file: File,
    stored: Stored,
    space: Space,
    hash: Sha256,
}

impl Large {
    /// Continues with it.
    ///
    /// # Errors
    /// Errors of write(2), or that the disk lacks the space in addition to the engine's own reserve.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.space.write(bytes.len()).map_err(io::Error::other)?;
        self.hash.update(bytes);
        blocking(|| self.file.write_all(bytes))
    }

    /// Ends it.
    pub(crate) fn finish(self) -> Content {
        let digest = Digest::from_bytes(self.hash.finalize().into());
        Content { place: Place::Own(Arc::new(self.stored)), digest }
    }
}
