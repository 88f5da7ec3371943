//! Files whose contents are cached, so that packing their directory need not open them; some of them lie in another
//! directory altogether, see [`LentFile`].

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use model::Digest;
use rustix::fs::{FileType, Stat};

use super::read_ahead::SMALL;
use super::stack;

/// Where the content of a file is found.
#[derive(Debug)]
pub enum KnownContent {
    /// It was appended to the buffer.
    Buffered,
    /// A file that holds the same.
    File(PathBuf),
}

/// The properties of a file that lies in the layer which lends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LentFile {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds past the second.
    pub nanoseconds: u32,
}

/// A file with one name and without attributes.
#[derive(Debug)]
pub(super) struct KnownFile {
    /// Where its content is read from.
    pub(super) source: PathBuf,
    /// The digest of a content that is always put into the buffer.
    pub(super) digest: Option<Digest>,
    pub(super) lent: Option<LentFile>,
}

impl KnownFile {
    /// Whether the cached content is used: a large file of the directory's own may have holes.
    pub(super) fn serves(&self, stat: &Stat) -> bool {
        let is_plain = stack::kind(stat) == FileType::RegularFile && stat.st_nlink == 1;
        is_plain && (self.lent.is_some() || u64::try_from(stat.st_size).is_ok_and(|size| size <= SMALL))
    }
}

/// The known files of one directory, by name.
pub(super) type KnownNames = BTreeMap<Vec<u8>, KnownFile>;

/// Known files of a tree.
pub struct KnownFiles<'a> {
    /// By the directory's path, which ends in `/` unless it is the top.
    directories: HashMap<Vec<u8>, KnownNames>,
    read: &'a ReadKnown<'a>,
    /// For one content after the other.
    buffer: Vec<u8>,
}

/// Gives the content that a file has at its source: one that is put into the buffer comes behind what is there.
pub type ReadKnown<'a> = dyn Fn(&Path, &mut Vec<u8>) -> io::Result<KnownContent> + 'a;

impl<'a> KnownFiles<'a> {
    /// No files yet; `read` gives the content that one has at its source.
    #[must_use]
    pub fn new(read: &'a ReadKnown<'a>) -> Self {
        Self { directories: HashMap::new(), read, buffer: Vec::new() }
    }

    /// Adds a file by its path in the tree. Only one that is lent need not be there. With a digest its content is always put
    /// into the buffer.
    pub fn add(&mut self, path: &Path, source: PathBuf, digest: Option<Digest>, lent: Option<LentFile>) {
        let path = path.as_os_str().as_bytes();
        let split = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let (directory, name) = path.split_at(split);
        let names = match self.directories.get_mut(directory) {
            Some(names) => names,
            None => self.directories.entry(directory.to_owned()).or_default(),
        };
        names.insert(name.to_owned(), KnownFile { source, digest, lent });
    }

    /// The bytes of the files that are lent.
    #[must_use]
    pub fn lent_bytes(&self) -> u64 {
        let files = self.directories.values().flat_map(BTreeMap::values);
        files.filter_map(|file| file.lent).map(|lent| lent.size).sum()
    }

    /// The files of a directory that is packed now.
    pub(super) fn take(&mut self, directory: &[u8]) -> KnownNames {
        self.directories.remove(directory).unwrap_or_default()
    }

    /// Refuses what lies in a directory that was not packed.
    pub(super) fn finish(&self) -> io::Result<()> {
        let left = self.directories.values().flat_map(BTreeMap::values).any(|file| file.lent.is_some());
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the directory of a lent file is not there");
        if left { Err(missing()) } else { Ok(()) }
    }

    pub(crate) const fn reader(&self) -> &'a ReadKnown<'a> {
        self.read
    }

    /// The memory for the next content; it is to be given back.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    pub(super) fn give_buffer_back(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }
}

impl std::fmt::Debug for KnownFiles<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KnownFiles").field("directories", &self.directories.len()).finish()
    }
}

impl LentFile {
    /// Its status as of stat(2); unknown properties are those of its directory.
    pub(super) fn stat(&self, directory: &Stat) -> io::Result<Stat> {
        let mut stat = *directory;
        stat.st_mode = FileType::RegularFile.as_raw_mode() | (self.mode & 0o7777);
        stat.st_uid = self.user;
        stat.st_gid = self.group;
        stat.st_nlink = 1;
        stat.st_size = i64::try_from(self.size).map_err(io::Error::other)?;
        stat.st_mtime = self.seconds;
        stat.st_mtime_nsec = self.nanoseconds.into();
        Ok(stat)
    }
}
