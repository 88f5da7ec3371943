//! Unpacks tar archives beneath a directory and nowhere else.
//!
//! Every name is resolved by the kernel with the directory as its root (`openat2` with
//! `RESOLVE_IN_ROOT`), the last component never follows a link, so neither a hostile archive nor a
//! process that swaps links meanwhile leads out. Directories' times and links to what comes later
//! in the archive are set at the end.

mod destination;
mod hiding;
mod place;
mod space;
mod whiteout;

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use model::IdMapping;

use crate::archive_memory::Share;
use crate::compression::decompress;
use crate::tar::{ArchiveError, Entry, EntryKind, Reader, ReaderChunks};
use destination::{Destination, clean};
pub(crate) use destination::{make_place, open_beneath};
pub use space::{Reserve, Space};

/// The handling of `.wh.` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whiteouts {
    /// They are files like others.
    Literal,
    /// They become overlay's: a character device 0/0, or the opaque attribute.
    Overlay,
}

/// Whether directories and others may replace each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Everything may replace everything.
    Anything,
    /// A directory replaces only a directory, a non-directory only a non-directory.
    SameSort,
}

/// The owner of unpacked files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The owner in the archive.
    Archive,
    /// These numbers, whatever the archive has.
    Fixed {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

impl Ownership {
    /// All belongs to root.
    pub const ROOT: Self = Self::Fixed { uid: 0, gid: 0 };
}

/// Notified of each entry, so that the archive can be given back later.
pub(crate) trait Recorder {
    /// Bytes of the archive that are stored nowhere else.
    ///
    /// # Errors
    /// Whatever keeping them fails with.
    fn raw(&mut self, bytes: &[u8]) -> Result<(), ArchiveError>;

    /// Content that is now at `path`, `offset` bytes from its start.
    ///
    /// # Errors
    /// Whatever noting it fails with.
    fn stored(&mut self, path: &[u8], offset: u64, length: u64) -> Result<(), ArchiveError>;

    /// Something that this archive made is about to be replaced: it is moved away first.
    ///
    /// # Errors
    /// Whatever moving it fails with.
    fn replaced(&mut self, path: &[u8], parent: &OwnedFd, name: &[u8]) -> Result<(), ArchiveError>;
}

/// Nothing is recorded: what is replaced is removed.
pub(crate) struct NoRecorder;

impl Recorder for NoRecorder {
    fn raw(&mut self, _bytes: &[u8]) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn stored(&mut self, _path: &[u8], _offset: u64, _length: u64) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn replaced(&mut self, path: &[u8], parent: &OwnedFd, name: &[u8]) -> Result<(), ArchiveError> {
        crate::tree::remove_at(parent, name).map_err(ArchiveError::entry("replace", path))
    }
}

/// When content goes to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// When the system thinks fit.
    Late,
    /// While the rest of the archive comes: the end of the unpacking waits for the disk.
    Early,
}

/// How an archive is unpacked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'o> {
    pub(crate) whiteouts: Whiteouts,
    pub(crate) overwrite: Overwrite,
    pub(crate) ownership: Ownership,
    /// The user namespace in which the owners are meant; `None` for the host's.
    pub(crate) user_namespace: Option<&'o IdMapping>,
    pub(crate) writing: Writing,
    /// The device of the engine's own file system: a part of it stays free.
    pub(crate) engine_device: u64,
}

/// The result of unpacking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The bytes of all files' contents, links counted once, holes included.
    pub size: u64,
    /// How many entries.
    pub entries: u64,
}

/// Unpacks an archive, compressed in any known way, beneath `root`.
///
/// # Errors
/// [`ArchiveError`]; what was unpacked before stays.
pub fn unpack(
    root: BorrowedFd<'_>,
    archive: impl Read + Send,
    overwrite: Overwrite,
) -> Result<Unpacked, ArchiveError> {
    let options = Options {
        whiteouts: Whiteouts::Literal,
        overwrite,
        ownership: Ownership::Archive,
        user_namespace: None,
        writing: Writing::Late,
        engine_device: device_of(root)?,
    };
    unpack_with(root, archive, options)
}

/// The device of a directory's file system.
pub(crate) fn device_of(directory: BorrowedFd<'_>) -> Result<u64, ArchiveError> {
    let stat = rustix::fs::fstat(directory).map_err(ArchiveError::entry("look at", b"/"))?;
    Ok(stat.st_dev)
}

/// Unpacks an archive as the options have it.
///
/// # Errors
/// As [`unpack`]; an archive without a byte has no entries.
pub(crate) fn unpack_with(
    root: BorrowedFd<'_>,
    archive: impl Read + Send,
    options: Options<'_>,
) -> Result<Unpacked, ArchiveError> {
    let plain = decompress(archive)?;
    let mut reader = Reader::new(ReaderChunks::new(plain));
    unpack_entries(root, &mut reader, options, &mut NoRecorder)
}

/// Unpacks all entries of `reader`, and reads it to its end.
pub(crate) fn unpack_entries(
    root: BorrowedFd<'_>,
    reader: &mut Reader<'_>,
    options: Options<'_>,
    recorder: &mut dyn Recorder,
) -> Result<Unpacked, ArchiveError> {
    let mut unpacking = Unpacking {
        destination: Destination::new(root)?,
        options,
        unpacked: Unpacked::default(),
        space: Space::with_reserve(root, reserve_on(device_of(root)?, options))
            .map_err(ArchiveError::Output)?,
        device: device_of(root)?,
        share: Share::default(),
        directories: Vec::new(),
        links: Vec::new(),
        has_aufs_links: false,
    };
    while let Some(entry) = reader.next_entry()? {
        recorder.raw(&reader.take_raw())?;
        unpacking.unpacked.entries += 1;
        unpacking.space.entry()?;
        unpacking.entry(entry, reader, recorder)?;
    }
    recorder.raw(&reader.take_raw())?;
    reader.trailer(TRAILER_LIMIT, |bytes| recorder.raw(bytes))?;
    unpacking.finish(recorder)
}

/// Tapes and old tools pad archives with zeros: this much is more than any does.
const TRAILER_LIMIT: u64 = 64 << 20;

/// The memory of a deferred name in addition to the name.
const NAME: usize = size_of::<(Vec<u8>, i64, u32)>();

struct Unpacking<'a> {
    destination: Destination<'a>,
    options: Options<'a>,
    unpacked: Unpacked,
    space: Space,
    /// The device that the space is on.
    device: u64,
    /// The memory of the two lists below.
    share: Share,
    /// Directories whose times are set at the end.
    directories: Vec<(Vec<u8>, i64, u32)>,
    /// Hard links whose target was not there yet.
    links: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether files of AUFS are there, which go at the end.
    has_aufs_links: bool,
}

fn reserve_on(device: u64, options: Options<'_>) -> Reserve {
    if device == options.engine_device { Reserve::Kept } else { Reserve::None }
}

impl Unpacking<'_> {
    /// Refuses a file's content for which there is no space where the last parent is, which may be another mount.
    /// What a file of this name holds now is given back first.
    fn check_space(&mut self, parent: &OwnedFd, name: &[u8], content: u64) -> Result<(), ArchiveError> {
        let device = self.destination.device().unwrap_or(self.device);
        if device != self.device {
            self.space.move_to(parent.as_fd(), reserve_on(device, self.options))?;
            self.device = device;
        }
        self.space.check_replacing(content, || destination::bytes_of(parent, name))
    }

    /// Counts names that are kept in memory to the end.
    fn keep(&mut self, names: usize) -> Result<(), ArchiveError> {
        self.share.take(NAME + names)
    }

    fn entry(
        &mut self,
        mut entry: Entry,
        reader: &mut Reader<'_>,
        recorder: &mut dyn Recorder,
    ) -> Result<(), ArchiveError> {
        let path = clean(&entry.path)?;
        if let Ownership::Fixed { uid, gid } = self.options.ownership {
            (entry.user, entry.group) = (uid, gid);
        }
        if let Some(mapping) = self.options.user_namespace {
            let (user, group) = (entry.user, entry.group);
            let lacking = || ArchiveError::Owner { name: crate::tar::shown(&path), user, group };
            (entry.user, entry.group) = mapping.on_host((user, group)).ok_or_else(lacking)?;
        }
        if entry.kind == EntryKind::Other || (path.is_empty() && entry.kind != EntryKind::Directory) {
            return reader.content(|bytes| recorder.raw(bytes));
        }
        if self.options.whiteouts == Whiteouts::Overlay
            && let Some(whiteout) = whiteout::parse(&path)
        {
            if matches!(whiteout, whiteout::Whiteout::AufsLink) && entry.kind == EntryKind::File {
                return self.aufs_link(&path, &entry, reader, recorder);
            }
            reader.content(|bytes| recorder.raw(bytes))?;
            return self.whiteout(&path, whiteout);
        }
        match entry.kind {
            EntryKind::File => self.file(&path, &entry, reader, recorder),
            EntryKind::Directory => self.directory(path, &entry, recorder),
            EntryKind::HardLink => self.hard_link(path, &clean(&entry.link)?, recorder),
            EntryKind::Symlink => self.symlink(&path, &entry, recorder),
            EntryKind::CharacterDevice | EntryKind::BlockDevice | EntryKind::Fifo => {
                self.node(&path, &entry, recorder)
            }
            EntryKind::Other => Ok(()),
        }
    }

    fn finish(mut self, recorder: &mut dyn Recorder) -> Result<Unpacked, ArchiveError> {
        for (path, target) in std::mem::take(&mut self.links) {
            if !self.try_link(&path, &target)? {
                return Err(ArchiveError::LinkTarget {
                    name: crate::tar::shown(&path),
                    target: crate::tar::shown(&target),
                });
            }
        }
        self.set_aufs_links_aside(recorder)?;
        // Children first: setting a parent's time is then not undone by work below it.
        while let Some((path, seconds, nanoseconds)) = self.directories.pop() {
            self.destination.set_directory_time(&path, seconds, nanoseconds)?;
        }
        Ok(self.unpacked)
    }
}
