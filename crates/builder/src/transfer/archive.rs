//! Unpacks the archives that ADD finds in a context.
//!
//! Names and links are resolved with the destination as their root, as in a chroot there; what a
//! name leads through, symbolic links of the image among it, is followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::TransferError;
use crate::context::{ContextError, device, malformed, metadata, normalise};
use crate::tree::{
    Content, MakeDirectories, Metadata, Node, NodeKind, Owner, Position, Reached, Stop, TreeError, Upper,
    Walk,
};

/// A failure to unpack, not yet named.
pub(super) enum Failure {
    Archive(ContextError),
    Tree(TreeError),
}

impl Failure {
    /// Says which archive it was.
    pub(super) fn named(self, name: &str) -> TransferError {
        match self {
            Self::Archive(source) => TransferError::Unpack { name: name.to_owned(), source },
            Self::Tree(source) => TransferError::Tree(source),
        }
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        Self::Archive(error)
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        Self::Tree(error)
    }
}

/// Opens a file as an archive, decompressed; `None` when it is none.
///
/// # Errors
/// [`TreeError::File`] when the file cannot be read.
pub(super) fn open(path: &Path) -> Result<Option<Box<dyn Read + Send>>, TreeError> {
    let failed = |error| TreeError::file("read", path)(error);
    let mut file = File::open(path).map_err(failed)?;
    if !holds_tar(&file) {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    images::decompress(file).map(Some).map_err(failed)
}

/// Whether the first block, decompressed, is a tar header with the right checksum.
fn holds_tar(file: &File) -> bool {
    let Ok(mut stream) = images::decompress(file) else { return false };
    let mut block = [0_u8; 512];
    if stream.read_exact(&mut block).is_err() || block.iter().all(|byte| *byte == 0) {
        return false;
    }
    let header = tar::Header::from_byte_slice(&block);
    // POSIX pax: the checksum is the sum of all bytes with its own field taken as blanks.
    let own = 148..156;
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(index, byte)| if own.contains(&index) { u32::from(b' ') } else { u32::from(*byte) })
        .sum();
    header.cksum().is_ok_and(|checksum| checksum == sum)
}

/// Unpacks a plain tar into the directory at `position`.
///
/// # Errors
/// [`Failure`] when the archive is malformed, or cannot be written.
pub(super) fn unpack(
    upper: &mut Upper,
    position: &Position,
    stream: impl Read,
    owner: Option<Owner>,
) -> Result<(), Failure> {
    let mut unpacking = Unpacking { upper, top: position, owner, last: None };
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().map_err(malformed)? {
        let mut entry = entry.map_err(malformed)?;
        let path = normalise(&entry.path_bytes());
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let mut position = unpacking.parent(parent)?;
        unpacking.entry(&mut entry, &mut position, name)?;
        unpacking.last = Some((parent.to_owned(), position));
    }
    Ok(())
}

struct Unpacking<'a> {
    upper: &'a mut Upper,
    /// The destination.
    top: &'a Position,
    owner: Option<Owner>,
    /// The directory of the entry before: most entries share it.
    last: Option<(PathBuf, Position)>,
}

impl Unpacking<'_> {
    /// Walks to an entry's directory, confined to the destination.
    fn parent(&mut self, parent: &Path) -> Result<Position, TreeError> {
        match self.last.take() {
            Some((last, position)) if last == parent => return Ok(position),
            _ => {}
        }
        let Owner { user, group } = self.owner.unwrap_or_default();
        let metadata = Metadata::new_directory(user, group);
        let mut make = MakeDirectories { upper: self.upper, metadata, last: true };
        match Walk::new(parent).run(self.top, &mut make)? {
            Reached::Directory(position) => Ok(position),
            Reached::Node(..) | Reached::Missing(..) => Err(TreeError::NotDirectory(parent.to_owned())),
        }
    }

    fn entry<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        position: &mut Position,
        name: &OsStr,
    ) -> Result<(), Failure> {
        let kind = match entry.header().entry_type() {
            EntryType::Link => {
                let target = normalise(&entry.link_name_bytes().unwrap_or_default());
                return self.link(&target, position, name);
            }
            EntryType::Directory => NodeKind::Directory,
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                NodeKind::Symlink { target: OsString::from_vec(target) }
            }
            EntryType::Fifo => NodeKind::Fifo,
            kind @ (EntryType::Char | EntryType::Block) => device(entry, kind)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                NodeKind::File { size: entry.size() }
            }
            _ => return Ok(()),
        };
        let mut metadata = metadata(entry)?;
        if let Some(owner) = self.owner {
            (metadata.user, metadata.group) = (owner.user, owner.group);
        }
        let node = Node { kind, metadata };
        Ok(self.upper.place(position, name, &node, Content::Stream(entry))?)
    }

    fn link(&mut self, target: &Path, position: &mut Position, name: &OsStr) -> Result<(), Failure> {
        let parent = target.parent().unwrap_or(Path::new(""));
        let missing = || ContextError::LinkTarget { path: PathBuf::from(name), target: target.to_owned() };
        let target_name = target.file_name().ok_or_else(missing)?;
        let Reached::Directory(mut directory) = Walk::new(parent).run(self.top, &mut Stop)? else {
            return Err(missing().into());
        };
        let found = directory.directory().child(target_name)?.ok_or_else(missing)?;
        if found.node.is_directory() {
            return Err(missing().into());
        }
        Ok(self.upper.link((&mut directory, target_name, &found), position, name)?)
    }
}
