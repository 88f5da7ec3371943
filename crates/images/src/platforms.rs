//! The images that one name has for several platforms.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Digest, ImageReference};

use crate::registry::Platform;
use crate::remove::{check_uses, is_free};
use crate::store::{Departure, Image, ImageRecord, Index, Name, NamedImage, Store, Target, names_of};
use crate::{Error, Removal, RemoveOptions, TagPolicy, resolve};

impl Store {
    /// Finds the image that a text names, or of those that came with it under the same index the one for a platform.
    ///
    /// # Errors
    /// As [`Store::resolve`]; [`Error::NoPlatform`] when none that is here is for the platform.
    pub fn resolve_for(&self, text: &str, platform: Option<&Platform>) -> Result<Image, Error> {
        let image = self.resolve(text)?;
        let Some(wanted) = platform else { return Ok(image) };
        let target = self.target_named(text);
        let found = self.platform_of(&image.id, target.as_ref(), wanted)?;
        found.ok_or_else(|| Error::NoPlatform { name: text.to_owned(), wanted: wanted.to_string() })
    }

    /// An image, or of what it came under the one for a platform.
    pub(crate) fn platform_of(
        &self,
        image: &Digest,
        target: Option<&Target>,
        wanted: &Platform,
    ) -> Result<Option<Image>, Error> {
        let others = target.into_iter().flat_map(|target| &target.variants).map(|variant| variant.image);
        for candidate in std::iter::once(*image).chain(others.filter(|other| other != image)) {
            match self.image(&candidate) {
                Ok(candidate) if Platform::of(&candidate.config).is(wanted) => return Ok(Some(candidate)),
                Err(Error::NoSuchImage(_)) if candidate != *image => {}
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The target of a text: that of a tag or a digest, for an id that of its image.
    #[must_use]
    pub fn target_named(&self, text: &str) -> Option<Target> {
        resolve::target(&self.index(), text).cloned()
    }

    /// The target of an image by this text, or else by another name of it.
    #[must_use]
    pub fn target_called(&self, text: &str, image: &Digest) -> Option<Target> {
        let index = self.index();
        if let Ok((named, _)) = resolve::find(&index, text) {
            let target = resolve::target(&index, text);
            // What was made here is called by its tag, whatever else its image came under.
            if named.id == *image || target.is_some_and(|target| target.has(image)) {
                return target.cloned();
            }
        }
        index.target_of_image(image).cloned()
    }

    /// The images that a text has for all platforms, its own first.
    ///
    /// # Errors
    /// As [`Store::resolve`].
    pub fn platforms_of(&self, text: &str) -> Result<Vec<Digest>, Error> {
        let index = self.index();
        let (image, _) = resolve::find(&index, text)?;
        let variants = resolve::target(&index, text).into_iter().flat_map(|target| &target.variants);
        let others = variants.map(|variant| variant.image).filter(|other| *other != image.id);
        Ok(std::iter::once(image.id).chain(others).collect())
    }

    /// Gives the image that a text names a further tag, which leads to what the text leads to; returns the image.
    ///
    /// # Errors
    /// As [`Store::resolve`], worded as a tag's, and [`Store::tag`].
    pub fn tag_named(
        &self,
        text: &str,
        reference: &ImageReference,
        policy: TagPolicy,
    ) -> Result<Digest, Error> {
        let named = {
            let index = self.index();
            let (image, _) = resolve::find(&index, text).map_err(Error::as_lookup)?;
            let target = resolve::published(&index, text).map(|target| target.digest);
            NamedImage { name: Name::of(reference), image: image.id, target }
        };
        let image = named.image;
        self.tag_one(named, policy)?;
        Ok(image)
    }

    /// Whether a tag leads to an image: names it, or came under the same index.
    #[must_use]
    pub fn is_tagged(&self, image: &Digest, tag: &ImageReference) -> bool {
        let index = self.index();
        let name = Name::of(tag);
        let named = index.named(&name);
        named == Some(*image)
            || (named.is_some() && index.target_of_name(&name).is_some_and(|target| target.has(image)))
    }

    /// Removes those images that a name has for some platforms: the name is removed with the last of them, before that
    /// it moves to another. Targets of other names stay otherwise.
    ///
    /// # Errors
    /// As [`Store::resolve_for`] and [`Store::remove`].
    pub fn remove_platforms(
        &self,
        text: &str,
        platforms: &[Platform],
        options: RemoveOptions,
    ) -> Result<Vec<Removal>, Error> {
        loop {
            let (named, target) = (self.resolve_id(text)?, self.target_named(text));
            let mut doomed = BTreeSet::new();
            for wanted in platforms {
                let found = self.platform_of(&named, target.as_ref(), wanted)?;
                let missing = || Error::NoPlatform { name: text.to_owned(), wanted: wanted.to_string() };
                doomed.insert(found.ok_or_else(missing)?.id);
            }
            let Some(target) = target
                .filter(|target| target.variants.iter().any(|variant| !doomed.contains(&variant.image)))
            else {
                return self.remove(text, options);
            };
            let writing = self.begin_change();
            let mut index = self.index_mut();
            // Another one may have moved the name or removed a platform meanwhile.
            let is_same = resolve::target(&index, text) == Some(&target)
                && resolve::find(&index, text).is_ok_and(|(image, _)| image.id == named);
            if !is_same {
                continue;
            }
            let (departure, removals) = self.plan_platforms(&index, &target, &doomed, options)?;
            index.doomed_images.extend(departure.images.iter().map(|image| image.id));
            drop(index);
            writing.apply(departure)?;
            return Ok(removals);
        }
    }

    /// Decides what goes where some images of a target are to be removed and others stay.
    fn plan_platforms(
        &self,
        index: &Index,
        target: &Target,
        doomed: &BTreeSet<Digest>,
        options: RemoveOptions,
    ) -> Result<(Departure, Vec<Removal>), Error> {
        let uses = self.uses();
        let images: Vec<Arc<ImageRecord>> =
            doomed.iter().filter_map(|image| index.images.get(image)).cloned().collect();
        images.iter().try_for_each(|image| check_uses(index, image, options, &uses))?;
        let stays = target.variants.iter().find(|variant| !doomed.contains(&variant.image));
        let mut departure = Departure::default();
        let mut removals = Vec::new();
        for image in images {
            let leads_here =
                |name: &Name| index.target_of_name(name).is_some_and(|other| other.digest == target.digest);
            let (here, elsewhere): (Vec<_>, Vec<_>) =
                index.names_leading_to(&image.id).into_iter().partition(leads_here);
            let repository = here.first().map(|name| name.repository().to_owned());
            let own = names_of(index, &image.id);
            let handed_over = here.into_iter().filter(|name| own.contains(name));
            if let Some(stays) = stays {
                let named = |name| NamedImage { name, image: stays.image, target: Some(target.digest) };
                departure.handed_over.extend(handed_over.map(named));
            }
            departure.variants.push((image.id, target.digest));
            if elsewhere.is_empty() && is_free(index, &image.id, &uses) {
                removals.push(Removal::Deleted(image.id));
                departure.images.push(image);
                continue;
            }
            if let (Some(repository), Some(manifest)) = (repository, target.manifest_of(&image.id)) {
                removals.push(Removal::Untagged(format!("{repository}@{manifest}")));
            }
            if elsewhere.is_empty() && uses.iter().any(|usage| usage.image == image.id) {
                departure.leaving.push(image.id);
            }
        }
        Ok((departure, removals))
    }
}
