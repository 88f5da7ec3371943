//! The documents that refer to images: the manifest of an image, or the index that lists it.
//!
//! ```text
//! target (an index)  ── variant (a manifest) ── image (a config), unpacked here
//!                    ── variant ── image
//!                    ── further manifests, whose images are not here, and attestations
//! ```

use std::collections::HashMap;

use model::Digest;

/// The target of an image: the document that refers to it, kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The digest of the index, or of the manifest where there was no index.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub size: u64,
    /// Those of its images that are here.
    pub variants: Vec<Variant>,
}

/// An image of a target that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// Its id.
    pub image: Digest,
}

impl Target {
    /// Whether an image is one of this target.
    #[must_use]
    pub fn has(&self, image: &Digest) -> bool {
        self.manifest_of(image).is_some()
    }

    /// The manifest of an image of this target.
    #[must_use]
    pub fn manifest_of(&self, image: &Digest) -> Option<Digest> {
        self.variants.iter().find(|variant| variant.image == *image).map(|variant| variant.manifest)
    }
}

/// How an image came that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewTarget<'a> {
    /// The index, or the manifest itself without one, byte for byte.
    pub document: &'a [u8],
    /// The media type of that.
    pub media_type: &'a str,
    /// The image's own manifest, byte for byte.
    pub manifest: &'a [u8],
    /// Other kept documents: indexes between the two, attestations and their parts.
    pub attachments: &'a [Vec<u8>],
    /// The manifest of the index that fits this machine best: its image has the name.
    pub preferred: Option<Digest>,
}

/// All targets, by their digest and by their images.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    all: HashMap<Digest, Target>,
    /// The targets of each image; the one that it came with last is the last.
    of_image: HashMap<Digest, Vec<Digest>>,
}

impl Targets {
    pub(crate) fn find(&self, digest: &Digest) -> Option<&Target> {
        self.all.get(digest)
    }

    /// Notes that an image is a variant of a target.
    pub(crate) fn insert(&mut self, target: &Target, variant: Variant) {
        let known = self
            .all
            .entry(target.digest)
            .or_insert_with(|| Target { variants: Vec::new(), ..target.clone() });
        known.variants.retain(|other| other.image != variant.image);
        known.variants.push(variant);
        let targets = self.of_image.entry(variant.image).or_default();
        targets.retain(|other| *other != target.digest);
        targets.push(target.digest);
    }

    /// Removes an image, and the targets that have no other.
    pub(crate) fn remove_image(&mut self, image: &Digest) {
        for digest in self.of_image.remove(image).unwrap_or_default() {
            let Some(target) = self.all.get_mut(&digest) else { continue };
            target.variants.retain(|variant| variant.image != *image);
            if target.variants.is_empty() {
                self.all.remove(&digest);
            }
        }
    }

    /// Removes a target.
    pub(crate) fn remove(&mut self, digest: &Digest) {
        let Some(target) = self.all.remove(digest) else { return };
        for variant in target.variants {
            let Some(targets) = self.of_image.get_mut(&variant.image) else { continue };
            targets.retain(|other| other != digest);
            if targets.is_empty() {
                self.of_image.remove(&variant.image);
            }
        }
    }

    /// The targets of an image; the one that it came with last is the last.
    pub(crate) fn of(&self, image: &Digest) -> impl DoubleEndedIterator<Item = &Target> {
        self.of_image.get(image).into_iter().flatten().filter_map(|digest| self.all.get(digest))
    }

    /// Removes an image from the variants of a target.
    pub(crate) fn remove_variant(&mut self, image: &Digest, digest: &Digest) {
        if let Some(target) = self.all.get_mut(digest) {
            target.variants.retain(|variant| variant.image != *image);
            if target.variants.is_empty() {
                self.all.remove(digest);
            }
        }
        if let Some(targets) = self.of_image.get_mut(image) {
            targets.retain(|other| other != digest);
            if targets.is_empty() {
                self.of_image.remove(image);
            }
        }
    }

    /// Whether any has several images here.
    pub(crate) fn have_platforms(&self) -> bool {
        self.all.values().any(|target| target.variants.len() > 1)
    }

    /// The images without a name that are here as other platforms of a target that has one.
    pub(crate) fn unseen<'a>(
        &'a self,
        is_named_target: impl Fn(&Digest) -> bool + 'a,
        is_named: impl Fn(&Digest) -> bool + 'a,
    ) -> impl Iterator<Item = Digest> + 'a {
        let shared = self.all.values().filter(|target| target.variants.len() > 1);
        shared.filter(move |target| is_named_target(&target.digest)).flat_map(move |target| {
            let unnamed = target.variants.iter().filter(|variant| !is_named(&variant.image));
            unnamed.map(|variant| variant.image).collect::<Vec<_>>()
        })
    }
}
