//! What a context holds: every path with its metadata, and where its content lies.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use model::Digest;

use super::contents::{Contents, Intake};
use crate::transfer::{Given, Source};
use crate::tree::{Metadata, Node, NodeKind, TreeError};

/// One path of a context.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) node: Node,
    /// The number of its content, where it is a file.
    pub(super) content: Option<usize>,
}

/// The paths of a context, relative to its root.
///
/// Paths are ordered by components, so that all below a directory follows it.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeMap<PathBuf, Record>);

impl Index {
    pub(super) fn get(&self, path: &Path) -> Option<&Record> {
        self.0.get(path)
    }

    pub(super) fn get_mut(&mut self, path: &Path) -> Option<&mut Record> {
        self.0.get_mut(path)
    }

    pub(super) fn insert(&mut self, path: PathBuf, record: Record) {
        self.0.insert(path, record);
    }

    /// Removes a path and all below it.
    pub(super) fn remove(&mut self, path: &Path) {
        let below: Vec<PathBuf> = self.below(path).map(|(path, _)| path.clone()).collect();
        self.0.remove(path);
        for path in below {
            self.0.remove(&path);
        }
    }

    fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a Record)> {
        self.0
            .range::<Path, _>((Bound::Excluded(path), Bound::Unbounded))
            .take_while(move |(found, _)| found.starts_with(path))
    }

    /// Keeps only the paths that `keep` wants, and the directories that hold them.
    fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        let kept: HashSet<PathBuf> = self
            .0
            .keys()
            .filter(|path| keep(path))
            .flat_map(|path| path.ancestors().map(Path::to_owned))
            .collect();
        self.0.retain(|path, _| kept.contains(path));
    }
}

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    index: Index,
    contents: Contents,
    /// The contents whose file has become a layer's.
    given: RefCell<HashSet<usize>>,
}

impl Context {
    pub(super) fn new(index: Index, contents: Contents) -> Self {
        Self { index, contents, given: RefCell::default() }
    }

    /// Makes a context of one file.
    ///
    /// # Errors
    /// What keeping it fails with.
    pub(super) fn of_file(name: &str, bytes: &[u8], mut intake: Intake) -> io::Result<Self> {
        let append = |block: &mut Vec<u8>| {
            block.extend_from_slice(bytes);
            Ok(())
        };
        let content = intake.add(append, |error| error)?;
        let metadata = Metadata { mode: 0o600, ..Metadata::new_directory(0, 0) };
        let node = Node { kind: NodeKind::File { size: bytes.len() as u64, shared: None }, metadata };
        let mut index = Index::default();
        index.insert(PathBuf::from(name), Record { node, content: Some(content) });
        Ok(Self::new(index, intake.finish()?))
    }

    /// Reads a file; `None` where the context has no such file.
    ///
    /// # Errors
    /// What reading fails with.
    pub(super) fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.content(path).map(|number| self.contents.read(number)).transpose()
    }

    fn content(&self, path: &Path) -> Option<usize> {
        self.index.get(path)?.content
    }

    /// Leaves out the paths that `excluded` wants out.
    pub(super) fn leave_out(&mut self, excluded: impl Fn(&Path) -> bool) {
        self.index.retain(|path| !excluded(path));
    }

    /// Leaves out one path.
    pub(super) fn leave_out_path(&mut self, path: &Path) {
        self.index.remove(path);
    }
}

impl Source for Context {
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        if path.as_os_str().is_empty() {
            return Ok(Some(Node::plain_directory()));
        }
        Ok(self.index.get(path).map(|record| record.node.clone()))
    }

    fn names(&self, path: &Path) -> Result<Vec<OsString>, TreeError> {
        let depth = path.components().count() + 1;
        let children = self.index.below(path).filter(|(found, _)| found.components().count() == depth);
        Ok(children.filter_map(|(found, _)| found.file_name().map(ToOwned::to_owned)).collect())
    }

    fn digest(&self, path: &Path) -> Result<Option<Digest>, TreeError> {
        Ok(self.content(path).and_then(|number| self.contents.digest(number)))
    }

    fn give(&self, path: &Path) -> Result<Given, TreeError> {
        let failed = |error: io::Error| TreeError::file("read", path)(error);
        let number = self.content(path).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        Ok(match self.contents.give(number).map_err(failed)? {
            Given::Link(own) if !self.given.borrow_mut().insert(number) => Given::Copy(own),
            given => given,
        })
    }
}
