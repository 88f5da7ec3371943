//! Imports images from blobs of another store, as steps that builds may find.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use model::Digest;
use sys::bounded_read;

use super::source::{BlobSize, BlobSource};
use crate::budget::Budget;
use crate::document::ImageConfig;
use crate::registry::{Descriptor, ImageManifest, Index, LAYER_LIMIT, OCI_MANIFEST, REFERENCE_TYPE};
use crate::store::{Layer, NewImage, Origin, Store, digest_of, parse_document};
use crate::tar::ArchiveError;
use crate::unpack::Space;
use crate::{Error, Inconsistency};

/// The longest document.
const DOCUMENT_LIMIT: u64 = 8 << 20;
/// Images of one index.
const IMAGE_LIMIT: usize = 64;
/// The media type of the configuration in BuildKit's own caches.
const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";

impl Store {
    /// Imports the images of an index, without names; returns their ids. Builds may start from them, and each prune removes
    /// them.
    ///
    /// [`Error::Archive`] for a blob that cannot be read, and for layers for which there is no space; [`Error::Document`]
    /// and `Inconsistent` for a malformed index.
    pub fn import_steps(&self, index: &Digest, source: &dyn BlobSource) -> Result<Vec<Digest>, Error> {
        let import = Import { store: self, source, budget: self.budget() };
        import.index(index)
    }
}

/// An index on its way in.
struct Import<'a> {
    store: &'a Store,
    source: &'a dyn BlobSource,
    /// The limit of all its layers' unpacked sizes.
    budget: Budget,
}

impl Import<'_> {
    fn index(&self, digest: &Digest) -> Result<Vec<Digest>, Error> {
        let document = self.document(digest, BlobSize::AtMost(DOCUMENT_LIMIT))?;
        let index: Index = parse_document(&digest.to_string(), &document)?;
        if index.manifests.iter().any(|entry| entry.media_type == CACHE_CONFIG) {
            return Err(Inconsistency::ForeignCache.into());
        }
        let is_image = |entry: &&Descriptor| {
            entry.media_type == OCI_MANIFEST && !entry.annotations.contains_key(REFERENCE_TYPE)
        };
        let images = index.manifests.iter().filter(is_image).take(IMAGE_LIMIT);
        let images = images.map(|entry| self.image(entry)).collect::<Result<Vec<_>, _>>()?;
        if images.is_empty() { Err(Inconsistency::NoImage.into()) } else { Ok(images) }
    }

    fn image(&self, entry: &Descriptor) -> Result<Digest, Error> {
        let name = entry.digest.to_string();
        let manifest: ImageManifest = parse_document(&name, &self.declared_document(entry)?)?;
        if manifest.layers.len() > LAYER_LIMIT {
            let limit = LAYER_LIMIT as u64;
            return Err(Inconsistency::TooMuch { what: name, limit, unit: "layers" }.into());
        }
        let document = self.declared_document(&manifest.config)?;
        let config: ImageConfig = parse_document(&manifest.config.digest.to_string(), &document)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (layers, diff_ids) = (manifest.layers.len(), diff_ids.len());
            return Err(Inconsistency::LayerCount { name, layers, diff_ids }.into());
        }
        let layers: Vec<_> = manifest.layers.iter().zip(diff_ids).collect();
        self.check_space(&layers)?;
        let layers = layers.into_iter().map(|(blob, diff_id)| self.layer(blob, diff_id));
        let new = NewImage {
            config: &document,
            layers: &layers.collect::<Result<Vec<_>, _>>()?,
            parent: None,
            legacy: None,
            origin: Origin::ImportedCache,
            target: None,
        };
        Ok(self.store.publish(&new, &[])?.image.id)
    }

    /// Refuses layers whose declared sizes are more than is free. Their unpacked sizes are counted where they are
    /// unpacked.
    fn check_space(&self, layers: &[(&Descriptor, &Digest)]) -> Result<(), Error> {
        let missing = layers.iter().filter(|(_, diff_id)| self.store.layer(diff_id).is_none());
        let missing: BTreeMap<&Digest, u64> = missing.map(|(blob, diff_id)| (*diff_id, blob.size)).collect();
        let root = self.store.root();
        let directory = File::open(root).map_err(Error::file("open", root))?;
        let mut space = Space::of(directory.as_fd()).map_err(Error::file("look at", root))?;
        Ok(space.check(missing.values().copied().fold(0, u64::saturating_add))?)
    }

    fn layer(&self, blob: &Descriptor, expected: &Digest) -> Result<Layer, Error> {
        if let Some(layer) = self.store.layer(expected) {
            return Ok(layer);
        }
        let content = self.open(&blob.digest, BlobSize::Exactly(blob.size))?;
        let layer = self.store.unpack_layer_within(self.budget.source(content), &self.budget)?;
        if layer.diff_id() != *expected {
            let (name, actual) = (format!("the layer {}", blob.digest), layer.diff_id());
            return Err(Inconsistency::WrongDigest { name, expected: *expected, actual }.into());
        }
        Ok(layer)
    }

    fn declared_document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        self.document(&descriptor.digest, BlobSize::Exactly(descriptor.size))
    }

    /// A document: from the store, or from the source and checked.
    fn document(&self, digest: &Digest, size: BlobSize) -> Result<Vec<u8>, Error> {
        if let Some(known) = self.store.document(digest)? {
            return Ok(known);
        }
        let content = self.open(digest, size)?;
        let document = bounded_read::read_stream(content, DOCUMENT_LIMIT).map_err(input)?;
        let actual = digest_of(&document);
        if actual != *digest {
            let name = "a document".to_owned();
            return Err(Inconsistency::WrongDigest { name, expected: *digest, actual }.into());
        }
        Ok(document)
    }

    fn open(&self, digest: &Digest, size: BlobSize) -> Result<Box<dyn Read + Send>, Error> {
        self.source.open(digest, size).map_err(input)
    }
}

fn input(error: io::Error) -> Error {
    Error::Archive(ArchiveError::Input(error))
}
