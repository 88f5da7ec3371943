//! Images of the store: made of a config document and held layers.

use std::path::PathBuf;
use std::sync::Arc;

use model::{Digest, Timestamp};
use rusqlite::{Connection, Transaction};

use super::index::label_bytes;
use super::names::{self, Naming};
use super::step_use::StepUse;
use super::stored::{Stored, signed};
use super::target::NewTarget;
use super::{ImageRecord, Layer, Name, NamedImage, Store, documents, steps, targets};
use crate::document::ImageConfig;
use crate::error::Inconsistency;
use crate::{Error, store::LayerKey};

/// An image and its parsed config.
#[derive(Debug, Clone)]
pub struct Image {
    /// The id: the digest of the config, or what an image of the old format calls itself.
    pub id: Digest,
    /// The digest of the config document.
    pub config_digest: Digest,
    /// The image it was built on, if known here.
    pub parent: Option<Digest>,
    /// When it was made.
    pub created: Timestamp,
    /// The bytes of its own layers' files.
    pub size: u64,
    /// The bytes of all its layers' files.
    pub virtual_size: u64,
    /// The config.
    pub config: ImageConfig,
    /// The layers' directory names, lowest first.
    pub(crate) layers: Box<[LayerKey]>,
}

/// Where an image's config was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By this engine.
    Here,
    /// By this engine, as a step of a build that no list shows: see [`Store::keep`].
    BuildStep,
    /// By a registry or in a tarball: its history proves nothing.
    Elsewhere,
    /// By a registry, and it is here as a cache of builds that no list shows.
    ImportedCache,
}

/// An image to be made.
#[derive(Debug)]
pub struct NewImage<'a> {
    /// The config document, byte for byte.
    pub config: &'a [u8],
    /// Its layers, lowest first, exactly as its `rootfs.diff_ids` name them.
    pub layers: &'a [Layer],
    /// The image it was built on.
    pub parent: Option<Digest>,
    /// The id and the `json` member of an image in the old format, whose id is no digest.
    pub legacy: Option<(Digest, &'a [u8])>,
    /// Where its config was written. An image that is there already stays what it was.
    pub origin: Origin,
    /// Its target, where it came from elsewhere.
    pub target: Option<NewTarget<'a>>,
}

/// An image that was published.
#[derive(Debug)]
pub struct Published {
    /// The image.
    pub image: Image,
    /// Whether it is new under the first of the names: that named another image or none before, or has it as a further
    /// platform now.
    pub is_new: bool,
}

impl Store {
    /// Makes an image without a name; one that is there already stays as it is.
    ///
    /// # Errors
    /// `Refused` when config and layers do not fit together; `Internal` when the database fails.
    pub fn add_image(&self, image: &NewImage<'_>) -> Result<Image, Error> {
        self.make(image, &[]).map(|published| published.image)
    }

    /// Makes an image, unless it is there, and names it in the same step: it cannot be removed in between.
    /// Soon after, it survives a loss of power; until then that takes it as a whole.
    ///
    /// # Errors
    /// `Refused` when config and layers do not fit together; `Internal` when disk or database fail.
    pub fn publish(&self, image: &NewImage<'_>, names: &[Naming<'_>]) -> Result<Published, Error> {
        let published = self.make(image, names)?;
        self.shared.settle_soon();
        Ok(published)
    }

    fn make(&self, image: &NewImage<'_>, names: &[Naming<'_>]) -> Result<Published, Error> {
        let config: ImageConfig = documents::parse("image config", image.config)?;
        check_layers(&config, image.layers)?;
        let labels = check_labels(&config)?;
        let config_digest = documents::digest_of(image.config);
        let id = image.legacy.map_or(config_digest, |(id, _)| id);
        let mut database = self.shared.database();
        let named: Vec<NamedImage> =
            names.iter().map(|name| self.named_image(name.name(), id, image.target)).collect();
        let known = self.index().images.get(&id).cloned();
        let all = self.index().label_bytes + labels;
        if known.is_none() && labels > 0 && all > ALL_LABELS_LIMIT {
            return Err(too_many_labels("the store", ALL_LABELS_LIMIT).into());
        }
        let made = known.is_none().then(|| self.new_record(id, config_digest, &config, image));
        let new_target = image.target.is_some_and(|target| !self.is_variant(&target, id));
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            if let Some(record) = &made {
                insert(&transaction, image, record)?;
            }
            for manifest in names.iter().filter_map(Naming::manifest) {
                documents::keep(&transaction, manifest)?;
            }
            if let Some(target) = image.target.as_ref().filter(|_| new_target) {
                targets::write(&transaction, id, target)?;
            }
            names::write(&transaction, &named)?;
            transaction.commit()
        };
        let is_named = named.iter().all(|named| named.is_so(&self.index()));
        if !is_named || made.is_some() || new_target {
            write(&mut database).map_err(Error::database("record an image"))?;
        }
        let mut index = self.shared.index_mut();
        match image.origin {
            Origin::Elsewhere if made.is_some() => drop(index.foreign.insert(id)),
            Origin::ImportedCache if made.is_some() => {
                index.foreign.insert(id);
                index.steps.insert(id, StepUse::first());
            }
            Origin::BuildStep if made.is_some() => drop(index.steps.insert(id, StepUse::first())),
            Origin::Here | Origin::Elsewhere | Origin::BuildStep | Origin::ImportedCache => {}
        }
        let record = made.map(|made| index.insert_image(made)).or(known);
        if let Some(target) = image.target.as_ref().filter(|_| new_target) {
            index.targets.insert(&target.described(), target.variant(id));
        }
        let first_owner = named.first().map(|named| named.image);
        let before: Vec<_> = named.into_iter().map(|named| index.set_name(named)).collect();
        let is_new = if first_owner == Some(id) { before.first() != Some(&Some(id)) } else { new_target };
        drop(index);
        let record = record.ok_or_else(|| Error::NoSuchImage(id.hexadecimal()))?;
        Ok(Published { image: Image::new(&record, config), is_new })
    }

    /// The image and target for a name.
    fn named_image(&self, name: Name, new: Digest, target: Option<NewTarget<'_>>) -> NamedImage {
        let image = self.owner(&name, new, target);
        let target = target.map(|target| target.described().digest);
        let mut named = NamedImage { name, image, target };
        if target.is_none() {
            named.complete(&self.index());
        }
        named
    }

    /// The image that a name is given to: where it has an image of the same index that fits this machine best, that one
    /// keeps it, and the new one is another platform of it.
    fn owner(&self, name: &Name, new: Digest, target: Option<NewTarget<'_>>) -> Digest {
        let index = self.index();
        let before = index.named(name).filter(|before| *before != new);
        let (Some(before), Some(target)) = (before, target) else { return new };
        let known = index.targets.find(&target.described().digest);
        let manifest = known.and_then(|known| known.manifest_of(&before));
        if manifest.is_some() && manifest == target.preferred { before } else { new }
    }

    /// Whether an image belongs to a target.
    pub(crate) fn is_variant(&self, target: &NewTarget<'_>, image: Digest) -> bool {
        let index = self.index();
        let known = index.targets.find(&documents::digest_of(target.document));
        known.and_then(|known| known.manifest_of(&image)) == Some(documents::digest_of(target.manifest))
    }

    fn new_record(
        &self,
        id: Digest,
        config_digest: Digest,
        config: &ImageConfig,
        image: &NewImage<'_>,
    ) -> ImageRecord {
        let index = self.index();
        let parent = image.parent.and_then(|parent| index.images.get(&parent));
        let keys: Box<[LayerKey]> = image.layers.iter().map(|layer| Arc::clone(layer.key())).collect();
        let inherited =
            parent.map_or(0, |parent| if keys.starts_with(&parent.layers) { parent.layers.len() } else { 0 });
        let labels = config.config.as_ref().and_then(|config| config.labels.clone());
        ImageRecord {
            id,
            config: config_digest,
            legacy: image.legacy.map(|(_, document)| documents::digest_of(document)),
            parent: parent.map(|parent| parent.id),
            created: config.created.unwrap_or(Timestamp::NEVER),
            size: image.layers[inherited..].iter().map(Layer::size).sum(),
            virtual_size: image.layers.iter().map(Layer::size).sum(),
            labels: labels.map(Arc::new),
            layers: keys,
            sequence: index.next_sequence,
        }
    }

    /// The image with this id.
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub fn image(&self, id: &Digest) -> Result<Image, Error> {
        let record = self.index().images.get(id).cloned();
        let record = record.ok_or_else(|| Error::NoSuchImage(id.hexadecimal()))?;
        self.with_config(&record)
    }

    pub(crate) fn with_config(&self, record: &ImageRecord) -> Result<Image, Error> {
        match self.config(&record.config) {
            Err(missing @ Error::Missing { .. }) => Err(self.gone_or(&record.id, missing)),
            config => Ok(Image::new(record, config?)),
        }
    }

    /// Holds all layers of an image, lowest first.
    ///
    /// # Errors
    /// `NotFound` when the image was removed meanwhile.
    pub fn layers(&self, image: &Image) -> Result<Vec<Layer>, Error> {
        self.held(&image.id, &image.layers)
    }

    /// The layers of an image as [`Self::layers`] gives them, without reading its config.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] when the image has gone.
    pub fn layers_of(&self, id: &Digest) -> Result<Vec<Layer>, Error> {
        let record = self.index().images.get(id).cloned();
        let record = record.ok_or_else(|| Error::NoSuchImage(id.hexadecimal()))?;
        self.held(id, &record.layers)
    }

    fn held(&self, image: &Digest, layers: &[LayerKey]) -> Result<Vec<Layer>, Error> {
        let diff_ids: Option<Vec<Digest>> = {
            let index = self.index();
            layers.iter().map(|key| index.layers.get(key).map(|layer| layer.diff_id)).collect()
        };
        let held: Option<Vec<Layer>> =
            diff_ids.and_then(|diff_ids| diff_ids.iter().map(|diff_id| self.layer(diff_id)).collect());
        held.ok_or_else(|| Error::NoSuchImage(image.hexadecimal()))
    }

    /// The directories of an image for overlay's `lowerdir`, topmost first.
    ///
    /// A layer that an image has twice, an empty one mostly, stands only where it is topmost: the
    /// kernel refuses a directory twice, and what it changed further down it changes again there.
    #[must_use]
    pub fn lower_directories(&self, image: &Image) -> Vec<PathBuf> {
        self.directories(&image.layers)
    }
}

impl Store {
    /// The directories of an image's layers as [`Self::lower_directories`] returns them. This never waits for
    /// the disk.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] when it does not exist.
    pub fn lower_directories_of(&self, id: &Digest) -> Result<Vec<PathBuf>, Error> {
        let record = self.index().images.get(id).cloned();
        let record = record.ok_or_else(|| Error::NoSuchImage(id.hexadecimal()))?;
        Ok(self.directories(&record.layers))
    }

    /// The image whose layers these directories are, topmost first.
    #[must_use]
    pub fn image_of_directories(&self, lower: &[PathBuf]) -> Option<Digest> {
        let all: Vec<_> =
            self.index().images.values().map(|image| (image.id, image.layers.clone())).collect();
        all.into_iter().find(|(_, layers)| self.directories(layers) == lower).map(|(id, _)| id)
    }

    /// The bytes of all files of an image.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] when it does not exist.
    pub fn virtual_size_of(&self, id: &Digest) -> Result<u64, Error> {
        let size = self.index().images.get(id).map(|record| record.virtual_size);
        size.ok_or_else(|| Error::NoSuchImage(id.hexadecimal()))
    }
}

impl Image {
    pub(crate) fn new(record: &ImageRecord, config: ImageConfig) -> Self {
        Self {
            id: record.id,
            config_digest: record.config,
            parent: record.parent,
            created: record.created,
            size: record.size,
            virtual_size: record.virtual_size,
            config,
            layers: record.layers.clone(),
        }
    }
}

/// As many directories as overlay stacks (fs/overlayfs/params.h, `OVL_MAX_STACK`).
const LAYER_LIMIT: usize = 500;

/// As long the labels of one image may be: those of the largest known builders have 100 KiB.
const LABELS_LIMIT: u64 = 256 << 10;
/// As long those of all images may be, which the daemon holds in memory: five kilobytes for each of 6,000.
const ALL_LABELS_LIMIT: u64 = 32 << 20;

fn too_many_labels(what: &str, limit: u64) -> Inconsistency {
    Inconsistency::TooMuch { what: what.to_owned(), limit, unit: "bytes of labels" }
}

/// How long an image's labels are.
fn check_labels(config: &ImageConfig) -> Result<u64, Inconsistency> {
    let labels = config.config.as_ref().and_then(|config| config.labels.as_ref());
    match label_bytes(labels) {
        bytes if bytes > LABELS_LIMIT => Err(too_many_labels("the image", LABELS_LIMIT)),
        bytes => Ok(bytes),
    }
}

fn check_layers(config: &ImageConfig, layers: &[Layer]) -> Result<(), Inconsistency> {
    let expected = &config.rootfs.diff_ids;
    let lending = layers.iter().filter(|layer| layer.has_base()).count();
    if expected.len().max(layers.len() + lending) > LAYER_LIMIT {
        let what = "the image".to_owned();
        return Err(Inconsistency::TooMuch { what, limit: LAYER_LIMIT as u64, unit: "layers" });
    }
    if expected.len() != layers.len() {
        return Err(Inconsistency::LayerCount {
            name: "the image".to_owned(),
            layers: layers.len(),
            diff_ids: expected.len(),
        });
    }
    for (expected, layer) in expected.iter().zip(layers) {
        if *expected != layer.diff_id() {
            let name = "a layer".to_owned();
            return Err(Inconsistency::WrongDigest { name, expected: *expected, actual: layer.diff_id() });
        }
    }
    Ok(())
}

fn insert(transaction: &Transaction<'_>, image: &NewImage<'_>, record: &ImageRecord) -> rusqlite::Result<()> {
    documents::keep(transaction, image.config)?;
    if let Some((_, legacy)) = image.legacy {
        documents::keep(transaction, legacy)?;
    }
    let labels = record.labels.as_ref().and_then(|labels| serde_json::to_string(&**labels).ok());
    // One that could not be read, and is not in the index, is replaced.
    transaction
        .prepare_cached("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute((
            Stored(record.id),
            Stored(record.config),
            record.legacy.map(Stored),
            record.parent.map(Stored),
            record.created.unix_seconds(),
            record.created.subsecond_nanoseconds(),
            signed(record.size),
            signed(record.virtual_size),
            labels,
            signed(record.sequence),
        ))?;
    if matches!(image.origin, Origin::Elsewhere | Origin::ImportedCache) {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO foreign_images (image) VALUES (?)")?
            .execute([Stored(record.id)])?;
    }
    if matches!(image.origin, Origin::BuildStep | Origin::ImportedCache) {
        steps::record(transaction, &record.id, StepUse::first())?;
    }
    let mut statement = transaction.prepare_cached("INSERT INTO image_layers VALUES (?, ?, ?)")?;
    for (position, layer) in record.layers.iter().enumerate() {
        statement.execute((Stored(record.id), signed(position as u64), &**layer))?;
    }
    Ok(())
}
