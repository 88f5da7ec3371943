//! Files that a graph has in itself, as a context that COPY reads from.

use std::ffi::OsString;
use std::path::Path;

use engine::builder::{ContextTree, Given, Metadata, Modified, Node, NodeKind, TreeError};
use engine::images::digest_of;
use model::Digest;

/// A directory of files.
#[derive(Debug, Default, Clone)]
pub(in crate::frontend) struct InlineTree {
    /// Their names are their numbers and times, so that a step of the cache is for one time.
    files: Vec<InlineFile>,
}

#[derive(Debug, Clone)]
struct InlineFile {
    content: Vec<u8>,
    mode: u32,
    modified: Option<Modified>,
}

/// Nanoseconds of a second.
const NANOSECONDS: i64 = 1_000_000_000;

impl InlineTree {
    /// Adds a file and returns its name; the time is nanoseconds since 1970.
    pub(super) fn add(&mut self, content: &[u8], mode: u32, time: Option<i64>) -> String {
        let modified = time.map(|time| Modified {
            seconds: time.div_euclid(NANOSECONDS),
            nanoseconds: u32::try_from(time.rem_euclid(NANOSECONDS)).unwrap_or_default(),
        });
        let file = InlineFile { content: content.to_vec(), mode: mode & 0o7777, modified };
        let name = file.name(self.files.len());
        self.files.push(file);
        name
    }

    fn file(&self, path: &Path) -> Option<&InlineFile> {
        self.files
            .iter()
            .enumerate()
            .find(|(number, file)| path == Path::new(&file.name(*number)))
            .map(|(_, file)| file)
    }
}

impl InlineFile {
    fn name(&self, number: usize) -> String {
        match self.modified {
            None => format!("file-{number:04}"),
            Some(Modified { seconds, nanoseconds }) => format!("file-{number:04}-{seconds}.{nanoseconds:09}"),
        }
    }
}

impl ContextTree for InlineTree {
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        let node = |kind, mode, modified| {
            let metadata = Metadata { mode, user: 0, group: 0, modified, attributes: Vec::new() };
            Node { kind, shared: None, metadata }
        };
        if path.as_os_str().is_empty() {
            return Ok(Some(node(NodeKind::Directory, 0o755, None)));
        }
        let file = self.file(path);
        Ok(file
            .map(|file| node(NodeKind::File { size: file.content.len() as u64 }, file.mode, file.modified)))
    }

    fn names(&self, path: &Path) -> Result<Vec<OsString>, TreeError> {
        if !path.as_os_str().is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.files.iter().enumerate().map(|(number, file)| file.name(number).into()).collect())
    }

    fn digest(&self, path: &Path) -> Result<Option<Digest>, TreeError> {
        Ok(self.file(path).map(|file| digest_of(&file.content)))
    }

    fn give(&self, path: &Path) -> Result<Given, TreeError> {
        let source = std::io::ErrorKind::NotFound.into();
        let missing = TreeError::File { act: "read", path: path.to_owned(), source };
        self.file(path).map(|file| Given::Bytes(file.content.clone())).ok_or(missing)
    }
}
