//! Watches how much an archive takes of a file system, so that enough stays free to clean up and go on.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::tar::ArchiveError;

/// Ten million entries: the largest known images have one million.
const ENTRY_LIMIT: u64 = 10_000_000;
/// How much of a file system stays free, at most: databases, logs and containers live on it too.
const RESERVE: u64 = 256 << 20;
/// Of a small file system, and of its inodes, only this part.
const RESERVED_PART: u64 = 16;
/// After so many bytes the file system is looked at again: others write to it too.
const BYTES_BETWEEN: u64 = 32 << 20;
/// And after so many entries.
const ENTRIES_BETWEEN: u64 = 4096;

/// The space that an archive is unpacked into.
#[derive(Debug)]
pub(crate) struct Space {
    directory: OwnedFd,
    entries: u64,
    free: Free,
    since: Since,
}

/// What was taken since the last look.
#[derive(Debug, Default)]
struct Since {
    entries: u64,
    bytes: u64,
}

/// What a file system has free beyond its reserve.
#[derive(Debug, Clone, Copy)]
struct Free {
    bytes: u64,
    /// `None` where inodes are made as they are needed.
    inodes: Option<u64>,
}

impl Free {
    fn of(directory: BorrowedFd<'_>) -> io::Result<Self> {
        let statistics = rustix::fs::fstatvfs(directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(statistics.f_frsize);
        let reserve = RESERVE.min(bytes(statistics.f_blocks) / RESERVED_PART);
        let inodes = statistics.f_favail.saturating_sub(statistics.f_files / RESERVED_PART);
        Ok(Self {
            bytes: bytes(statistics.f_bavail).saturating_sub(reserve),
            inodes: (statistics.f_files > 0).then_some(inodes),
        })
    }
}

impl Space {
    /// The file system of a directory.
    ///
    /// # Errors
    /// Whatever `fstatvfs(2)` fails with.
    pub(crate) fn of(directory: BorrowedFd<'_>) -> io::Result<Self> {
        let free = Free::of(directory)?;
        Ok(Self { directory: directory.try_clone_to_owned()?, entries: 0, free, since: Since::default() })
    }

    /// Counts an entry, and refuses one with more content than there is space.
    pub(super) fn entry(&mut self, content: u64) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > ENTRY_LIMIT {
            return Err(ArchiveError::Limit { what: "entries", limit: ENTRY_LIMIT });
        }
        self.since.entries += 1;
        let no_more = self.free.inodes.is_some_and(|inodes| self.since.entries > inodes);
        if self.since.entries > ENTRIES_BETWEEN || no_more || content > self.left() {
            self.look()?;
        }
        self.check(content)
    }

    /// Refuses content for which there is no space.
    pub(crate) const fn check(&self, content: u64) -> Result<(), ArchiveError> {
        if content > self.free.bytes { Err(too_many_bytes(self.free.bytes)) } else { Ok(()) }
    }

    /// Counts bytes that are to be written.
    pub(crate) fn write(&mut self, bytes: usize) -> Result<(), ArchiveError> {
        let bytes = bytes as u64;
        if self.since.bytes >= BYTES_BETWEEN || bytes > self.left() {
            self.look()?;
        }
        self.since.bytes += bytes;
        Ok(())
    }

    /// What was free, less what went since.
    const fn left(&self) -> u64 {
        self.free.bytes.saturating_sub(self.since.bytes)
    }

    fn look(&mut self) -> Result<(), ArchiveError> {
        self.free = Free::of(std::os::fd::AsFd::as_fd(&self.directory)).map_err(ArchiveError::Output)?;
        self.since = Since::default();
        if self.free.bytes == 0 {
            return Err(too_many_bytes(0));
        }
        match self.free.inodes {
            Some(0) => Err(ArchiveError::Limit { what: "files (as many as are free)", limit: 0 }),
            _ => Ok(()),
        }
    }
}

const fn too_many_bytes(limit: u64) -> ArchiveError {
    ArchiveError::Limit { what: "bytes of content (as much as is free)", limit }
}
