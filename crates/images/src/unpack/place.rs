//! Puts one entry in its place: files, directories, links, devices, with all their attributes.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;

use super::destination::{is_directory, is_whiteout, split, stat, times};
use super::{Overwrite, Recorder, Space, Unpacking, Whiteouts, Writing};
use crate::tar::{ArchiveError, Entry, EntryKind, Reader, shown};

/// How often something is made where others put something of the same name at the same time.
const ATTEMPTS: u32 = 16;

/// The node at an entry's place, after it was cleared as far as needed.
enum Place {
    /// Nothing any more.
    Free,
    /// A whiteout of this archive was removed.
    WasHidden,
    /// A directory that the new one may take over.
    Directory,
}

impl Unpacking<'_> {
    pub(super) fn file(
        &mut self,
        path: &[u8],
        entry: &Entry,
        reader: &mut Reader<'_>,
        recorder: &mut dyn Recorder,
    ) -> Result<(), ArchiveError> {
        let failed = |act| ArchiveError::entry::<Errno>(act, path);
        let (parent, name) = self.parent_of(path)?;
        self.check_space(&parent, name, entry.stored)?;
        let real = self.destination.real_path(name);
        let create = || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            fs::openat(&parent, OsStr::from_bytes(name), flags, Mode::RUSR | Mode::WUSR)
        };
        let file = self.make(path, (&parent, name), entry.kind, recorder, create)?;
        write_content(&file, &real, entry, reader, recorder, &mut self.space)?;
        if self.options.writing == Writing::Early && entry.stored >= EARLY {
            // What fails here fails when the layer is written out too.
            let _ = sys::writeback::start(file.as_fd());
        }
        self.unpacked.size = self.unpacked.size.saturating_add(entry.size);
        set_owner_and_mode(&file, entry).map_err(failed("set the owner of"))?;
        for (attribute, value) in allowed(&entry.attributes) {
            fs::fsetxattr(&file, OsStr::from_bytes(attribute), value, XattrFlags::empty())
                .map_err(failed("set an attribute of"))?;
        }
        fs::futimens(&file, &times(entry.seconds, entry.nanoseconds)).map_err(failed("set the time of"))
    }

    /// Makes what is no directory in a place that is cleared for it, again where others take the place meanwhile.
    fn make<T>(
        &mut self,
        path: &[u8],
        (parent, name): (&OwnedFd, &[u8]),
        kind: EntryKind,
        recorder: &mut dyn Recorder,
        make: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, ArchiveError> {
        let mut attempts = 1;
        loop {
            match make() {
                Err(Errno::EXIST) if attempts < ATTEMPTS => {
                    attempts += 1;
                    self.clear(path, parent, name, kind, recorder)?;
                }
                made => return made.map_err(ArchiveError::entry("create", path)),
            }
        }
    }

    pub(super) fn directory(
        &mut self,
        path: Vec<u8>,
        entry: &Entry,
        recorder: &mut dyn Recorder,
    ) -> Result<(), ArchiveError> {
        let mut was_hidden = false;
        let (parent, name) = self.parent_of(&path)?;
        let name = if name.is_empty() { b"." } else { name };
        let make = || fs::mkdirat(&parent, OsStr::from_bytes(name), Mode::RWXU);
        let mut attempts = 1;
        loop {
            match make() {
                Err(Errno::EXIST) if attempts < ATTEMPTS => {
                    attempts += 1;
                    match self.clear(&path, &parent, name, entry.kind, recorder)? {
                        Place::Directory => break,
                        place => was_hidden |= matches!(place, Place::WasHidden),
                    }
                }
                made => break made.map_err(ArchiveError::entry("create", &path))?,
            }
        }
        let failed = |act| ArchiveError::entry::<Errno>(act, &path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory =
            fs::openat(&parent, OsStr::from_bytes(name), flags, Mode::empty()).map_err(failed("open"))?;
        set_owner_and_mode(&directory, entry).map_err(failed("set the owner of"))?;
        for (attribute, value) in allowed(&entry.attributes) {
            fs::fsetxattr(&directory, OsStr::from_bytes(attribute), value, XattrFlags::empty())
                .map_err(failed("set an attribute of"))?;
        }
        if was_hidden {
            self.destination.set_opaque(&path)?;
        }
        self.keep(path.len())?;
        self.directories.push((path, entry.seconds, entry.nanoseconds));
        Ok(())
    }

    pub(super) fn hard_link(
        &mut self,
        path: Vec<u8>,
        target: &[u8],
        recorder: &mut dyn Recorder,
    ) -> Result<(), ArchiveError> {
        if path == target {
            return Ok(());
        }
        let (parent, name) = self.parent_of(&path)?;
        if stat(&parent, name).is_ok() {
            self.clear(&path, &parent, name, EntryKind::HardLink, recorder)?;
        }
        if !self.try_link(&path, target)? {
            self.keep(path.len() + target.len())?;
            self.links.push((path, target.to_vec()));
        }
        Ok(())
    }

    /// Makes a hard link; false when the target is not there.
    pub(super) fn try_link(&mut self, path: &[u8], target: &[u8]) -> Result<bool, ArchiveError> {
        let failed = |act| ArchiveError::entry::<Errno>(act, path);
        let (target_parent, target_name) = split(target);
        let holder = match self.destination.existing(target_parent) {
            Ok(holder) => holder,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            Err(error) => return Err(failed("find the target of")(error)),
        };
        let (parent, name) = self.parent_of(path)?;
        let (from, to) = (OsStr::from_bytes(target_name), OsStr::from_bytes(name));
        match fs::linkat(&holder, from, &parent, to, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(false),
            other => other.map(|()| true).map_err(failed("link")),
        }
    }

    pub(super) fn symlink(
        &mut self,
        path: &[u8],
        entry: &Entry,
        recorder: &mut dyn Recorder,
    ) -> Result<(), ArchiveError> {
        let failed = |act| ArchiveError::entry::<Errno>(act, path);
        let (parent, name) = self.parent_of(path)?;
        let name = OsStr::from_bytes(name);
        let make = || fs::symlinkat(OsStr::from_bytes(&entry.link), &parent, name);
        self.make(path, (&parent, name.as_bytes()), entry.kind, recorder, make)?;
        let (user, group) = owner(entry);
        fs::chownat(&parent, name, user, group, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("set the owner of"))?;
        self.attributes_by_name(path, &parent, entry)?;
        let times = times(entry.seconds, entry.nanoseconds);
        fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("set the time of"))
    }

    pub(super) fn node(
        &mut self,
        path: &[u8],
        entry: &Entry,
        recorder: &mut dyn Recorder,
    ) -> Result<(), ArchiveError> {
        let failed = |act| ArchiveError::entry::<Errno>(act, path);
        let (parent, name) = self.parent_of(path)?;
        let name = OsStr::from_bytes(name);
        let kind = match entry.kind {
            EntryKind::CharacterDevice => FileType::CharacterDevice,
            EntryKind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = if kind == FileType::Fifo { 0 } else { fs::makedev(entry.device.0, entry.device.1) };
        let make = || fs::mknodat(&parent, name, kind, Mode::RUSR | Mode::WUSR, device);
        self.make(path, (&parent, name.as_bytes()), entry.kind, recorder, make)?;
        // Opened as a mere place: neither a device nor a pipe is touched by it.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = fs::openat(&parent, name, flags, Mode::empty()).map_err(failed("open"))?;
        let (user, group) = owner(entry);
        fs::chownat(&node, "", user, group, AtFlags::EMPTY_PATH).map_err(failed("set the owner of"))?;
        let found = fs::fstat(&node).map_err(failed("look at"))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            fs::chmod(by_descriptor(&node), Mode::from_raw_mode(entry.mode))
                .map_err(failed("set the mode of"))?;
        }
        self.attributes_by_name(path, &parent, entry)?;
        let times = times(entry.seconds, entry.nanoseconds);
        fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("set the time of"))
    }

    /// Attributes of what cannot be opened: by its name in a parent that is held.
    fn attributes_by_name(&self, path: &[u8], parent: &OwnedFd, entry: &Entry) -> Result<(), ArchiveError> {
        let (_, name) = split(path);
        for (attribute, value) in allowed(&entry.attributes) {
            let place = [by_descriptor(parent).as_bytes(), b"/", name].concat();
            fs::lsetxattr(
                OsStr::from_bytes(&place),
                OsStr::from_bytes(attribute),
                value,
                XattrFlags::empty(),
            )
            .map_err(ArchiveError::entry("set an attribute of", path))?;
        }
        Ok(())
    }

    fn parent_of<'p>(&mut self, path: &'p [u8]) -> Result<(std::sync::Arc<OwnedFd>, &'p [u8]), ArchiveError> {
        self.destination.parent(path)
    }

    /// Removes what is at the path of a new entry, unless both are directories.
    fn clear(
        &mut self,
        path: &[u8],
        parent: &OwnedFd,
        name: &[u8],
        kind: EntryKind,
        recorder: &mut dyn Recorder,
    ) -> Result<Place, ArchiveError> {
        let found = match stat(parent, name) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(Place::Free),
            Err(error) => return Err(ArchiveError::entry("look at", path)(error)),
        };
        let hides = self.options.whiteouts == Whiteouts::Overlay && is_whiteout(&found);
        let (was_directory, becomes_directory) = (is_directory(&found), kind == EntryKind::Directory);
        if was_directory && becomes_directory {
            return Ok(Place::Directory);
        }
        if self.options.overwrite == Overwrite::SameSort && was_directory != becomes_directory {
            let name = shown(&[b"/", path].concat());
            let existing = name.clone();
            return Err(if was_directory {
                ArchiveError::OverDirectory { existing, name }
            } else {
                ArchiveError::OverNonDirectory { existing, name }
            });
        }
        if hides {
            fs::unlinkat(parent, OsStr::from_bytes(name), AtFlags::empty())
                .map_err(ArchiveError::entry("replace", path))?;
            return Ok(Place::WasHidden);
        }
        recorder.replaced(&self.destination.real_path(name), parent, name)?;
        self.destination.forget();
        Ok(Place::Free)
    }
}

/// Files from this size on are sent on their way to disk at once: smaller ones gain less than it costs.
const EARLY: u64 = 64 << 10;

fn write_content(
    file: &OwnedFd,
    path: &[u8],
    entry: &Entry,
    reader: &mut Reader<'_>,
    recorder: &mut dyn Recorder,
    space: &mut Space,
) -> Result<(), ArchiveError> {
    let failed = |act| ArchiveError::entry::<Errno>(act, path);
    if entry.extents.is_some() {
        fs::ftruncate(file, entry.size).map_err(failed("make room for"))?;
    }
    let mut extents = entry.places();
    while let Some((offset, length)) = extents.take(usize::MAX) {
        recorder.stored(path, offset, length as u64)?;
    }
    let mut places = entry.places();
    reader.content(|bytes| {
        space.write(bytes.len())?;
        places.write(file, bytes).map_err(failed("write"))
    })
}

fn set_owner_and_mode(file: &OwnedFd, entry: &Entry) -> Result<(), Errno> {
    let (user, group) = owner(entry);
    fs::fchown(file, user, group)?;
    // After the owner: a change of owner takes setuid and setgid away.
    fs::fchmod(file, Mode::from_raw_mode(entry.mode))
}

fn owner(entry: &Entry) -> (Option<Uid>, Option<Gid>) {
    // u32::MAX means "leave it" to chown(2).
    (
        (entry.user != u32::MAX).then(|| Uid::from_raw(entry.user)),
        (entry.group != u32::MAX).then(|| Gid::from_raw(entry.group)),
    )
}

fn by_descriptor(descriptor: &OwnedFd) -> std::ffi::OsString {
    format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd()).into()
}

/// An archive must not set overlay's own marks: they would let it point elsewhere.
fn allowed(attributes: &[(Vec<u8>, Vec<u8>)]) -> impl Iterator<Item = (&[u8], &[u8])> {
    attributes
        .iter()
        .filter(|(name, _)| !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay."))
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
}
