//! Keeps what the images of a layout came under: the indexes and manifests that `index.json` lists, the images that they
//! have for other platforms, and their attestations (OCI image specification, "Image Layout").

use std::collections::BTreeSet;

use model::Digest;

use super::Loading;
use super::oci::blob;
use crate::document::ImageConfig;
use crate::registry::{Descriptor, ImageManifest, Index, OCI_INDEX, OCI_MANIFEST, Platform, REFERENCE_TYPE};
use crate::store::{Layer, NewTarget, parse_document as parse};
use crate::{Error, Inconsistency};

/// How deep indexes may be nested.
const DEPTH_LIMIT: u32 = 4;

/// The parsed parts of one entry of `index.json`.
#[derive(Default)]
struct Found {
    /// Manifests and inner indexes that were visited: a hostile index lists one many times.
    seen: BTreeSet<Digest>,
    /// The manifests of images.
    manifests: Vec<ImageManifestDocument>,
    /// The documents that are kept with them.
    attachments: BTreeSet<Digest>,
}

/// An image's manifest and its bytes.
struct ImageManifestDocument {
    manifest: ImageManifest,
    document: Vec<u8>,
}

impl Loading<'_> {
    /// Keeps the targets of the loaded images that the tarball names.
    pub(super) fn keep_targets(&mut self, images: &[Digest]) -> Result<(), Error> {
        let Some(document) = self.tarball.document("index.json") else { return Ok(()) };
        // A tool may write a file of this name that is no layout's.
        let Ok(index) = serde_json::from_slice::<Index>(document) else { return Ok(()) };
        let mut seen = BTreeSet::new();
        for entry in index.manifests.iter().filter(|entry| !entry.annotations.contains_key(REFERENCE_TYPE)) {
            if seen.insert(entry.digest) {
                self.keep_target(entry, images)?;
            }
        }
        Ok(())
    }

    fn keep_target(&mut self, entry: &Descriptor, images: &[Digest]) -> Result<(), Error> {
        let Some(document) = self.blob_document(&entry.digest) else { return Ok(()) };
        let actual = document.len() as u64;
        if entry.size != actual {
            let (name, expected) = (blob(&entry.digest), entry.size);
            return Err(Inconsistency::WrongSize { name, expected, actual }.into());
        }
        let mut found = Found::default();
        let index = serde_json::from_slice::<Index>(&document).ok();
        match &index {
            Some(index) => self.gather(index, &mut found, 0),
            None => found.take_manifest(document.clone()),
        }
        // A target of which nothing was loaded by name is of no use.
        if !found.manifests.iter().any(|image| images.contains(&image.manifest.config.digest)) {
            return Ok(());
        }
        let attachments: Vec<Vec<u8>> =
            found.attachments.iter().filter_map(|digest| self.blob_document(digest)).collect();
        let form = if index.is_some() { OCI_INDEX } else { OCI_MANIFEST };
        let mut target = NewTarget {
            document: &document,
            media_type: if entry.media_type.is_empty() { form } else { &entry.media_type },
            manifest: &[],
            attachments: &attachments,
            preferred: index
                .as_ref()
                .and_then(|index| index.choose(&Platform::host()).ok())
                .map(|entry| entry.digest),
        };
        for image in &found.manifests {
            if let Some(id) = self.image_of(&image.manifest)? {
                target.manifest = &image.document;
                self.store.add_target(id, &target)?;
                self.kept.push((entry.digest, id));
            }
        }
        Ok(())
    }

    fn gather(&self, index: &Index, found: &mut Found, depth: u32) {
        for entry in &index.manifests {
            if !found.seen.insert(entry.digest) {
                continue;
            }
            let Some(document) = self.blob_document(&entry.digest) else { continue };
            if entry.annotations.contains_key(REFERENCE_TYPE) {
                found.attachments.insert(entry.digest);
                if let Ok(manifest) = serde_json::from_slice::<ImageManifest>(&document) {
                    found.attachments.insert(manifest.config.digest);
                    found.attachments.extend(manifest.layers.iter().map(|layer| layer.digest));
                }
            } else if let Ok(inner) = serde_json::from_slice::<Index>(&document) {
                if depth < DEPTH_LIMIT {
                    found.attachments.insert(entry.digest);
                    self.gather(&inner, found, depth + 1);
                }
            } else {
                found.take_manifest(document);
            }
        }
    }

    /// Makes the image of a manifest, where all of it came or is here.
    fn image_of(&mut self, manifest: &ImageManifest) -> Result<Option<Digest>, Error> {
        let Some(document) = self.blob_document(&manifest.config.digest) else { return Ok(None) };
        let config: ImageConfig = parse(&blob(&manifest.config.digest), &document)?;
        if config.os != "linux"
            || !self.takes(&Platform::of(&config))
            || config.rootfs.diff_ids.len() != manifest.layers.len()
        {
            return Ok(None);
        }
        let Some(layers) = self.layers_here(manifest, &config.rootfs.diff_ids)? else { return Ok(None) };
        self.add_config(&document, &layers, None).map(Some)
    }

    fn blob_document(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.tarball.document(&blob(digest)).map(<[u8]>::to_vec)
    }

    fn layers_here(
        &self,
        manifest: &ImageManifest,
        diff_ids: &[Digest],
    ) -> Result<Option<Vec<Layer>>, Error> {
        let mut layers = Vec::new();
        for (blob_of, expected) in manifest.layers.iter().zip(diff_ids) {
            let name = blob(&blob_of.digest);
            let Some(layer) = self.tarball.layer(&name).cloned().or_else(|| self.store.layer(expected))
            else {
                return Ok(None);
            };
            if layer.diff_id() != *expected {
                let actual = layer.diff_id();
                return Err(Inconsistency::WrongDigest { name, expected: *expected, actual }.into());
            }
            layers.push(layer);
        }
        Ok(Some(layers))
    }
}

impl Found {
    fn take_manifest(&mut self, document: Vec<u8>) {
        if let Ok(manifest) = serde_json::from_slice::<ImageManifest>(&document) {
            self.manifests.push(ImageManifestDocument { manifest, document });
        }
    }
}
