//! A context as what COPY and ADD read from.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use model::Digest;

use super::ContextError;
use super::contents::{Contents, Intake};
use super::index::{Index, Misplaced, Record};
use crate::transfer::{Given, Source};
use crate::tree::{Metadata, Node, NodeKind, TreeError};

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    index: Index,
    contents: Contents,
    /// The contents whose file has become a layer's.
    given: Mutex<HashSet<u32>>,
}

impl Context {
    pub(super) fn new(index: Index, contents: Contents) -> Self {
        Self { index, contents, given: Mutex::default() }
    }

    /// Makes a context of one file.
    ///
    /// # Errors
    /// [`ContextError::File`] when it cannot be kept.
    pub(super) fn of_file(name: &str, bytes: &[u8], mut intake: Intake) -> Result<Self, ContextError> {
        let path = Path::new(name);
        let append = |block: &mut Vec<u8>| {
            block.extend_from_slice(bytes);
            Ok(())
        };
        let content = intake.add(append, ContextError::file("write", path))?;
        let metadata = Metadata { mode: 0o600, ..Metadata::new_directory(0, 0) };
        let node = Node { kind: NodeKind::File { size: bytes.len() as u64 }, shared: None, metadata };
        let mut index = Index::default();
        let record = Record { node, content: Some(content) };
        index.insert(path, record).map_err(|misplaced| misplaced_error(path, misplaced))?;
        Ok(Self::new(index, intake.finish().map_err(ContextError::file("write", path))?))
    }

    /// Reads a file that is no longer than a limit; `None` where the context does not have it.
    ///
    /// # Errors
    /// What reading fails with; [`sys::bounded_read::Refusal::TooLong`].
    pub(super) fn read(&self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.index.content(path).map(|number| self.contents.read(number, limit)).transpose()
    }

    /// Marks a content's file as a layer's; returns whether it was unused before.
    fn take(&self, number: u32) -> bool {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(number)
    }

    /// Leaves out the paths that `excluded` matches.
    pub(super) fn leave_out(&mut self, excluded: impl Fn(&Path) -> bool) {
        self.index.leave_out(excluded);
    }

    /// Leaves out one path.
    pub(super) fn leave_out_path(&mut self, path: &Path) {
        self.index.remove(path);
    }
}

/// The error for an entry without a place.
pub(super) fn misplaced_error(path: &Path, misplaced: Misplaced) -> ContextError {
    match misplaced {
        Misplaced::Through(depth) => {
            let through = path.components().take(depth).collect();
            ContextError::Through { path: path.to_owned(), through }
        }
        Misplaced::Limit(limit) => limit.into(),
    }
}

impl Source for Context {
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        if path.as_os_str().is_empty() {
            return Ok(Some(Node::plain_directory()));
        }
        Ok(self.index.get(path).map(|record| record.node))
    }

    fn names(&self, path: &Path) -> Result<Vec<OsString>, TreeError> {
        Ok(self.index.names(path))
    }

    fn digest(&self, path: &Path) -> Result<Option<Digest>, TreeError> {
        Ok(self.index.content(path).and_then(|number| self.contents.digest(number)))
    }

    fn give(&self, path: &Path) -> Result<Given, TreeError> {
        let failed = |error: io::Error| TreeError::file("read", path)(error);
        let number = self.index.content(path).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        Ok(match self.contents.give(number).map_err(failed)? {
            Given::Link(own) if !self.take(number) => Given::Copy(own),
            given => given,
        })
    }
}
