//! A received directory as what COPY and ADD read from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use engine::builder::{ContextTree, Given, Inode, Metadata, Modified, Node, NodeKind, TreeError};
use model::Digest;

use super::contents::{Content, Taken};
use super::entry::{Entry, EntryKind};
use super::tree::Tree;

/// Stands for the file system in the numbers of files with several names.
const DEVICE: u64 = 0;
const NANOSECONDS: i64 = 1_000_000_000;

impl ContextTree for Tree {
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        if path.as_os_str().is_empty() {
            let metadata =
                Metadata { mode: 0o755, user: 0, group: 0, modified: None, attributes: Vec::new() };
            return Ok(Some(Node { kind: NodeKind::Directory, shared: None, metadata }));
        }
        Ok(self.entries.get(path.as_os_str()).and_then(node))
    }

    fn names(&self, path: &Path) -> Result<Vec<OsString>, TreeError> {
        let mut names = self.names.get(path.as_os_str()).cloned().unwrap_or_default();
        names.sort();
        Ok(names)
    }

    fn digest(&self, path: &Path) -> Result<Option<Digest>, TreeError> {
        let content = self.file(path).and_then(|entry| entry.content.as_ref());
        Ok(content.map(|content| content.digest))
    }

    fn give(&self, path: &Path) -> Result<Given, TreeError> {
        match self.content(path)?.take().map_err(unreadable(path))? {
            Taken::Bytes(bytes) => Ok(Given::Bytes(bytes)),
            Taken::File(path) => Ok(Given::Copy(path.to_owned())),
        }
    }

    fn gives_bytes(&self, path: &Path) -> bool {
        self.content(path).is_ok_and(Content::is_bytes)
    }

    fn give_into(&self, path: &Path, buffer: &mut Vec<u8>) -> Result<Option<PathBuf>, TreeError> {
        let file = self.content(path)?.take_into(buffer).map_err(unreadable(path))?;
        Ok(file.map(Path::to_owned))
    }
}

impl Tree {
    /// The content of the file at a path.
    fn content(&self, path: &Path) -> Result<&Content, TreeError> {
        let content = self.file(path).and_then(|entry| entry.content.as_ref());
        content.ok_or_else(|| unreadable(path)(std::io::ErrorKind::NotFound.into()))
    }
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> TreeError {
    |source| TreeError::File { act: "read", path: path.to_owned(), source }
}

fn node(entry: &Entry) -> Option<Node> {
    let kind = match entry.kind {
        EntryKind::Directory => NodeKind::Directory,
        EntryKind::File => NodeKind::File { size: entry.size },
        EntryKind::Symlink => NodeKind::Symlink { target: OsString::from(&*entry.link) },
        EntryKind::Fifo => NodeKind::Fifo,
        EntryKind::Device { block, number } => NodeKind::Device { block, number },
        EntryKind::Socket => return None,
    };
    let modified = Modified {
        seconds: entry.modified.div_euclid(NANOSECONDS),
        nanoseconds: u32::try_from(entry.modified.rem_euclid(NANOSECONDS)).unwrap_or_default(),
    };
    let metadata = Metadata {
        mode: entry.mode,
        user: entry.user,
        group: entry.group,
        modified: Some(modified),
        attributes: entry.attributes.clone(),
    };
    let shared = entry.shared.map(|number| Inode { device: DEVICE, number: number.into() });
    Some(Node { kind, shared, metadata })
}
