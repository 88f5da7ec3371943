//! Files of images, readable without a container.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use images::Store;
use model::Digest;
use sys::bounded_read;

use crate::error::BuildError;
use crate::transfer::{Given, ImageTree, Outside, Selected, Source, resolve};
use crate::tree::{Node, NodeKind, TreeError};

/// The files of an image.
#[derive(Debug)]
pub struct ImageFiles(ImageTree);

impl ImageFiles {
    /// Holds the files of an image.
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub fn open(store: &Store, image: &Digest) -> Result<Self, BuildError> {
        let image = store.image(image)?;
        let layers = store.layers(&image)?;
        Ok(Self(ImageTree::new(store.lower_directories(&image), layers)))
    }

    /// The node at a path, symbolic links followed within the image.
    ///
    /// # Errors
    /// `NotFound` when nothing is there.
    pub fn node(&self, path: &str) -> Result<Node, BuildError> {
        Ok(self.find(path)?.node)
    }

    /// The content of a file, symbolic links followed within the image; of one longer than `limit` nothing.
    ///
    /// # Errors
    /// `NotFound` when nothing is there, `Invalid` for what is no file or too long.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, BuildError> {
        let found = self.find(path)?;
        let bytes = match self.0.give(&found.path)? {
            Given::Link(file) | Given::Copy(file) => bounded_read::read(&file, limit),
            Given::Bytes(bytes) => Ok(bytes),
        };
        Ok(bytes.map_err(TreeError::file("read", Path::new(path)))?)
    }

    /// The node at a path, no symbolic link followed, and where the content of a file lies that has any.
    ///
    /// # Errors
    /// [`TreeError`] when a layer cannot be read.
    pub fn node_at(&self, path: &Path) -> Result<Option<(Node, Option<PathBuf>)>, TreeError> {
        let Some(node) = self.0.node(path)? else { return Ok(None) };
        let given = matches!(node.kind, NodeKind::File { .. }).then(|| self.0.give(path)).transpose()?;
        let location = given.and_then(|given| match given {
            Given::Link(location) | Given::Copy(location) => Some(location),
            Given::Bytes(_) => None,
        });
        Ok(Some((node, location)))
    }

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// [`TreeError`] when a layer cannot be read.
    pub fn names_in(&self, path: &Path) -> Result<Vec<OsString>, TreeError> {
        self.0.names(path)
    }

    fn find(&self, path: &str) -> Result<Selected, BuildError> {
        let relative = Path::new(path.trim_start_matches('/'));
        Ok(resolve(&self.0, path, relative, Outside::Confined)?)
    }
}
