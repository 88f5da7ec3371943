//! Packs the contents of files: read from where they lie, or at hand already.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use model::Digest;
use rustix::fs::{self, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::holes::{extents, has_holes};
use super::kernel_file;
use super::known::{KnownContent, KnownFile, KnownFiles};
use super::member::member;
use super::pack::{Packer, Place};
use super::stack;
use crate::tar::{Extent, Member, padding};

/// Names of extended attributes and their values.
type Attributes = [(Vec<u8>, Vec<u8>)];

impl Packer<'_> {
    pub(super) fn file(&mut self, place: &Place<'_>, looked_at: &Stat) -> io::Result<()> {
        // Without blocking: what was a file may be a pipe by now.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match fs::openat(place.parent, OsStr::from_bytes(place.child), flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(()),
            // What refuses to be opened is empty, like what refuses to be read.
            Err(_) if kernel_file::is_within(place.parent) => return self.made_up(place, looked_at, &[]),
            Err(error) => return Err(error.into()),
        };
        let stat = fs::fstat(&file)?;
        if stack::kind(&stat) != FileType::RegularFile {
            return Ok(());
        }
        let attributes = stack::attributes(&file)?;
        if let Some(content) = kernel_file::content(&file, &stat) {
            return self.made_up(place, &stat, &content);
        }
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let extents = if has_holes(&stat, size) { extents(&file, size)? } else { None };
        self.pieces((place.name, place.real), (&stat, &attributes), &File::from(file), extents)
    }

    /// Packs a file whose content is read in chunks.
    fn pieces(
        &mut self,
        (name, real): (&[u8], &[u8]),
        (stat, attributes): (&Stat, &Attributes),
        file: &File,
        extents: Option<Vec<Extent>>,
    ) -> io::Result<()> {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        self.size += size;
        let member =
            Member { flag: b'0', size, extents: extents.as_deref(), ..member(name, stat, attributes) };
        self.first(stat, &member)?;
        let mut stored = 0;
        for extent in extents.unwrap_or_else(|| vec![Extent { offset: 0, length: size }]) {
            self.content(file, extent, real)?;
            stored += extent.length;
        }
        self.raw(&[0; crate::tar::BLOCK][..padding(stored)])
    }

    /// Packs a file whose content is cached.
    pub(super) fn known_file(
        &mut self,
        (name, real): (&[u8], &[u8]),
        stat: &Stat,
        file: &KnownFile,
    ) -> io::Result<()> {
        let Some(known) = &mut self.known else { return Ok(()) };
        let (read, mut buffer) = (known.reader(), known.take_buffer());
        buffer.clear();
        if let Some(digest) = &file.digest {
            self.digested_file((name, real), stat, (file, digest), &mut buffer)?;
        } else {
            let content = read(&file.source, &mut buffer)?;
            self.known_content((name, real), stat, (content, &buffer))?;
        }
        if let Some(known) = &mut self.known {
            known.give_buffer_back(buffer);
        }
        Ok(())
    }

    /// Packs a small file, whose content is read only if it is needed.
    fn digested_file(
        &mut self,
        (name, real): (&[u8], &[u8]),
        stat: &Stat,
        (file, digest): (&KnownFile, &Digest),
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        let Some(read) = self.known.as_ref().map(KnownFiles::reader) else { return Ok(()) };
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        self.begin_small((name, real), (stat, &[]), size)?;
        if self.out.content(&file.source, digest, size)? {
            let content = read(&file.source, buffer)?;
            if !matches!(content, KnownContent::Buffered) || buffer.len() as u64 != size {
                return Err(changed());
            }
            self.out.write_all(buffer)?;
        }
        self.raw(&[0; crate::tar::BLOCK][..padding(size)])
    }

    fn known_content(
        &mut self,
        (name, real): (&[u8], &[u8]),
        stat: &Stat,
        (content, buffer): (KnownContent, &[u8]),
    ) -> io::Result<()> {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        match content {
            KnownContent::Buffered if buffer.len() as u64 == size => {
                self.small_file((name, real), (stat, &[]), buffer)
            }
            KnownContent::Buffered => Err(changed()),
            KnownContent::File(path) => {
                let source = OwnedFd::from(File::open(path)?);
                let found = fs::fstat(&source)?;
                if found.st_size != stat.st_size {
                    return Err(changed());
                }
                let extents = if has_holes(&found, size) { extents(&source, size)? } else { None };
                self.pieces((name, real), (stat, &[]), &File::from(source), extents)
            }
        }
    }

    pub(super) fn small_file(
        &mut self,
        (name, real): (&[u8], &[u8]),
        (stat, attributes): (&Stat, &Attributes),
        content: &[u8],
    ) -> io::Result<()> {
        let size = content.len() as u64;
        self.begin_small((name, real), (stat, attributes), size)?;
        self.out.write_all(content)?;
        self.raw(&[0; crate::tar::BLOCK][..padding(size)])
    }

    /// Writes the header of a file whose content follows as a whole.
    fn begin_small(
        &mut self,
        (name, real): (&[u8], &[u8]),
        (stat, attributes): (&Stat, &Attributes),
        size: u64,
    ) -> io::Result<()> {
        self.size += size;
        let member = Member { flag: b'0', size, ..member(name, stat, attributes) };
        self.first(stat, &member)?;
        if let Some(assembly) = self.assembly.as_mut().filter(|_| size > 0) {
            assembly.content(real, 0, size)?;
        }
        self.written += size;
        Ok(())
    }

    fn made_up(&mut self, place: &Place<'_>, stat: &Stat, content: &[u8]) -> io::Result<()> {
        let size = content.len() as u64;
        self.size += size;
        self.first(stat, &Member { flag: b'0', size, ..member(place.name, stat, &[]) })?;
        self.raw(content)?;
        self.raw(&[0; crate::tar::BLOCK][..padding(size)])
    }

    fn content(&mut self, file: &File, extent: Extent, real: &[u8]) -> io::Result<()> {
        if extent.length == 0 {
            return Ok(());
        }
        if let Some(assembly) = &mut self.assembly {
            assembly.content(real, extent.offset, extent.length)?;
        }
        self.written += extent.length;
        let mut done = 0;
        while done < extent.length {
            let left = extent.length - done;
            let most = usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            let mut count = file.read_at(&mut self.buffer[..most], extent.offset + done)?;
            if count == 0 {
                // It shrank while a running container is read: the header's size must be kept.
                self.buffer[..most].fill(0);
                count = most;
            }
            self.out.write_all(&self.buffer[..count])?;
            done += count as u64;
        }
        Ok(())
    }
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a file has another length than its source")
}
