//! Loads tarballs of images: the v1.20 layout, `manifest.json` and the OCI image layout.
//!
//! The tarball is read once, as it comes: documents are kept in memory, layers are unpacked into the store at
//! once and held; at the end the documents decide what belongs together. If anything fails, what was made is
//! removed.

mod descriptors;
mod incoming_blob;
mod manifest;
mod oci;
mod tarball;
mod targets;
mod v1;

use std::io::Read;

use model::{Digest, ImageReference};

use crate::registry::Platform;
use crate::store::{Image, Layer, NewImage, Origin, Store, digest_of};
use crate::{Error, Inconsistency};
use tarball::Tarball;

/// How often images are made again that others remove meanwhile.
const ATTEMPTS: u32 = 100;

/// The result of a load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The images that it names, or that nothing else in it is built on.
    pub images: Vec<Digest>,
    /// Those of them that it does not name, whether they have names here or not.
    pub unnamed: Vec<Digest>,
    /// The tags that were set, in order.
    pub tags: Vec<String>,
    /// Sentences for the user: which tags moved.
    pub notices: Vec<String>,
}

impl Store {
    /// Loads all images of a tarball, compressed in any known way. Tags that name other images
    /// move.
    ///
    /// # Errors
    /// [`Error::Archive`] when the tarball is no good, `NotFound` or `Refused` when its parts do
    /// not fit together; nothing stays then.
    pub fn load(&self, tarball: impl Read + Send) -> Result<Loaded, Error> {
        self.load_for(tarball, &[])
    }

    /// Loads of the images of a tarball those that are for these platforms; all where none is named.
    ///
    /// # Errors
    /// As [`Store::load`], and [`Error::NoPlatform`] when an image is not for one of the platforms.
    pub fn load_for(&self, tarball: impl Read + Send, platforms: &[Platform]) -> Result<Loaded, Error> {
        self.load_from(tarball, platforms, Origin::Elsewhere)
    }

    /// Loads the images of a tarball as a cache of builds, which no list shows; the names in it are given to none.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load_as_cache(&self, tarball: impl Read + Send) -> Result<Vec<Digest>, Error> {
        self.load_from(tarball, &[], Origin::ImportedCache).map(|loaded| loaded.images)
    }

    fn load_from(
        &self,
        tarball: impl Read + Send,
        platforms: &[Platform],
        origin: Origin,
    ) -> Result<Loaded, Error> {
        let tarball = Tarball::read(self, tarball)?;
        let mut loading =
            Loading { store: self, tarball, platforms, origin, made: Vec::new(), kept: Vec::new() };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let loaded = loading.all().and_then(|(images, names)| match origin {
                Origin::ImportedCache => self.name_loaded(images, Vec::new()),
                Origin::Here | Origin::BuildStep | Origin::Elsewhere => self.name_loaded(images, names),
            });
            match loaded {
                // Someone removed it before it had its name: the layers are held, so it is made again.
                Err(Error::ImageNotFound(_)) if attempts < ATTEMPTS => {}
                Err(error) => {
                    self.discard_images(&loading.made);
                    return Err(error);
                }
                loaded => {
                    loading.tarball.kept.settle();
                    return loaded;
                }
            }
        }
    }

    fn name_loaded(&self, images: Vec<Digest>, names: Vec<OwnedName>) -> Result<Loaded, Error> {
        let is_named = |image: &&Digest| names.iter().any(|(_, named, _)| named == *image);
        let unnamed = images.iter().filter(|image| !is_named(image)).copied().collect();
        let mut loaded = Loaded { images, unnamed, ..Loaded::default() };
        let taken = self.tag_under(&names)?;
        for ((name, image, _), before) in names.into_iter().zip(taken) {
            let shown = name.with_default_tag().to_string();
            if let Some(before) = before.filter(|before| *before != image) {
                loaded.notices.push(format!(
                    "The image {shown} already exists, renaming the old one with ID {} to empty string",
                    before.short()
                ));
            }
            loaded.tags.push(shown);
        }
        Ok(loaded)
    }
}

type Named = Vec<(ImageReference, Digest)>;

/// A name, its image, and what that came under.
type OwnedName = (ImageReference, Digest, Option<Digest>);

struct Loading<'a> {
    store: &'a Store,
    tarball: Tarball,
    /// The platforms whose images are wanted; all where it is empty.
    platforms: &'a [Platform],
    origin: Origin,
    /// Images that were not there before, parents first.
    made: Vec<Digest>,
    /// The targets in the tarball: each with an image of it.
    kept: Vec<(Digest, Digest)>,
}

impl Loading<'_> {
    fn all(&mut self) -> Result<(Vec<Digest>, Vec<OwnedName>), Error> {
        self.check_layout_version()?;
        let (images, names) = self.named_images()?;
        self.keep_targets(&images)?;
        for (name, image) in &names {
            // The digest of a name is that of what has it.
            if name.digest.is_some_and(|digest| !self.kept.contains(&(digest, *image))) {
                return Err(Inconsistency::WrongName(name.to_string()).into());
            }
        }
        for image in &images {
            for platform in self.platforms {
                let named = names.iter().find(|(_, named)| named == image).map(|(name, _)| name.to_string());
                self.require_platform(image, named, platform)?;
            }
        }
        let owned = |(name, image)| {
            let target = self.target_of_name(&name, &image);
            let owner = self.owner(&name, image, target);
            (name, owner, target)
        };
        Ok((images, names.into_iter().map(owned).collect()))
    }

    /// Refuses a tarball that has an image, but not for a platform.
    fn require_platform(
        &self,
        image: &Digest,
        named: Option<String>,
        wanted: &Platform,
    ) -> Result<(), Error> {
        let targets = self.kept.iter().filter(|(_, of)| of == image).map(|(target, _)| *target);
        for target in targets.map(Some).chain(std::iter::once(None)) {
            let target = target.and_then(|target| self.store.target(&target));
            if self.store.platform_of(image, target.as_ref(), wanted)?.is_some() {
                return Ok(());
            }
        }
        let name = named.unwrap_or_else(|| image.to_string());
        Err(Error::NoPlatform { name, wanted: wanted.to_string() })
    }

    /// The target in the tarball of an image that it names: by that name, or else any.
    fn target_of_name(&self, name: &ImageReference, image: &Digest) -> Option<Digest> {
        let named = self.targets_of_names();
        let is_of_image = |target: &Digest| self.kept.contains(&(*target, *image));
        let is_name =
            |other: &ImageReference| other.clone().with_default_tag() == name.clone().with_default_tag();
        let by_name = named.iter().find(|(other, target)| is_name(other) && is_of_image(target));
        let any = || self.kept.iter().rev().find(|(_, of)| of == image).map(|(target, _)| *target);
        by_name.map(|(_, target)| *target).or_else(any)
    }

    /// The image that a name is given to: of two platforms of one index that for this machine, if it has the name already.
    fn owner(&self, name: &ImageReference, loaded: Digest, target: Option<Digest>) -> Digest {
        let target = target.and_then(|target| self.store.target(&target));
        let Ok(before) = self.store.resolve_id(&name.to_string()) else { return loaded };
        let runs_here = |image: &Digest| {
            self.store.image(image).is_ok_and(|image| Platform::of(&image.config).is(&Platform::host()))
        };
        let is_of_same = target.is_some_and(|target| target.has(&before));
        let keeps = is_of_same && runs_here(&before) && !runs_here(&loaded);
        if keeps { before } else { loaded }
    }

    /// Whether an image for this platform is wanted.
    fn takes(&self, platform: &Platform) -> bool {
        self.platforms.is_empty() || self.platforms.iter().any(|wanted| platform.is(wanted))
    }

    fn named_images(&mut self) -> Result<(Vec<Digest>, Named), Error> {
        // Except for a layout, the other lists name one platform of each image.
        if !self.platforms.is_empty() && self.is_layout() {
            return self.images_of_oci();
        }
        if let Some(items) = self.manifest_items()? {
            return self.images_of_manifest(&items);
        }
        if self.tarball.has_v1() {
            return self.images_of_v1();
        }
        if self.tarball.document("index.json").is_some() {
            return self.images_of_oci();
        }
        if self.tarball.is_empty() {
            Ok((Vec::new(), Vec::new()))
        } else {
            Err(Inconsistency::NoImage.into())
        }
    }

    /// Makes an image of a config document and its layers, as any tool writes them.
    fn add_config(
        &mut self,
        document: &[u8],
        layers: &[Layer],
        parent: Option<Digest>,
    ) -> Result<Digest, Error> {
        let original = crate::v1::original(document);
        let (document, parent) = match &original {
            Some((original, own)) => (original.as_slice(), parent.or(*own)),
            None => (document, parent),
        };
        let parent = parent.filter(|parent| self.store.index().images.contains_key(parent));
        let new =
            NewImage { config: document, layers, parent, legacy: None, origin: self.origin, target: None };
        self.add(&new, digest_of(document)).map(|image| image.id)
    }

    /// Makes an image unless it is there, and records that it was made here.
    fn add(&mut self, image: &NewImage<'_>, id: Digest) -> Result<Image, Error> {
        let known = self.store.index().images.contains_key(&id);
        let image = self.store.add_image(image)?;
        if !known {
            self.made.push(image.id);
        }
        Ok(image)
    }
}
