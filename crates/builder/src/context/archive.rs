//! Unpacks a context's tar to disk, once, hashing its files meanwhile.
//!
//! The index mirrors what is on disk, and nothing else writes there: an entry whose directory the
//! index does not know as a directory is refused, so that no entry goes through a symbolic link.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use images::registry::Cancellation;
use rustix::fs::{Timespec, Timestamps, futimens};
use tar::EntryType;

use super::hasher::Hasher;
use super::index::{Index, Record};
use super::{Context, ContextError};
use crate::tree::{Attribute, Metadata, Modified, Node, NodeKind};

/// The prefix of extended attributes in PAX headers.
const ATTRIBUTE: &str = "SCHILY.xattr.";

/// Unpacks a plain tar into the empty directory `root`.
///
/// # Errors
/// [`ContextError`] when the stream is no tar, is cut off, or holds what cannot be unpacked.
pub(super) fn extract(
    stream: impl Read,
    root: PathBuf,
    cancellation: &Cancellation,
) -> Result<Context, ContextError> {
    let mut extraction =
        Extraction { root, index: Index::default(), hasher: Hasher::start(), links: 0, cancellation };
    let result = extraction.run(stream);
    let digests = extraction.hasher.finish();
    result.map(|()| Context::new(extraction.root, extraction.index, digests))
}

struct Extraction<'a> {
    root: PathBuf,
    index: Index,
    hasher: Hasher,
    /// How many groups of hard links there are.
    links: u64,
    cancellation: &'a Cancellation,
}

type Entry<'a, R> = tar::Entry<'a, R>;

impl Extraction<'_> {
    fn run(&mut self, stream: impl Read) -> Result<(), ContextError> {
        let ended = Cell::new(false);
        let result = self.entries(Watched { stream, cancellation: self.cancellation, ended: &ended });
        match result {
            // Whatever is missing then, the stream was cut off.
            Err(ContextError::NotTar(_)) if ended.get() => Err(ContextError::Truncated),
            other => other,
        }
    }

    fn entries(&mut self, stream: impl Read) -> Result<(), ContextError> {
        let mut archive = tar::Archive::new(stream);
        for entry in archive.entries().map_err(ContextError::Read)? {
            let mut entry = entry.map_err(malformed)?;
            let path = normalise(&entry.path_bytes());
            if path.as_os_str().is_empty() {
                continue;
            }
            self.entry(&mut entry, path)?;
        }
        Ok(())
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: PathBuf) -> Result<(), ContextError> {
        let kind = entry.header().entry_type();
        if !is_known(kind) {
            return Ok(());
        }
        self.make_parents(&path)?;
        self.clear(&path, kind)?;
        if kind == EntryType::Link {
            let target = normalise(&entry.link_name_bytes().unwrap_or_default());
            return self.link(path, &target);
        }
        let metadata = metadata(entry)?;
        let (kind, content) = match kind {
            EntryType::Directory => {
                self.make_directory(&path)?;
                (NodeKind::Directory, None)
            }
            EntryType::Symlink => {
                let target = OsString::from_vec(entry.link_name_bytes().unwrap_or_default().into_owned());
                (NodeKind::Symlink { target }, None)
            }
            EntryType::Fifo => (NodeKind::Fifo, None),
            EntryType::Char | EntryType::Block => (device(entry, kind)?, None),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let (size, number) = self.write_file(entry, &path, &metadata)?;
                (NodeKind::File { size }, Some(number))
            }
            _ => return Ok(()),
        };
        self.index.insert(path, Record { node: Node { kind, metadata }, content, links: None });
        Ok(())
    }

    /// Makes the directories above an entry that the archive did not hold.
    fn make_parents(&mut self, path: &Path) -> Result<(), ContextError> {
        let mut missing = Vec::new();
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            match self.index.get(parent) {
                Some(record) if record.node.is_directory() => break,
                Some(_) => {
                    return Err(ContextError::Through { path: path.to_owned(), through: parent.to_owned() });
                }
                None => missing.push(parent.to_owned()),
            }
        }
        for parent in missing.into_iter().rev() {
            self.make_directory(&parent)?;
            let metadata = Metadata::new_directory(0, 0);
            let node = Node { kind: NodeKind::Directory, metadata };
            self.index.insert(parent, Record { node, content: None, links: None });
        }
        Ok(())
    }

    /// Takes away what an earlier entry of the same name made; a directory stays for a directory.
    fn clear(&mut self, path: &Path, kind: EntryType) -> Result<(), ContextError> {
        let Some(record) = self.index.get(path) else { return Ok(()) };
        let on_disk = self.root.join(path);
        match (record.node.is_directory(), kind == EntryType::Directory) {
            (true, true) => return Ok(()),
            (true, false) => fs::remove_dir_all(on_disk).map_err(ContextError::file("replace", path))?,
            (false, _) if matches!(record.node.kind, NodeKind::File { .. }) => {
                fs::remove_file(on_disk).map_err(ContextError::file("replace", path))?;
            }
            (false, _) => {}
        }
        self.index.remove(path);
        Ok(())
    }

    fn make_directory(&self, path: &Path) -> Result<(), ContextError> {
        match fs::create_dir(self.root.join(path)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(ContextError::file("create", path)(error))
            }
            _ => Ok(()),
        }
    }

    fn link(&mut self, path: PathBuf, target: &Path) -> Result<(), ContextError> {
        let Some(record) = self.index.get_mut(target).filter(|record| record.content.is_some()) else {
            return Err(ContextError::LinkTarget { path, target: target.to_owned() });
        };
        let group = *record.links.get_or_insert_with(|| {
            self.links += 1;
            self.links
        });
        let record = Record { links: Some(group), ..record.clone() };
        fs::hard_link(self.root.join(target), self.root.join(&path))
            .map_err(ContextError::file("link", &path))?;
        self.index.insert(path, record);
        Ok(())
    }

    /// Writes a file; its size and the number of its content.
    fn write_file<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        path: &Path,
        metadata: &Metadata,
    ) -> Result<(u64, usize), ContextError> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.root.join(path))
            .map_err(ContextError::file("create", path))?;
        let mut size = 0;
        let number = self.hasher.content(entry.size(), |piece| {
            let count = fill(entry, piece).map_err(malformed)?;
            file.write_all(&piece[..count]).map_err(ContextError::file("write", path))?;
            size += count as u64;
            Ok::<_, ContextError>(count)
        })?;
        dress(&file, metadata).map_err(ContextError::file("set the mode of", path))?;
        Ok((size, number))
    }
}

/// Whether an entry stands for a file; others, such as a volume's label, say nothing of use here.
const fn is_known(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::Regular
            | EntryType::Continuous
            | EntryType::GNUSparse
            | EntryType::Link
            | EntryType::Symlink
            | EntryType::Directory
            | EntryType::Fifo
            | EntryType::Char
            | EntryType::Block
    )
}

/// Sets what a layer's file has that takes this one's inode over: all but the owner, who is root.
fn dress(file: &File, metadata: &Metadata) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(metadata.mode))?;
    for (name, value) in &metadata.attributes {
        let name = std::ffi::CString::new(name.as_slice())?;
        match rustix::fs::fsetxattr(file, name.as_c_str(), value, rustix::fs::XattrFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let Some(modified) = metadata.modified else { return Ok(()) };
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: i64::from(modified.nanoseconds) };
    Ok(futimens(file, &Timestamps { last_access: time, last_modification: time })?)
}

/// Reads until the buffer is full or the content ends.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads owner, mode, time and attributes of an entry; a number that is not there is 0.
///
/// # Errors
/// [`ContextError`] when an extended header is malformed, or an owner's number too large.
pub(crate) fn metadata<R: Read>(entry: &mut Entry<'_, R>) -> Result<Metadata, ContextError> {
    let header = entry.header();
    let id = |id: io::Result<u64>| {
        let too_large = || malformed(io::Error::other("an owner's number is too large"));
        u32::try_from(id.unwrap_or(0)).map_err(|_| too_large())
    };
    let seconds = i64::try_from(header.mtime().unwrap_or(0)).unwrap_or_default();
    let mut metadata = Metadata {
        mode: header.mode().unwrap_or(0) & 0o7777,
        user: id(header.uid())?,
        group: id(header.gid())?,
        modified: Some(Modified { seconds, nanoseconds: 0 }),
        attributes: Vec::new(),
    };
    let Some(extensions) = entry.pax_extensions().map_err(malformed)? else { return Ok(metadata) };
    for extension in extensions.flatten() {
        let Ok(key) = extension.key() else { continue };
        if let Some(name) = key.strip_prefix(ATTRIBUTE) {
            let attribute: Attribute = (name.as_bytes().to_vec(), extension.value_bytes().to_vec());
            metadata.attributes.push(attribute);
        } else if key == "mtime" {
            metadata.modified = extension.value().ok().and_then(parse_time).or(metadata.modified);
        }
    }
    metadata.attributes.sort();
    Ok(metadata)
}

/// Parses the decimal seconds of a PAX header.
fn parse_time(text: &str) -> Option<Modified> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits = fraction.get(..fraction.len().min(9))?;
    let nanoseconds = if digits.is_empty() { 0 } else { format!("{digits:0<9}").parse().ok()? };
    if whole.starts_with('-') && nanoseconds > 0 {
        return Some(Modified { seconds: seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds });
    }
    Some(Modified { seconds, nanoseconds })
}

/// Reads a device entry's numbers; fields that are blank or not there mean 0.
pub(crate) fn device<R: Read>(entry: &Entry<'_, R>, kind: EntryType) -> Result<NodeKind, ContextError> {
    let header = entry.header();
    let blank = |field: &[u8]| field.iter().all(|byte| matches!(byte, 0 | b' '));
    let [major_field, minor_field] = header
        .as_ustar()
        .map(|header| [header.dev_major, header.dev_minor])
        .or_else(|| header.as_gnu().map(|header| [header.dev_major, header.dev_minor]))
        .unwrap_or_default();
    let number = |field: [u8; 8], read: io::Result<Option<u32>>| match read {
        Err(_) if blank(&field) => Ok(0),
        read => read.map(Option::unwrap_or_default).map_err(malformed),
    };
    let major = number(major_field, header.device_major())?;
    let minor = number(minor_field, header.device_minor())?;
    Ok(NodeKind::Device { block: kind == EntryType::Block, number: rustix::fs::makedev(major, minor) })
}

/// Takes `.` and `..` steps and the root out of a name; nothing leads above the top.
pub(crate) fn normalise(name: &[u8]) -> PathBuf {
    let name = PathBuf::from(OsString::from_vec(name.to_vec()));
    let mut path = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    path
}

/// Tells a stream that ends too early from one that is no tar.
pub(crate) fn malformed(error: io::Error) -> ContextError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ContextError::Truncated,
        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            ContextError::Read(error)
        }
        _ => ContextError::NotTar(error),
    }
}

/// A stream that fails when the build is cancelled, and notes its end.
struct Watched<'a, R> {
    stream: R,
    cancellation: &'a Cancellation,
    ended: &'a Cell<bool>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancellation.is_cancelled() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = self.stream.read(buffer)?;
        self.ended.set(self.ended.get() || (count == 0 && !buffer.is_empty()));
        Ok(count)
    }
}
