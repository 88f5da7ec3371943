//! Finds images by what users call them: name, tag, digest, whole or short id.

use std::ops::Bound;
use std::sync::Arc;

use model::{Digest, ImageReference};

use crate::Error;
use crate::store::{Image, ImageRecord, Index, Name, Store, Target};

/// How a text matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundBy {
    /// A tag or digest.
    Name,
    /// An id, whole or short.
    Id,
}

impl Store {
    /// Finds an image by `name[:tag]`, `name@digest`, id (with or without `sha256:`) or the
    /// beginning of one, or the whole digest of the manifest or index that it came under.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], or [`Error::AmbiguousId`] when several ids begin so.
    pub fn resolve(&self, text: &str) -> Result<Image, Error> {
        let record = find(&self.index(), text)?.0;
        self.with_config(&record)
    }

    /// Finds an image for a container that is being created. `register` notes the use where
    /// [`ImageUsers`](crate::ImageUsers) finds it: from then on no removal takes the image.
    ///
    /// # Errors
    /// As [`Self::resolve`], also when the image is just being removed.
    pub fn resolve_for_use(&self, text: &str, register: impl FnOnce(Digest)) -> Result<Image, Error> {
        let record = {
            let index = self.index();
            let (record, _) = find(&index, text)?;
            if index.doomed_images.contains(&record.id) {
                return Err(Error::NoSuchImage(text.to_owned()));
            }
            register(record.id);
            record
        };
        self.with_config(&record)
    }

    /// Finds an image's id as [`Self::resolve`] does, without reading its config.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_id(&self, text: &str) -> Result<Digest, Error> {
        find(&self.index(), text).map(|(record, _)| record.id)
    }
}

/// Finds an image: a whole id first, then names, then short ids.
pub(crate) fn find(index: &Index, text: &str) -> Result<(Arc<ImageRecord>, FoundBy), Error> {
    let missing = || Error::NoSuchImage(text.to_owned());
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    if let Ok(id) = Digest::parse_hexadecimal(digits) {
        let image = index.images.get(&id).or_else(|| index.images.get(&under(index, &id)?));
        return image.map(|image| (Arc::clone(image), FoundBy::Id)).ok_or_else(missing);
    }
    if let Some(id) = ImageReference::parse(text).ok().and_then(|reference| named(index, &reference)) {
        return index.images.get(&id).map(|image| (Arc::clone(image), FoundBy::Name)).ok_or_else(missing);
    }
    match by_prefix(index, digits) {
        Some(Ok(image)) => Ok((image, FoundBy::Id)),
        Some(Err(Ambiguous)) => Err(Error::AmbiguousId(text.to_owned())),
        None => Err(missing()),
    }
}

/// The target of a text beside its image: a tag's or a digest's target, for an id that of its image.
pub(crate) fn target<'index>(index: &'index Index, text: &str) -> Option<&'index Target> {
    let (image, found_by) = find(index, text).ok()?;
    let target = match found_by {
        FoundBy::Name => index.target_of_name(&Name::of(&ImageReference::parse(text).ok()?)),
        FoundBy::Id => {
            let whole = Digest::parse_hexadecimal(text.strip_prefix("sha256:").unwrap_or(text)).ok();
            let is_id = whole.is_none_or(|digest| digest == image.id);
            let target = whole.filter(|_| !is_id).and_then(|digest| index.targets.find(&digest));
            target.or_else(|| index.target_of_image(&image.id))
        }
    };
    target.filter(|target| target.has(&image.id))
}

/// What is published of a text: an id stands for its image alone where that was made here, as clients that built the same
/// image have each recorded statements of their own.
pub(crate) fn published<'index>(index: &'index Index, text: &str) -> Option<&'index Target> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let (image, found_by) = find(index, text).ok()?;
    let is_id = found_by == FoundBy::Id && image.id.hexadecimal().starts_with(digits);
    if is_id && !index.foreign.contains(&image.id) { None } else { target(index, text) }
}

/// The image that came under a manifest or an index of this digest, or was pushed as one: of several that which has a name.
fn under(index: &Index, digest: &Digest) -> Option<Digest> {
    let variants = index.targets.find(digest).map(|target| target.variants.as_slice()).unwrap_or_default();
    let named = variants.iter().find(|variant| !index.tags_of(&variant.image).is_empty());
    let came = named.or_else(|| variants.first()).map(|variant| variant.image);
    came.or_else(|| index.digests.values().find_map(|digests| digests.get(digest)).copied())
}

/// The image that a tag (`latest` if none is written) or digest names.
pub(crate) fn named(index: &Index, reference: &ImageReference) -> Option<Digest> {
    index.named(&Name::of(reference))
}

struct Ambiguous;

fn by_prefix(index: &Index, prefix: &str) -> Option<Result<Arc<ImageRecord>, Ambiguous>> {
    let lowercase = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(lowercase) {
        return None;
    }
    let first = Digest::parse_hexadecimal(&format!("{prefix:0<64}")).ok()?;
    let last = Digest::parse_hexadecimal(&format!("{prefix:f<64}")).ok()?;
    let mut matches = index.images.range((Bound::Included(first), Bound::Included(last)));
    // The short name of a build's step was never shown.
    let mut matches = matches.by_ref().filter(|(id, _)| !index.steps.contains_key(id));
    let (_, image) = matches.next()?;
    Some(if matches.next().is_some() { Err(Ambiguous) } else { Ok(Arc::clone(image)) })
}
