//! The images that one name has for several platforms.

use std::collections::BTreeSet;

use model::Digest;

use crate::registry::Platform;
use crate::store::{Image, Store};
use crate::{Error, Removal, RemoveOptions};

impl Store {
    /// Finds the image that a text names, or of those that came under the same index the one for a platform.
    ///
    /// # Errors
    /// As [`Store::resolve`]; [`Error::NoPlatform`] when none that is here is for the platform.
    pub fn resolve_for(&self, text: &str, platform: Option<&Platform>) -> Result<Image, Error> {
        let image = self.resolve(text)?;
        let Some(wanted) = platform else { return Ok(image) };
        if Platform::of(&image.config).is(wanted) {
            return Ok(image);
        }
        for relative in self.relatives(&image.id) {
            match self.image(&relative) {
                Ok(relative) if Platform::of(&relative.config).is(wanted) => return Ok(relative),
                Ok(_) | Err(Error::NoSuchImage(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NoPlatform { name: text.to_owned(), wanted: wanted.to_string() })
    }

    /// The other images that came under the same indexes.
    #[must_use]
    pub fn relatives(&self, image: &Digest) -> Vec<Digest> {
        self.index().targets.relatives(image).into_iter().collect()
    }

    /// Whether an image, or another platform of what it came under, has a tag.
    #[must_use]
    pub fn is_tagged(&self, image: &Digest, tag: &str) -> bool {
        let all = std::iter::once(*image).chain(self.relatives(image));
        all.into_iter().any(|image| self.tags_of(&image).iter().any(|own| own == tag))
    }

    /// Whether two images came under the same index.
    #[must_use]
    pub fn are_relatives(&self, one: &Digest, other: &Digest) -> bool {
        self.index().targets.relatives(one).contains(other)
    }

    /// Removes those images that a name has for some platforms: the name goes with the last of them, before to another.
    ///
    /// # Errors
    /// As [`Store::resolve_for`] and [`Store::remove`].
    pub fn remove_platforms(
        &self,
        text: &str,
        platforms: &[Platform],
        options: RemoveOptions,
    ) -> Result<Vec<Removal>, Error> {
        let named = self.resolve_id(text)?;
        let mut doomed = BTreeSet::new();
        for platform in platforms {
            doomed.insert(self.resolve_for(text, Some(platform))?.id);
        }
        if doomed.contains(&named) {
            let mut others = self.relatives(&named).into_iter();
            match others.find(|other| !doomed.contains(other)) {
                Some(other) => self.hand_names_over(&named, &other)?,
                None => return self.remove(text, options),
            }
        }
        let mut removals = Vec::new();
        for id in doomed {
            removals.extend(self.remove(&id.hexadecimal(), options)?);
        }
        Ok(removals)
    }
}
