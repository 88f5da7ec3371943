//! One entry of an archive, its extended headers applied.

use std::collections::VecDeque;
use std::os::fd::AsFd;

use rustix::io::Errno;

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with content.
    File,
    /// Another name of a file in the same archive.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// Anything else: its content is passed over.
    Other,
}

/// A part of a sparse file that has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// One entry: names are bytes as they came.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name as it came.
    pub path: Vec<u8>,
    /// The target of a link.
    pub link: Vec<u8>,
    /// Its kind.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds past the second.
    pub nanoseconds: u32,
    /// Of a device.
    pub device: (u32, u32),
    /// The file's size, holes included.
    pub size: u64,
    /// How many bytes of content the archive holds, without padding.
    pub stored: u64,
    /// Extended attributes.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// The parts that have content, where the file is sparse.
    pub extents: Option<Vec<Extent>>,
}

impl Entry {
    /// Where in the file its content goes.
    #[must_use]
    pub fn places(&self) -> Places {
        let whole = || vec![Extent { offset: 0, length: self.stored }];
        Places(self.extents.clone().unwrap_or_else(whole).into())
    }
}

/// Distributes content to the extents of a file.
#[derive(Debug)]
pub struct Places(VecDeque<Extent>);

impl Places {
    /// Writes the next bytes of the content where they belong.
    ///
    /// # Errors
    /// What pwrite(2) fails with.
    pub fn write(&mut self, file: &impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
        while let Some((offset, count)) = self.take(bytes.len()) {
            let (piece, rest) = bytes.split_at(count);
            write_at(file, piece, offset)?;
            bytes = rest;
        }
        Ok(())
    }

    /// The place of the next bytes, and for how many of `available` ones there is room; `None` when all
    /// are dealt out.
    pub(crate) fn take(&mut self, available: usize) -> Option<(u64, usize)> {
        while self.0.front().is_some_and(|extent| extent.length == 0) {
            self.0.pop_front();
        }
        let extent = self.0.front_mut().filter(|_| available > 0)?;
        let count = usize::try_from(extent.length).map_or(available, |length| length.min(available));
        let offset = extent.offset;
        extent.offset += count as u64;
        extent.length -= count as u64;
        Some((offset, count))
    }
}

fn write_at(file: &impl AsFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let count = rustix::io::pwrite(file, bytes, offset)?;
        bytes = &bytes[count..];
        offset += count as u64;
    }
    Ok(())
}
