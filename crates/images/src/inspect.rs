//! Shows one image with its names and its place on disk.

use std::path::PathBuf;

use model::Timestamp;

use crate::Error;
use crate::store::{Image, Store};

/// An image, what it is called, and where its files are.
#[derive(Debug, Clone)]
pub struct ImageDetails {
    /// The image with its config.
    pub image: Image,
    /// Its names with a tag, in order: `busybox:latest`.
    pub tags: Vec<String>,
    /// Its names with a digest, in order: `busybox@sha256:…`.
    pub digests: Vec<String>,
    /// When it got a tag the last time, as far as that is known.
    pub last_tagged: Option<Timestamp>,
    /// The directory of its topmost layer; `None` for an image without layers.
    pub top_layer: Option<PathBuf>,
}

impl Store {
    /// Shows the image that a text names.
    ///
    /// # Errors
    /// As [`Store::resolve`].
    pub fn inspect(&self, text: &str) -> Result<ImageDetails, Error> {
        let image = self.resolve(text)?;
        let (tags, digests) = {
            let index = self.index();
            let tags = index.tags_of(&image.id).into_iter().map(|(name, tag)| format!("{name}:{tag}"));
            let digests =
                index.digests_of(&image.id).into_iter().map(|(name, digest)| format!("{name}@{digest}"));
            (tags.collect(), digests.collect())
        };
        let top_layer = self.lower_directories(&image).into_iter().next();
        let last_tagged = self.last_tagged(&image.id)?;
        Ok(ImageDetails { image, tags, digests, last_tagged, top_layer })
    }
}
