//! The directory that is filled: finds and makes parents beneath it, and nothing outside.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use crate::tar::ArchiveError;
use crate::whiteout::OPAQUE;

/// The longest path the kernel takes, its final NUL left out.
const PATH_LIMIT: usize = 4095;

/// As many symlinks as the kernel follows in one path.
const LINK_LIMIT: u32 = 40;

/// The root that is filled, and the last parent used: archives come directory by directory.
pub(super) struct Destination<'a> {
    root: BorrowedFd<'a>,
    /// Where the root is, as the kernel names it.
    root_path: Vec<u8>,
    cached: Option<Parent>,
}

/// A directory that entries go into.
#[derive(Clone)]
struct Parent {
    /// Its path as the archive names it.
    path: Vec<u8>,
    /// Its path beneath the root with all symlinks followed.
    real: Vec<u8>,
    /// The device of its file system.
    device: u64,
    descriptor: Arc<OwnedFd>,
}

impl<'a> Destination<'a> {
    pub(super) fn new(root: BorrowedFd<'a>) -> Result<Self, ArchiveError> {
        let root_path = path_of(root).map_err(ArchiveError::entry("find", b"/"))?;
        Ok(Self { root, root_path, cached: None })
    }

    /// Drops the open parent: a directory or symlink on its path may have been replaced.
    pub(super) fn forget(&mut self) {
        self.cached = None;
    }

    /// Opens the directory that holds `path`, made where it is missing, and returns the last name.
    pub(super) fn parent<'p>(&mut self, path: &'p [u8]) -> Result<(Arc<OwnedFd>, &'p [u8]), ArchiveError> {
        let (parent, name) = split(path);
        if let Some(cached) = self.cached.as_ref().filter(|cached| cached.path == parent) {
            return Ok((Arc::clone(&cached.descriptor), name));
        }
        let failed = |error: Errno| ArchiveError::entry("make the directory of", path)(error);
        let descriptor = Arc::new(self.ensure_directory(parent, 0).map_err(failed)?);
        let real = path_of(descriptor.as_fd()).map_err(failed)?;
        let real = real.strip_prefix(self.root_path.as_slice()).unwrap_or(parent);
        let real = real.strip_prefix(b"/").unwrap_or(real).to_vec();
        let device = fs::fstat(&descriptor).map_err(failed)?.st_dev;
        self.cached =
            Some(Parent { path: parent.to_vec(), real, device, descriptor: Arc::clone(&descriptor) });
        Ok((descriptor, name))
    }

    /// The device of the last parent's file system.
    pub(super) fn device(&self) -> Option<u64> {
        self.cached.as_ref().map(|parent| parent.device)
    }

    /// Where an entry of the last parent really is, beneath the root.
    pub(super) fn real_path(&self, name: &[u8]) -> Vec<u8> {
        match &self.cached {
            Some(parent) if !parent.real.is_empty() => [parent.real.as_slice(), b"/", name].concat(),
            _ => name.to_vec(),
        }
    }

    /// Opens a directory only if it is there.
    pub(super) fn existing(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        open_beneath(self.root, path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// Opens an existing directory for its attributes.
    fn open_directory(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        open_beneath(self.root, path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn ensure_directory(&self, path: &[u8], links: u32) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut missing = Vec::new();
        let mut reached = path;
        let mut holder = loop {
            match open_beneath(self.root, reached, flags) {
                Err(Errno::NOENT) if !reached.is_empty() => {
                    missing.push(reached);
                    reached = split(reached).0;
                }
                found => break found?,
            }
        };
        while let Some(path) = missing.pop() {
            self.make_directory(&holder, path, links)?;
            holder = open_beneath(self.root, path, flags)?;
        }
        Ok(holder)
    }

    /// Makes a directory in its parent, or what a link in its place leads to.
    fn make_directory(&self, holder: &OwnedFd, path: &[u8], links: u32) -> Result<(), Errno> {
        let (parent, name) = split(path);
        match fs::mkdirat(holder, OsStr::from_bytes(name), Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) if links < LINK_LIMIT => {
                // A link whose target is in a layer below, or missing: the target is made here.
                let target = fs::readlinkat(holder, OsStr::from_bytes(name), Vec::new());
                let target = match target {
                    Ok(target) => target.into_bytes(),
                    // Made meanwhile by someone else.
                    Err(Errno::INVAL) => Vec::new(),
                    Err(error) => return Err(error),
                };
                if !target.is_empty() {
                    self.ensure_directory(&link_target(parent, &target), links + 1)?;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn set_directory_time(
        &self,
        path: &[u8],
        seconds: i64,
        nanoseconds: u32,
    ) -> Result<(), ArchiveError> {
        let directory = match self.open_directory(path) {
            Ok(directory) => directory,
            // Replaced by a later entry.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(error) => return Err(ArchiveError::entry("set the time of", path)(error)),
        };
        fs::futimens(&directory, &times(seconds, nanoseconds))
            .map_err(ArchiveError::entry("set the time of", path))
    }

    /// Marks a directory as hiding all that layers below have in it.
    pub(super) fn set_opaque(&mut self, path: &[u8]) -> Result<(), ArchiveError> {
        let act = "make opaque";
        drop(self.ensure_directory(path, 0).map_err(ArchiveError::entry(act, path))?);
        let directory = self.open_directory(path).map_err(ArchiveError::entry(act, path))?;
        fs::fsetxattr(&directory, OPAQUE, b"y", fs::XattrFlags::empty())
            .map_err(ArchiveError::entry(act, path))
    }

    /// Makes a whiteout; what this archive itself put there stays, a directory becomes opaque.
    pub(super) fn hide(&mut self, path: &[u8]) -> Result<(), ArchiveError> {
        let (parent, name) = self.parent(path)?;
        let made = fs::mknodat(&parent, OsStr::from_bytes(name), FileType::CharacterDevice, Mode::empty(), 0);
        match made {
            Err(Errno::EXIST) => match stat(&parent, name) {
                Ok(found) if is_directory(&found) => self.set_opaque(path),
                Ok(_) => Ok(()),
                Err(error) => Err(ArchiveError::entry("hide", path)(error)),
            },
            other => other.map_err(ArchiveError::entry("hide", path)),
        }
    }
}

/// Makes an empty file or directory at a path beneath `root`, with the directories above it.
pub(crate) fn make_place(root: BorrowedFd<'_>, path: &[u8], directory: bool) -> std::io::Result<()> {
    let path = clean(path).map_err(std::io::Error::other)?;
    let mut destination = Destination::new(root).map_err(std::io::Error::other)?;
    if directory {
        destination.ensure_directory(&path, 0)?;
        return Ok(());
    }
    let (parent, name) = destination.parent(&path).map_err(std::io::Error::other)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(&parent, OsStr::from_bytes(name), flags, Mode::from_raw_mode(0o644))?;
    Ok(())
}

/// Opens a path with `root` as the file system's root.
pub(crate) fn open_beneath(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    sys::confined::open(root, Path::new(OsStr::from_bytes(path)), flags, sys::confined::IN_ROOT)
}

/// Where a descriptor is, as the kernel names it.
fn path_of(descriptor: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let link = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    fs::readlink(link, Vec::new()).map(CString::into_bytes)
}

/// Splits a clean path into its parent and its last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Where a link leads, seen from the root: `..` never leaves it.
fn link_target(parent: &[u8], target: &[u8]) -> Vec<u8> {
    let mut components: Vec<&[u8]> = Vec::new();
    let base: &[u8] = if target.starts_with(b"/") { b"" } else { parent };
    for component in base.split(|byte| *byte == b'/').chain(target.split(|byte| *byte == b'/')) {
        match component {
            b"" | b"." => {}
            b".." => drop(components.pop()),
            _ => components.push(component),
        }
    }
    components.join(&b'/')
}

pub(super) fn stat(parent: &OwnedFd, name: &[u8]) -> Result<Stat, Errno> {
    fs::statat(parent.as_fd(), OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW)
}

/// The bytes of its file system that go free when the name is removed: a regular file's, unless it has other names.
pub(super) fn bytes_of(parent: &OwnedFd, name: &[u8]) -> u64 {
    let is_last =
        |found: &Stat| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_nlink == 1;
    let blocks = stat(parent, name).ok().filter(is_last).map_or(0, |found| found.st_blocks);
    u64::try_from(blocks).unwrap_or_default().saturating_mul(512)
}

pub(super) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

pub(super) fn times(seconds: i64, nanoseconds: u32) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}

/// A name as components joined by `/`, without `.`, leading `/` and trailing `/`; the root is empty.
pub(super) fn clean(name: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let escape = || ArchiveError::Escape { name: crate::tar::shown(name) };
    let mut components: Vec<&[u8]> = Vec::new();
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop().ok_or_else(escape)?;
            }
            _ => components.push(component),
        }
    }
    let path = components.join(&b'/');
    if path.len() > PATH_LIMIT {
        return Err(ArchiveError::Limit { what: "bytes in a path", limit: PATH_LIMIT as u64 });
    }
    Ok(path)
}
