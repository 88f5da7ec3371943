//! A received directory as what COPY and ADD read from.

use std::ffi::OsString;
use std::path::Path;

use engine::builder::{ContextTree, Given, Inode, Metadata, Modified, Node, NodeKind, TreeError};
use model::Digest;

use super::contents::Taken;
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
        let failed = |source| TreeError::File { act: "read", path: path.to_owned(), source };
        let content = self.file(path).and_then(|entry| entry.content.as_ref());
        let missing = || failed(std::io::ErrorKind::NotFound.into());
        match content.ok_or_else(missing)?.take().map_err(failed)? {
            Taken::Bytes(bytes) => Ok(Given::Bytes(bytes)),
            Taken::File(path) => Ok(Given::Copy(path.to_owned())),
        }
    }
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
