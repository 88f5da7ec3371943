//! Several layers seen as the one tree that overlay would show of them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Node, NodeKind, TreeError, attributes};

/// Layers, the topmost first.
#[derive(Debug, Clone)]
pub(crate) struct View {
    layers: Vec<PathBuf>,
}

/// A directory of a view: the directories of the layers that make it up, the topmost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    parts: Rc<Vec<PathBuf>>,
}

/// A directory's entry of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) node: Node,
    /// Where it lies on the host.
    pub(crate) location: PathBuf,
}

impl View {
    /// Sees `layers`, the topmost first, as one tree.
    pub(crate) const fn new(layers: Vec<PathBuf>) -> Self {
        Self { layers }
    }

    /// The root directory.
    pub(crate) fn root(&self) -> Directory {
        Directory { parts: Rc::new(self.layers.clone()) }
    }
}

impl Directory {
    /// Looks a name up.
    ///
    /// # Errors
    /// [`TreeError::File`] when a layer cannot be read.
    pub(crate) fn child(&self, name: &OsStr) -> Result<Option<Found>, TreeError> {
        for part in self.parts.iter() {
            let location = part.join(name);
            match Node::read(&location) {
                Ok(node) if node.is_whiteout() => return Ok(None),
                Ok(node) => return Ok(Some(Found { node, location })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(TreeError::file("look at", Path::new(name))(error)),
            }
        }
        Ok(None)
    }

    /// Enters a directory; `None` when it does not exist.
    ///
    /// # Errors
    /// [`TreeError::File`] when a layer cannot be read.
    pub(crate) fn enter(&self, name: &OsStr) -> Result<Option<Self>, TreeError> {
        let mut parts = Vec::new();
        for part in self.parts.iter() {
            let location = part.join(name);
            match fs::symlink_metadata(&location) {
                Ok(found) if found.is_dir() => {
                    let last = attributes::is_opaque(&location);
                    parts.push(location);
                    if last {
                        break;
                    }
                }
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(TreeError::file("look at", Path::new(name))(error)),
            }
        }
        Ok((!parts.is_empty()).then(|| Self { parts: Rc::new(parts) }))
    }

    /// Whether no layer has anything in the directory.
    ///
    /// # Errors
    /// [`TreeError::File`] when a layer cannot be read.
    pub(crate) fn is_vacant(&self) -> Result<bool, TreeError> {
        for part in self.parts.iter() {
            let failed = |error| TreeError::file("list", part)(error);
            if fs::read_dir(part).map_err(failed)?.next().is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The names in the directory, sorted.
    ///
    /// # Errors
    /// [`TreeError::File`] when a layer cannot be read.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, TreeError> {
        let mut names = BTreeSet::new();
        for part in self.parts.iter() {
            let failed = |error| TreeError::file("list", part)(error);
            for entry in fs::read_dir(part).map_err(failed)? {
                names.insert(entry.map_err(failed)?.file_name());
            }
        }
        let mut present = Vec::with_capacity(names.len());
        for name in names {
            if self.child(&name)?.is_some() {
                present.push(name);
            }
        }
        Ok(present)
    }

    /// The topmost layer's directory.
    pub(crate) fn top(&self) -> &Path {
        &self.parts[0]
    }

    /// The same directory with one more layer's on top.
    pub(super) fn with_top(&self, top: PathBuf) -> Self {
        let parts = std::iter::once(top).chain(self.parts.iter().cloned()).collect();
        Self { parts: Rc::new(parts) }
    }

    /// A directory that only the topmost layer has.
    pub(super) fn only(top: PathBuf) -> Self {
        Self { parts: Rc::new(vec![top]) }
    }
}

impl Found {
    /// Whether it is a socket, which is shown as an empty file but cannot be read.
    pub(crate) fn is_socket(&self) -> bool {
        self.node.kind == NodeKind::File { size: 0 }
            && fs::symlink_metadata(&self.location).is_ok_and(|found| found.file_type().is_socket())
    }

    /// The target, where it is a symbolic link.
    pub(crate) fn symlink_target(&self) -> Option<&OsStr> {
        match &self.node.kind {
            NodeKind::Symlink { target } => Some(target),
            _ => None,
        }
    }
}
