//! Files of images, for those who look at one without a container.

use std::path::Path;

use images::Store;
use model::Digest;
use sys::bounded_read;

use crate::error::BuildError;
use crate::transfer::{Given, ImageTree, Outside, Selected, Source, resolve};
use crate::tree::{Node, TreeError};

/// The files of an image.
#[derive(Debug)]
pub struct ImageFiles(ImageTree);

impl ImageFiles {
    /// Holds the files of an image.
    ///
    /// # Errors
    /// `NotFound` when there is no such image.
    pub fn open(store: &Store, image: &Digest) -> Result<Self, BuildError> {
        let image = store.image(image)?;
        let layers = store.layers(&image)?;
        Ok(Self(ImageTree::new(store.lower_directories(&image), layers)))
    }

    /// What is at a path, symbolic links followed within the image.
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

    fn find(&self, path: &str) -> Result<Selected, BuildError> {
        let relative = Path::new(path.trim_start_matches('/'));
        Ok(resolve(&self.0, path, relative, Outside::Confined)?)
    }
}
