//! Files that a graph has in itself, as a context that COPY reads from.

use std::ffi::OsString;
use std::path::Path;

use engine::builder::{ContextTree, Given, Metadata, Node, NodeKind, TreeError};
use engine::images::digest_of;
use model::Digest;

/// A directory of files.
#[derive(Debug, Default, Clone)]
pub(in crate::frontend) struct InlineTree {
    /// Contents and modes; the names are their numbers.
    files: Vec<(Vec<u8>, u32)>,
}

impl InlineTree {
    /// Adds a file and gives its name.
    pub(super) fn add(&mut self, content: &[u8], mode: u32) -> String {
        self.files.push((content.to_vec(), mode & 0o7777));
        name(self.files.len() - 1)
    }

    fn file(&self, path: &Path) -> Option<&(Vec<u8>, u32)> {
        self.files
            .iter()
            .enumerate()
            .find(|(number, _)| path == Path::new(&name(*number)))
            .map(|(_, file)| file)
    }
}

fn name(number: usize) -> String {
    format!("file-{number:04}")
}

impl ContextTree for InlineTree {
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        let node = |kind, mode| {
            let metadata = Metadata { mode, user: 0, group: 0, modified: None, attributes: Vec::new() };
            Node { kind, shared: None, metadata }
        };
        if path.as_os_str().is_empty() {
            return Ok(Some(node(NodeKind::Directory, 0o755)));
        }
        let file = self.file(path);
        Ok(file.map(|(content, mode)| node(NodeKind::File { size: content.len() as u64 }, *mode)))
    }

    fn names(&self, path: &Path) -> Result<Vec<OsString>, TreeError> {
        if !path.as_os_str().is_empty() {
            return Ok(Vec::new());
        }
        Ok((0..self.files.len()).map(|number| OsString::from(name(number))).collect())
    }

    fn digest(&self, path: &Path) -> Result<Option<Digest>, TreeError> {
        Ok(self.file(path).map(|(content, _)| digest_of(content)))
    }

    fn give(&self, path: &Path) -> Result<Given, TreeError> {
        let source = std::io::ErrorKind::NotFound.into();
        let missing = TreeError::File { act: "read", path: path.to_owned(), source };
        self.file(path).map(|(content, _)| Given::Bytes(content.clone())).ok_or(missing)
    }
}
