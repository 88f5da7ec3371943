//! Shows one image with its names and its place on disk.

use std::path::PathBuf;

use model::Timestamp;

use crate::registry::Platform;
use crate::store::{Image, Store, Target, names_of};
use crate::{Error, resolve};

/// An image, what it is called, and where its files are.
#[derive(Debug, Clone)]
pub struct ImageDetails {
    /// The image with its config.
    pub image: Image,
    /// Its names with a tag, in order: `busybox:latest`.
    pub tags: Vec<String>,
    /// Its names with a digest, in order: `busybox@sha256:…`.
    pub digests: Vec<String>,
    /// When it got a tag the last time, if known.
    pub last_tagged: Option<Timestamp>,
    /// Its target, where it came from elsewhere.
    pub target: Option<Target>,
    /// The directory of its topmost layer; `None` for an image without layers.
    pub top_layer: Option<PathBuf>,
}

impl Store {
    /// Shows the image that a text names, or of the same index the one for a platform: it has the names of both.
    ///
    /// # Errors
    /// As [`Store::resolve_for`].
    pub fn inspect(&self, text: &str, platform: Option<&Platform>) -> Result<ImageDetails, Error> {
        let mut image = self.resolve_for(text, platform)?;
        let target = self.target_called(text, &image.id);
        image.parent = image.parent.filter(|parent| !self.index().steps.contains_key(parent));
        let (tags, digests) = {
            let index = self.index();
            // The image that the text itself names has its names, whichever platform is shown.
            let head = resolve::find(&index, text).map_or(image.id, |(head, _)| head.id);
            let variants = target.iter().flat_map(|target| &target.variants).map(|variant| variant.image);
            let mut named = std::iter::once(head).chain(variants);
            let named = named.find(|id| !names_of(&index, id).is_empty()).unwrap_or(image.id);
            let tags = index.tags_of(&named).into_iter().map(|(name, tag)| format!("{name}:{tag}"));
            let digests =
                index.digests_of(&named).into_iter().map(|(name, digest)| format!("{name}@{digest}"));
            (tags.collect(), digests.collect())
        };
        let top_layer = self.lower_directories(&image).into_iter().next();
        let last_tagged = self.last_tagged(&image.id)?;
        Ok(ImageDetails { image, tags, digests, last_tagged, target, top_layer })
    }
}
