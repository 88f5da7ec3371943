//! Unpacks the archives that ADD finds in a context.
//!
//! Names and links are resolved with the destination as their root, as in a chroot there; what a
//! name leads through, symbolic links of the image among it, is followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use images::tar::{self, ArchiveError, Entry, EntryKind, Reader};
use images::{Compression, Space};

use sys::bounded_read;

use super::{Given, TransferError};
use crate::context::{node, normalise};
use crate::tree::{
    Content, MakeDirectories, Metadata, Owner, Position, Reached, Stop, TreeError, Upper, Walk,
};

/// A failure to unpack, not yet named.
pub(super) enum Failure {
    Archive(ArchiveError),
    Tree(TreeError),
}

impl Failure {
    /// Adds the archive's name.
    pub(super) fn named(self, name: &str) -> TransferError {
        match self {
            Self::Archive(source) => TransferError::Unpack { name: name.to_owned(), source },
            Self::Tree(source) => TransferError::Tree(source),
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        Self::Tree(error)
    }
}

/// Opens a content as an archive, decompressed; `None` when it is not an archive.
///
/// # Errors
/// [`TreeError::File`] when the content cannot be read.
pub(super) fn open(given: &Given) -> Result<Option<Box<dyn Read + Send + '_>>, TreeError> {
    match given {
        Given::Bytes(bytes) => open_stream(Cursor::new(bytes), Path::new("")),
        Given::Link(path) | Given::Copy(path) => {
            open_stream(bounded_read::open(path).map_err(TreeError::file("read", path))?, path)
        }
    }
}

fn open_stream<'a>(
    mut stream: impl Read + Seek + Send + 'a,
    path: &Path,
) -> Result<Option<Box<dyn Read + Send + 'a>>, TreeError> {
    let failed = |error| TreeError::file("read", path)(error);
    let busy = |error: ArchiveError| failed(io::Error::other(error));
    if !holds_tar(&mut stream).map_err(busy)? {
        return Ok(None);
    }
    stream.rewind().map_err(failed)?;
    images::decompress(stream).map(Some).map_err(busy)
}

/// Whether the first block, decompressed, is a tar header. What is compressed is an archive too when it holds
/// nothing: no byte, or the zeros at the end of a tar alone. A file without a byte is a file like others.
///
/// # Errors
/// [`ArchiveError::Busy`]; what cannot be decompressed is no archive.
fn holds_tar(stream: &mut (impl Read + Send)) -> Result<bool, ArchiveError> {
    let Ok((compression, stream)) = images::peek(stream) else { return Ok(false) };
    let length = tar::BLOCK as u64;
    let block = images::decoder(compression, stream)
        .and_then(|stream| bounded_read::read_stream(stream.take(length), length).map_err(tar::input_error));
    let block = match block {
        Ok(block) => block,
        Err(ArchiveError::Busy) => return Err(ArchiveError::Busy),
        Err(_) => return Ok(false),
    };
    Ok(match <&[u8; tar::BLOCK]>::try_from(block.as_slice()) {
        Ok(header) if tar::is_header(header) => true,
        whole => {
            let is_whole = whole.is_ok() || block.is_empty();
            compression != Compression::Identity && is_whole && block.iter().all(|byte| *byte == 0)
        }
    })
}

/// Unpacks a plain tar into the directory at `position`.
///
/// # Errors
/// [`Failure`] when the archive is malformed, or cannot be written.
pub(super) fn unpack(
    upper: &mut Upper,
    position: &Position,
    stream: impl Read + Send,
    owner: Option<Owner>,
) -> Result<(), Failure> {
    let space = upper.space().map_err(ArchiveError::Output)?;
    let mut unpacking = Unpacking { upper, top: position, owner, last: None, space };
    let mut reader = Reader::of(stream);
    while let Some(entry) = reader.next_entry()? {
        reader.forget_raw();
        let path = normalise(&entry.path);
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if entry.kind != EntryKind::Other => {
                let mut position = unpacking.parent(parent)?;
                unpacking.entry(entry, &mut reader, &mut position, name)?;
                unpacking.last = Some((parent.to_owned(), position));
            }
            _ => {}
        }
        // Of what is passed over, or of a file's end.
        reader.content(|_| Ok(()))?;
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
    space: Space,
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

    fn entry(
        &mut self,
        entry: Entry,
        reader: &mut Reader<'_>,
        position: &mut Position,
        name: &OsStr,
    ) -> Result<(), Failure> {
        if entry.kind == EntryKind::HardLink {
            return self.link(&normalise(&entry.link), position, name);
        }
        let mut places = entry.places();
        let sparse = entry.extents.is_some().then_some(entry.size);
        let mut node = node(entry);
        if let Some(owner) = self.owner {
            (node.metadata.user, node.metadata.group) = (owner.user, owner.group);
        }
        let space = &mut self.space;
        let mut write = |file: &File| {
            sparse.map_or(Ok(()), |size| file.set_len(size))?;
            let written = reader.content(|bytes| {
                space.write(bytes.len())?;
                places.write(file, bytes).map_err(io::Error::from).map_err(ArchiveError::Output)
            });
            written.map_err(|error| match error {
                ArchiveError::Output(source) => source,
                other => io::Error::other(other),
            })
        };
        Ok(self.upper.place(position, name, &node, Content::Written(&mut write))?)
    }

    fn link(&mut self, target: &Path, position: &mut Position, name: &OsStr) -> Result<(), Failure> {
        let parent = target.parent().unwrap_or(Path::new(""));
        let missing = || ArchiveError::LinkTarget {
            name: name.to_string_lossy().into_owned(),
            target: target.to_string_lossy().into_owned(),
        };
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
