//! Takes images in from blobs that somebody else keeps, as steps that builds may find.

use std::io::Read;

use model::Digest;
use sys::bounded_read;

use crate::document::ImageConfig;
use crate::registry::{Descriptor, ImageManifest, Index, OCI_MANIFEST, REFERENCE_TYPE};
use crate::store::{Layer, NewImage, Origin, Store, digest_of, parse_document};
use crate::tar::ArchiveError;
use crate::{Error, Inconsistency};

/// The longest document.
const DOCUMENT_LIMIT: u64 = 8 << 20;
/// Images of one index.
const IMAGE_LIMIT: usize = 64;
/// What BuildKit's own caches have in the place of an image's configuration.
const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";

/// Gives blobs out by their digests.
pub trait BlobSource {
    /// Reads a blob; what it is not is noticed by its digest.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn open(&self, digest: &Digest) -> std::io::Result<Box<dyn Read + Send>>;
}

impl Store {
    /// Takes the images of an index in, without names; gives their ids. They are what builds may begin with, and each prune
    /// takes them.
    ///
    /// # Errors
    /// [`Error::Archive`] for a blob that cannot be had, [`Error::Document`] and `Inconsistent` for what is no such index.
    pub fn import_steps(&self, index: &Digest, source: &dyn BlobSource) -> Result<Vec<Digest>, Error> {
        let document = self.blob_document(index, source)?;
        let index: Index = parse_document(&index.to_string(), &document)?;
        if index.manifests.iter().any(|entry| entry.media_type == CACHE_CONFIG) {
            return Err(Inconsistency::ForeignCache.into());
        }
        let is_image = |entry: &&Descriptor| {
            entry.media_type == OCI_MANIFEST && !entry.annotations.contains_key(REFERENCE_TYPE)
        };
        let images = index.manifests.iter().filter(is_image).take(IMAGE_LIMIT);
        let images =
            images.map(|entry| self.import_step(&entry.digest, source)).collect::<Result<Vec<_>, _>>()?;
        if images.is_empty() { Err(Inconsistency::NoImage.into()) } else { Ok(images) }
    }

    fn import_step(&self, manifest: &Digest, source: &dyn BlobSource) -> Result<Digest, Error> {
        let name = manifest.to_string();
        let manifest: ImageManifest = parse_document(&name, &self.blob_document(manifest, source)?)?;
        let document = self.blob_document(&manifest.config.digest, source)?;
        let config: ImageConfig = parse_document(&manifest.config.digest.to_string(), &document)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (layers, diff_ids) = (manifest.layers.len(), diff_ids.len());
            return Err(Inconsistency::LayerCount { name, layers, diff_ids }.into());
        }
        let layers = manifest.layers.iter().zip(diff_ids);
        let layers = layers.map(|(blob, diff_id)| self.import_layer(blob, diff_id, source));
        let new = NewImage {
            config: &document,
            layers: &layers.collect::<Result<Vec<_>, _>>()?,
            parent: None,
            legacy: None,
            origin: Origin::ImportedCache,
            target: None,
        };
        Ok(self.publish(&new, &[])?.image.id)
    }

    fn import_layer(
        &self,
        blob: &Descriptor,
        expected: &Digest,
        source: &dyn BlobSource,
    ) -> Result<Layer, Error> {
        if let Some(layer) = self.layer(expected) {
            return Ok(layer);
        }
        let layer = self.unpack_layer(open(source, &blob.digest)?)?;
        if layer.diff_id() != *expected {
            let (name, actual) = (format!("the layer {}", blob.digest), layer.diff_id());
            return Err(Inconsistency::WrongDigest { name, expected: *expected, actual }.into());
        }
        Ok(layer)
    }

    /// A document: from the store, or from the source and checked.
    fn blob_document(&self, digest: &Digest, source: &dyn BlobSource) -> Result<Vec<u8>, Error> {
        if let Some(known) = self.document(digest)? {
            return Ok(known);
        }
        let document = bounded_read::read_stream(open(source, digest)?, DOCUMENT_LIMIT).map_err(input)?;
        let actual = digest_of(&document);
        if actual != *digest {
            let name = "a document".to_owned();
            return Err(Inconsistency::WrongDigest { name, expected: *digest, actual }.into());
        }
        Ok(document)
    }
}

fn open(source: &dyn BlobSource, digest: &Digest) -> Result<Box<dyn Read + Send>, Error> {
    source.open(digest).map_err(input)
}

fn input(error: std::io::Error) -> Error {
    Error::Archive(ArchiveError::Input(error))
}
