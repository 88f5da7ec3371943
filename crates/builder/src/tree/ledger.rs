//! Records what a copy puts into a layer, so that a later copy of nearly the same files need not make those that the
//! earlier layer has.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Digest;
use sha2::{Digest as _, Sha256};

use super::{Modified, Node, NodeKind};

/// Fewer files are quicker made than another directory is stacked wherever the layer is used.
const LEAST_KEPT: usize = 256;
/// So many names are recorded of one layer.
const NAMES_LIMIT: usize = 50_000;

/// The mark of a directory; the digest of no file.
const DIRECTORY: [u8; 32] = [0; 32];

/// The marks of each path of a layer: the digest of all that makes up a file with one name; `None` for other nodes.
pub(crate) type Marks = HashMap<Box<[u8]>, Option<[u8; 32]>>;

/// The layer that may have files already.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) marks: Arc<Marks>,
    /// Where its files are.
    pub(crate) directory: PathBuf,
}

/// A file of a copy whose content can be read from its source repeatedly.
#[derive(Debug)]
pub(crate) struct Copied {
    /// In the layer.
    pub(crate) path: PathBuf,
    /// In the source.
    pub(crate) source: PathBuf,
    pub(crate) node: Node,
    /// The digest of what it holds.
    pub(crate) content: Digest,
}

/// The content that one copy has put into a layer.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    base: Option<Base>,
    marks: Marks,
    /// How many names of the base are in the new layer too.
    met: usize,
    /// Files that were not made: the base has them.
    kept: Vec<Copied>,
    /// Files that were made.
    made: Vec<Copied>,
    /// Whether there are more names than are recorded.
    is_full: bool,
}

impl Ledger {
    /// A ledger of a copy that may leave to a base what that has.
    pub(crate) fn new(base: Option<Base>) -> Self {
        // Nearly the same files are to come.
        let expected = base.as_ref().map_or(0, |base| base.marks.len());
        let (marks, kept) = (Marks::with_capacity(expected), Vec::with_capacity(expected));
        Self { base, marks, kept, ..Self::default() }
    }

    /// Notes what is put at a path, which the copy does once for each; whether it is left to the base.
    pub(super) fn note(
        &mut self,
        path: PathBuf,
        node: &Node,
        content: Option<&Digest>,
        source: &Path,
    ) -> bool {
        self.is_full |= self.marks.len() >= NAMES_LIMIT;
        if self.is_full {
            return false;
        }
        let is_directory = node.is_directory();
        let mark =
            if is_directory { Some(DIRECTORY) } else { content.and_then(|content| mark(node, content)) };
        let key: Box<[u8]> = path.as_os_str().as_bytes().into();
        let before = self.base.as_ref().and_then(|base| base.marks.get(&key));
        // What is no directory in the base would hide what layers below it have in a directory here.
        self.met += usize::from(before.is_some_and(|before| !is_directory || *before == mark));
        let is_kept = !is_directory && mark.is_some() && before == Some(&mark);
        self.marks.insert(key, mark);
        if let Some(content) = content.filter(|_| mark.is_some() && !is_directory) {
            let list = if is_kept { &mut self.kept } else { &mut self.made };
            list.push(Copied { path, source: source.to_owned(), node: node.clone(), content: *content });
        }
        is_kept
    }

    /// The files that are to be made after all, because the base cannot lend what it has, or too little of it. They count as
    /// made from now on.
    pub(super) fn take_back(&mut self) -> Vec<Copied> {
        if self.lends() { Vec::new() } else { std::mem::take(&mut self.kept) }
    }

    pub(super) fn note_made(&mut self, copied: Copied) {
        self.made.push(copied);
    }

    /// Whether the new layer and its base are one together: nothing may show of the base that the new one does not have.
    fn lends(&self) -> bool {
        let (Some(base), Some(first)) = (&self.base, self.kept.first()) else { return false };
        let is_enough = self.kept.len() >= LEAST_KEPT && self.kept.len() >= self.made.len();
        is_enough && !self.is_full && self.met == base.marks.len() && is_there(&base.directory, first)
    }

    /// The files that the base lends, those that were made, and what to record of the layer, if that is all of it.
    pub(crate) fn into_parts(self) -> (Vec<Copied>, Vec<Copied>, Option<Marks>) {
        let is_worth_it = !self.is_full && self.made.len() >= LEAST_KEPT;
        (self.kept, self.made, is_worth_it.then_some(self.marks))
    }
}

/// The digest of all that makes up a file; none of one that is not compared.
fn mark(node: &Node, content: &Digest) -> Option<[u8; 32]> {
    let metadata = &node.metadata;
    let NodeKind::File { size } = node.kind else { return None };
    let Modified { seconds, nanoseconds } = metadata.modified?;
    if node.shared.is_some() || !metadata.attributes.is_empty() {
        return None;
    }
    let mut state = Sha256::new();
    state.update(content.as_bytes());
    state.update(size.to_le_bytes());
    state.update(seconds.to_le_bytes());
    for number in [metadata.mode, metadata.user, metadata.group, nanoseconds] {
        state.update(number.to_le_bytes());
    }
    Some(state.finalize().into())
}

/// Whether a file is in a layer as it was put there: not every file system keeps every time.
fn is_there(directory: &Path, copied: &Copied) -> bool {
    let metadata = &copied.node.metadata;
    let modified = metadata.modified.map(|time| (time.seconds, i64::from(time.nanoseconds)));
    fs::symlink_metadata(directory.join(&copied.path)).is_ok_and(|found| {
        let owner = (found.uid(), found.gid()) == (metadata.user, metadata.group);
        found.is_file() && owner && modified == Some((found.mtime(), found.mtime_nsec()))
    })
}
