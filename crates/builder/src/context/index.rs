//! What a context holds: every path with its metadata, and where its content lies.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use model::Digest;

use crate::transfer::{Given, Source};
use crate::tree::{Node, TreeError};

/// One path of a context.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) node: Node,
    /// The number of the content among the context's digests.
    pub(super) content: Option<usize>,
    /// The group of hard links that the file is one of.
    pub(super) links: Option<u64>,
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

/// An unpacked context.
#[derive(Debug)]
pub(crate) struct Context {
    root: PathBuf,
    index: Index,
    digests: Vec<Digest>,
    given: RefCell<GivenAway>,
}

/// Which inodes of the context have become those of layers.
#[derive(Debug, Default)]
struct GivenAway {
    paths: HashSet<PathBuf>,
    /// Groups of hard links, each with the step that it was given to.
    links: HashMap<u64, u64>,
}

impl Context {
    pub(super) fn new(root: PathBuf, index: Index, digests: Vec<Digest>) -> Self {
        Self { root, index, digests, given: RefCell::default() }
    }

    /// Where a file lies on the host; `None` where the context has no such file.
    pub(super) fn file(&self, path: &Path) -> Option<PathBuf> {
        self.index.get(path)?.content?;
        Some(self.root.join(path))
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
        Ok(self.index.get(path).and_then(|record| self.digests.get(record.content?).copied()))
    }

    fn give(&self, path: &Path, step: u64) -> Result<Given, TreeError> {
        let mut given = self.given.borrow_mut();
        let links = self.index.get(path).and_then(|record| record.links);
        let taken = links.is_some_and(|group| given.links.get(&group).is_some_and(|owner| *owner != step));
        if taken || !given.paths.insert(path.to_owned()) {
            return Ok(Given::Copy(self.root.join(path)));
        }
        given.links.extend(links.map(|group| (group, step)));
        Ok(Given::Link(self.root.join(path)))
    }
}
