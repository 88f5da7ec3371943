//! Where files are copied from: a build context, or the tree of another image.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use model::Digest;

use crate::tree::{Node, TreeError};

/// The form in which a file's content is returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// The inode itself may become the layer's.
    Link(PathBuf),
    /// The content must be copied.
    Copy(PathBuf),
    /// The content itself, a small one.
    Bytes(Vec<u8>),
}

/// A tree of files; paths are relative to its root, and no symbolic link in them is followed.
pub trait Source {
    /// The node at a path.
    ///
    /// # Errors
    /// [`TreeError`] when the tree cannot be read.
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError>;

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// [`TreeError`] when the tree cannot be read.
    fn names(&self, path: &Path) -> Result<Vec<OsString>, TreeError>;

    /// The digest of a file's content; `None` where the path is no file.
    ///
    /// # Errors
    /// [`TreeError`] when the tree cannot be read.
    fn digest(&self, path: &Path) -> Result<Option<Digest>, TreeError>;

    /// Returns a file's content; an inode is given away once only.
    ///
    /// # Errors
    /// [`TreeError`] when the tree cannot be read.
    fn give(&self, path: &Path) -> Result<Given, TreeError>;

    /// Whether a file's content is always given as bytes.
    fn gives_bytes(&self, _path: &Path) -> bool {
        false
    }

    /// Returns a file's content as [`Self::give`] does: a small one is appended to the buffer; of another one this
    /// is the file that holds it.
    ///
    /// # Errors
    /// [`TreeError`] when the tree cannot be read.
    fn give_into(&self, path: &Path, buffer: &mut Vec<u8>) -> Result<Option<PathBuf>, TreeError> {
        match self.give(path)? {
            Given::Bytes(bytes) => {
                buffer.extend_from_slice(&bytes);
                Ok(None)
            }
            Given::Copy(path) | Given::Link(path) => Ok(Some(path)),
        }
    }
}

/// A tree whose inodes stay its own: every content is copied.
pub(crate) struct Lent<'a>(pub(crate) &'a dyn Source);

impl Source for Lent<'_> {
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        self.0.node(path)
    }

    fn names(&self, path: &Path) -> Result<Vec<OsString>, TreeError> {
        self.0.names(path)
    }

    fn digest(&self, path: &Path) -> Result<Option<Digest>, TreeError> {
        self.0.digest(path)
    }

    fn give(&self, path: &Path) -> Result<Given, TreeError> {
        Ok(match self.0.give(path)? {
            Given::Link(path) => Given::Copy(path),
            given => given,
        })
    }
}

/// An empty tree.
pub(crate) struct NoTree;

impl Source for NoTree {
    fn node(&self, _: &Path) -> Result<Option<Node>, TreeError> {
        Ok(None)
    }

    fn names(&self, _: &Path) -> Result<Vec<OsString>, TreeError> {
        Ok(Vec::new())
    }

    fn digest(&self, _: &Path) -> Result<Option<Digest>, TreeError> {
        Ok(None)
    }

    fn give(&self, path: &Path) -> Result<Given, TreeError> {
        Err(TreeError::file("read", path)(std::io::ErrorKind::NotFound.into()))
    }
}
