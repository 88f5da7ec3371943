//! Watches how much is written to a file system, so that enough stays free to clean up and go on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::tar::ArchiveError;

/// Ten million entries: the largest known images have one million.
const ENTRY_LIMIT: u64 = 10_000_000;
/// How much of a file system stays free, at most: databases, logs and containers live on it too.
const RESERVE: u64 = 256 << 20;
/// Of a small file system, and of its inodes, only this part.
const RESERVED_PART: u64 = 16;
/// After so many bytes the file system is checked again: others write to it too.
const BYTES_BETWEEN: u64 = 32 << 20;
/// And after so many entries.
const ENTRIES_BETWEEN: u64 = 4096;

/// Whether a part of a file system is left to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserve {
    /// The file system is the engine's own: a part stays free.
    Kept,
    /// A mount of a container: it may be filled as the container itself could.
    None,
}

/// The space on the file system of a directory.
#[derive(Debug)]
pub struct Space {
    directory: OwnedFd,
    reserve: Reserve,
    entries: u64,
    free: Free,
    since: Since,
}

/// The use since the last check.
#[derive(Debug, Default)]
struct Since {
    entries: u64,
    bytes: u64,
}

/// A file system's free space beyond its reserve; `None` where it does not report it.
#[derive(Debug, Clone, Copy)]
struct Free {
    /// File systems without a size, ramfs and tmpfs of `size=0`, report no blocks at all.
    bytes: Option<u64>,
    /// Some file systems make inodes as they are needed.
    inodes: Option<u64>,
}

impl Free {
    fn of(directory: BorrowedFd<'_>, reserve: Reserve) -> io::Result<Self> {
        let statistics = rustix::fs::fstatvfs(directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(statistics.f_frsize);
        let (kept_bytes, kept_inodes) = match reserve {
            Reserve::Kept => {
                (RESERVE.min(bytes(statistics.f_blocks) / RESERVED_PART), statistics.f_files / RESERVED_PART)
            }
            Reserve::None => (0, 0),
        };
        let free_bytes = bytes(statistics.f_bavail).saturating_sub(kept_bytes);
        let free_inodes = statistics.f_favail.saturating_sub(kept_inodes);
        Ok(Self {
            bytes: (statistics.f_blocks > 0).then_some(free_bytes),
            inodes: (statistics.f_files > 0).then_some(free_inodes),
        })
    }
}

impl Space {
    /// The file system of a directory that is the engine's own.
    ///
    /// # Errors
    /// What fstatvfs(3) fails with.
    pub fn of(directory: BorrowedFd<'_>) -> io::Result<Self> {
        Self::with_reserve(directory, Reserve::Kept)
    }

    /// The file system of a directory.
    ///
    /// # Errors
    /// What fstatvfs(3) fails with.
    pub fn with_reserve(directory: BorrowedFd<'_>, reserve: Reserve) -> io::Result<Self> {
        let free = Free::of(directory, reserve)?;
        let directory = directory.try_clone_to_owned()?;
        Ok(Self { directory, reserve, entries: 0, free, since: Since::default() })
    }

    /// Continues with another directory's file system; the entries stay counted.
    pub(super) fn move_to(
        &mut self,
        directory: BorrowedFd<'_>,
        reserve: Reserve,
    ) -> Result<(), ArchiveError> {
        let moved = Self::with_reserve(directory, reserve).map_err(ArchiveError::Output)?;
        let entries = self.entries;
        *self = Self { entries, ..moved };
        Ok(())
    }

    /// Counts an entry.
    ///
    /// # Errors
    /// [`ArchiveError::Room`] when there is no inode for it, [`ArchiveError::Limit`] when there are too many.
    pub fn entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > ENTRY_LIMIT {
            return Err(ArchiveError::Limit { what: "entries", limit: ENTRY_LIMIT });
        }
        self.since.entries += 1;
        let no_more = self.free.inodes.is_some_and(|inodes| self.since.entries > inodes);
        if self.since.entries > ENTRIES_BETWEEN || no_more { self.look() } else { Ok(()) }
    }

    /// Refuses content for which there is no space.
    ///
    /// # Errors
    /// [`ArchiveError::Room`] when less is free.
    pub fn check(&mut self, content: u64) -> Result<(), ArchiveError> {
        self.check_replacing(content, || 0)
    }

    /// Refuses content for which there is no space, even when what it replaces has gone; `freed` returns how many
    /// bytes that frees, and is called only where it matters.
    ///
    /// # Errors
    /// [`ArchiveError::Room`] when less is free.
    pub(super) fn check_replacing(
        &mut self,
        content: u64,
        freed: impl FnOnce() -> u64,
    ) -> Result<(), ArchiveError> {
        if content <= self.left() {
            return Ok(());
        }
        self.refresh()?;
        let free = self.left();
        if content <= free {
            return Ok(());
        }
        let free = free.saturating_add(freed());
        if content > free { Err(too_many_bytes(free)) } else { Ok(()) }
    }

    /// Counts bytes that are to be written.
    ///
    /// # Errors
    /// [`ArchiveError::Room`] when nothing is free.
    pub fn write(&mut self, bytes: usize) -> Result<(), ArchiveError> {
        let bytes = bytes as u64;
        if self.since.bytes >= BYTES_BETWEEN || bytes > self.left() {
            self.look()?;
        }
        self.since.bytes += bytes;
        Ok(())
    }

    /// The free space at the last check, less what was written since.
    fn left(&self) -> u64 {
        self.free.bytes.map_or(u64::MAX, |free| free.saturating_sub(self.since.bytes))
    }

    fn refresh(&mut self) -> Result<(), ArchiveError> {
        self.free = Free::of(self.directory.as_fd(), self.reserve).map_err(ArchiveError::Output)?;
        self.since = Since::default();
        Ok(())
    }

    /// Checks the file system again.
    ///
    /// # Errors
    /// [`ArchiveError::Room`] when nothing is free, whatever took it.
    pub fn look(&mut self) -> Result<(), ArchiveError> {
        self.refresh()?;
        if self.free.bytes == Some(0) {
            return Err(too_many_bytes(0));
        }
        match self.free.inodes {
            Some(0) => Err(ArchiveError::Room { what: "files (as many as are free)", free: 0 }),
            _ => Ok(()),
        }
    }
}

const fn too_many_bytes(free: u64) -> ArchiveError {
    ArchiveError::Room { what: "bytes of content (as much as is free)", free }
}
