//! Reads a context's tar once: the paths into an index, the contents to disk, hashed meanwhile.
//!
//! Nothing is made under an entry's name, so no entry can lead out. The index is a tree all the same: an
//! entry whose directory is not in it as a directory is refused.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use images::registry::Cancellation;
use images::tar::{ArchiveError, Entry, EntryKind, Reader};

use super::contents::Intake;
use super::documents::Documents;
use super::index::{Index, Record};
use super::source::misplaced_error;
use super::{Context, ContextError};
use crate::tree::{Metadata, Modified, Node, NodeKind};

/// The memory of an attribute without its name and value, about.
const ATTRIBUTE: usize = 80;
/// The longest path that the kernel takes, its final NUL left out (path_resolution(7)).
const PATH_LIMIT: usize = 4095;

/// Reads a tar, compressed in any known way.
pub(super) fn read_compressed(
    stream: impl Read + Send,
    root: &Path,
    documents: &Documents,
    cancellation: &Cancellation,
) -> Result<Context, ContextError> {
    let stream = images::decompress(stream)?;
    read(stream, root, documents, cancellation)
}

/// Reads a plain tar and keeps its contents in the empty directory `root`.
///
/// # Errors
/// [`ContextError`] when the stream is no tar, is cut off, or holds what no context can.
pub(super) fn read(
    stream: impl Read + Send,
    root: &Path,
    documents: &Documents,
    cancellation: &Cancellation,
) -> Result<Context, ContextError> {
    let mut reader = Reader::of(Watched { stream, cancellation });
    let mut intake = Intake::new(root).map_err(ContextError::file("create", Path::new("")))?;
    let mut reading = Reading { index: Index::default(), intake: &mut intake, documents };
    while let Some(entry) = reader.next_entry()? {
        reader.forget_raw();
        reading.entry(entry, &mut reader)?;
    }
    if reader.is_empty() {
        return Err(ContextError::Empty);
    }
    let index = reading.index;
    let contents = intake.finish().map_err(ContextError::file("write", Path::new("")))?;
    Ok(Context::new(index, contents))
}

struct Reading<'a> {
    index: Index,
    intake: &'a mut Intake,
    documents: &'a Documents,
}

impl Reading<'_> {
    fn entry(&mut self, entry: Entry, reader: &mut Reader<'_>) -> Result<(), ContextError> {
        let path = normalise(&entry.path);
        if path.as_os_str().is_empty() || entry.kind == EntryKind::Other {
            return Ok(reader.content(|_| Ok(()))?);
        }
        check_length(&path)?;
        self.weigh(&entry, &path)?;
        let record = match entry.kind {
            EntryKind::HardLink => self.link(&path, &normalise(&entry.link))?,
            EntryKind::File => {
                self.documents.check(&path, entry.size)?;
                let content = Some(self.content(&entry, &path, reader)?);
                Record { node: node(entry), content }
            }
            _ => Record { node: node(entry), content: None },
        };
        self.index.insert(&path, record).map_err(|misplaced| misplaced_error(&path, misplaced))
    }

    fn weigh(&mut self, entry: &Entry, path: &Path) -> Result<(), ArchiveError> {
        let attributes = entry.attributes.iter().map(|(name, value)| ATTRIBUTE + name.len() + value.len());
        let name = path.file_name().map_or(0, OsStr::len);
        self.index.weigh(name + entry.link.len() + attributes.sum::<usize>())
    }

    /// Another name of what an earlier entry made; it is noted that there are several.
    fn link(&mut self, path: &Path, target: &Path) -> Result<Record, ContextError> {
        let record = self.index.share(target).filter(|record| !record.node.is_directory());
        record.ok_or_else(|| ContextError::LinkTarget { path: path.to_owned(), target: target.to_owned() })
    }

    /// Keeps a file's content and returns its number.
    fn content(&mut self, entry: &Entry, path: &Path, reader: &mut Reader<'_>) -> Result<u32, ContextError> {
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

fn check_length(path: &Path) -> Result<(), ArchiveError> {
    if path.as_os_str().len() > PATH_LIMIT {
        return Err(ArchiveError::Limit { what: "bytes in a path", limit: PATH_LIMIT as u64 });
    }
    Ok(())
}

/// The node of an entry other than a hard link.
pub(crate) fn node(entry: Entry) -> Node {
    let device = rustix::fs::makedev(entry.device.0, entry.device.1);
    let kind = match entry.kind {
        EntryKind::Directory => NodeKind::Directory,
        EntryKind::Symlink => NodeKind::Symlink { target: OsString::from_vec(entry.link) },
        EntryKind::Fifo => NodeKind::Fifo,
        EntryKind::CharacterDevice => NodeKind::Device { block: false, number: device },
        EntryKind::BlockDevice => NodeKind::Device { block: true, number: device },
        EntryKind::File | EntryKind::HardLink | EntryKind::Other => NodeKind::File { size: entry.size },
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
    Node { kind, shared: None, metadata }
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
pub(crate) struct Watched<'a, R> {
    pub(crate) stream: R,
    pub(crate) cancellation: &'a Cancellation,
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

    fn refusal(bytes: &[u8]) -> String {
        let directory = crate::fixture::Temporary::new();
        read(bytes, directory.path(), &Documents::new("Dockerfile".into()), &Cancellation::new())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn paths_are_no_longer_than_the_kernel_takes() {
        let archive = Archive::new().file(&format!("{}f", "d/".repeat(100_000)), "x");
        let want = "cannot read the build context: the archive is refused: more than 4095 bytes in a path";
        assert_eq!(refusal(&archive.bytes()), want);
    }

    #[test]
    fn entries_cost_what_they_weigh() {
        let mut index = Index::default();
        for _ in 0..8 {
            index.weigh((22 << 20) - 144).unwrap();
        }
        let want = "the archive is refused: more than 184549376 bytes of names and attributes";
        assert_eq!(index.weigh(1).unwrap_err().to_string(), want);
        let want = "too many archives are being read, try again";
        assert_eq!(
            Index::default().weigh(64 << 20).unwrap_err().to_string(),
            want,
            "all contexts share a limit"
        );
        drop(index);
        Index::default().weigh(64 << 20).unwrap();
    }

    #[test]
    fn paths_make_few_directories_that_have_no_entry() {
        // Each of these paths makes two thousand of them.
        let mut archive = Archive::new();
        for number in 0..60 {
            archive = archive.file(&format!("{number:03}/{}f", "d/".repeat(2_000)), "");
        }
        let want = "cannot read the build context: the archive is refused: more than 100000 directories without an entry of their own";
        assert_eq!(refusal(&archive.bytes()), want);
    }

    #[test]
    fn documents_are_refused_before_what_follows_them() {
        for (name, limit) in [(".dockerignore", 1 << 20), ("./Dockerfile", 2 << 20)] {
            let mut header = tar::Header::new_gnu();
            header.set_path(name).unwrap();
            header.set_size(limit + 1);
            header.set_cksum();
            // The archive breaks off behind the header: nothing of the content is read.
            let want = format!(
                "cannot read {} of the build context: longer than {limit} bytes",
                name.trim_start_matches("./")
            );
            assert_eq!(refusal(header.as_bytes()), want);
        }
    }
}
