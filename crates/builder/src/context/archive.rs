//! Reads a context's tar once: the paths into an index, the contents to disk, hashed meanwhile.
//!
//! Nothing is made under an entry's name, so no entry can lead anywhere. The index is a tree all
//! the same: an entry whose directory it does not know as a directory is refused.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use images::registry::Cancellation;
use images::tar::{ArchiveError, Entry, EntryKind, Reader};

use super::contents::Intake;
use super::index::{Index, Record};
use super::{Context, ContextError};
use crate::tree::{Inode, Metadata, Modified, Node, NodeKind};

/// How many bytes of names and attributes a context may have: a million files with long names, and a
/// bound on the daemon's memory against archives that hold nothing else.
const INDEX_LIMIT: usize = 512 << 20;
/// What an entry takes in the index beside its name and attributes, about.
const RECORD: usize = 256;

/// Reads a plain tar and keeps its contents in the empty directory `root`.
///
/// # Errors
/// [`ContextError`] when the stream is no tar, is cut off, or holds what no context can.
pub(super) fn read(
    stream: impl Read + Send,
    root: &Path,
    cancellation: &Cancellation,
) -> Result<Context, ContextError> {
    let mut reader = Reader::of(Watched { stream, cancellation });
    let mut intake = Intake::new(root).map_err(ContextError::file("create", Path::new("")))?;
    let mut reading = Reading { index: Index::default(), intake: &mut intake, groups: 0, taken: 0 };
    while let Some(entry) = reader.next_entry()? {
        reader.forget_raw();
        reading.entry(entry, &mut reader)?;
    }
    let index = reading.index;
    let contents = intake.finish().map_err(ContextError::file("write", Path::new("")))?;
    Ok(Context::new(index, contents))
}

struct Reading<'a> {
    index: Index,
    intake: &'a mut Intake,
    /// How many groups of hard links there are.
    groups: u64,
    /// How much of the index's limit is used.
    taken: usize,
}

impl Reading<'_> {
    fn entry(&mut self, entry: Entry, reader: &mut Reader<'_>) -> Result<(), ContextError> {
        let path = normalise(&entry.path);
        if path.as_os_str().is_empty() || entry.kind == EntryKind::Other {
            return Ok(reader.content(|_| Ok(()))?);
        }
        self.count(&entry)?;
        self.make_parents(&path)?;
        // What an earlier entry of the same name made is gone; a directory stays for a directory.
        let stays = entry.kind == EntryKind::Directory
            && self.index.get(&path).is_some_and(|record| record.node.is_directory());
        if !stays {
            self.index.remove(&path);
        }
        if entry.kind == EntryKind::HardLink {
            return self.link(path, &normalise(&entry.link));
        }
        let content = match entry.kind {
            EntryKind::File => Some(self.content(&entry, &path, reader)?),
            _ => None,
        };
        let node = node(entry);
        self.index.insert(path, Record { node, content });
        Ok(())
    }

    fn count(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        let attributes = entry.attributes.iter().map(|(name, value)| name.len() + value.len());
        self.taken += RECORD + entry.path.len() + entry.link.len() + attributes.sum::<usize>();
        if self.taken > INDEX_LIMIT {
            let limit = INDEX_LIMIT as u64;
            return Err(ArchiveError::Limit { what: "bytes of names and attributes", limit });
        }
        Ok(())
    }

    /// Notes the directories above an entry that the archive did not hold.
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
        for parent in missing {
            self.index.insert(parent, Record { node: Node::plain_directory(), content: None });
        }
        Ok(())
    }

    fn link(&mut self, path: PathBuf, target: &Path) -> Result<(), ContextError> {
        let Some(record) = self.index.get_mut(target).filter(|record| record.content.is_some()) else {
            return Err(ContextError::LinkTarget { path, target: target.to_owned() });
        };
        if let NodeKind::File { shared, .. } = &mut record.node.kind {
            shared.get_or_insert_with(|| {
                self.groups += 1;
                // No device has the number 0.
                Inode { device: 0, number: self.groups }
            });
        }
        let record = record.clone();
        self.index.insert(path, record);
        Ok(())
    }

    /// Keeps a file's content and gives its number.
    fn content(
        &mut self,
        entry: &Entry,
        path: &Path,
        reader: &mut Reader<'_>,
    ) -> Result<usize, ContextError> {
        if Intake::is_small(entry) {
            let read = |block: &mut Vec<u8>| {
                let append = |bytes: &[u8]| {
                    block.extend_from_slice(bytes);
                    Ok(())
                };
                reader.content(append).map_err(ContextError::from)
            };
            return self.intake.add(read, ContextError::file("write", path));
        }
        let mut large = self.intake.begin(entry).map_err(ContextError::file("create", path))?;
        let written =
            reader.shared_content(|chunk, range| large.write(chunk, range).map_err(ArchiveError::Output));
        match written {
            Err(ArchiveError::Output(source)) => Err(ContextError::file("write", path)(source)),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(large.end()),
        }
    }
}

/// What an entry other than a hard link is.
pub(crate) fn node(entry: Entry) -> Node {
    let device = rustix::fs::makedev(entry.device.0, entry.device.1);
    let kind = match entry.kind {
        EntryKind::Directory => NodeKind::Directory,
        EntryKind::Symlink => NodeKind::Symlink { target: OsString::from_vec(entry.link) },
        EntryKind::Fifo => NodeKind::Fifo,
        EntryKind::CharacterDevice => NodeKind::Device { block: false, number: device },
        EntryKind::BlockDevice => NodeKind::Device { block: true, number: device },
        EntryKind::File | EntryKind::HardLink | EntryKind::Other => {
            NodeKind::File { size: entry.size, shared: None }
        }
    };
    let mut attributes = entry.attributes;
    attributes.sort();
    let metadata = Metadata {
        mode: entry.mode,
        user: entry.user,
        group: entry.group,
        modified: Some(Modified { seconds: entry.seconds, nanoseconds: entry.nanoseconds }),
        attributes,
    };
    Node { kind, metadata }
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

/// A stream that fails when the build is cancelled.
struct Watched<'a, R> {
    stream: R,
    cancellation: &'a Cancellation,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancellation.is_cancelled() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.stream.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Archive;

    #[test]
    fn names_without_end_are_refused() {
        let directory = crate::fixture::Temporary::new();
        let mut intake = Intake::new(directory.path()).unwrap();
        let bytes = Archive::new().file("a", "1").file("b", "2").bytes();
        let mut reader = Reader::of(bytes.as_slice());
        let taken = INDEX_LIMIT - RECORD - 1;
        let mut reading = Reading { index: Index::default(), intake: &mut intake, groups: 0, taken };
        let entry = reader.next_entry().unwrap().unwrap();
        reading.entry(entry, &mut reader).unwrap();
        let entry = reader.next_entry().unwrap().unwrap();
        let error = reading.entry(entry, &mut reader).unwrap_err();
        let want =
            "cannot read the build context: the archive is refused: more than 536870912 bytes of names";
        assert!(error.to_string().starts_with(want), "{error}");
    }
}
