//! Pushes what an image came under, byte for byte: its manifest, or the index with all that it lists.
//!
//! An index can be pushed when each manifest of it can be sent from here or is in the repository already. Where that is not
//! so and one of its images is here, the manifest of that image is pushed in its place, as dockerd 29.8 does.

use std::collections::BTreeSet;

use model::Digest;

use super::layer::Layers;
use super::send;
use crate::registry::error::RegistryError;
use crate::registry::manifest::{Descriptor, ImageManifest, Index, Manifest, ManifestError};
use crate::registry::parallel::for_each;
use crate::registry::progress::Message;
use crate::store::Variant;
use crate::{Layer, Target};

/// How deep indexes may be nested.
const DEPTH_LIMIT: u32 = 3;

/// A document that was put under the name.
pub(super) struct Sent {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) document: Vec<u8>,
}

/// The entries that were visited: a hostile index lists one many times.
struct Seen {
    entries: BTreeSet<Digest>,
    /// How many indexes lead to the current one.
    depth: u32,
}

/// Pushes to one repository what came from one.
pub(super) struct Exact<'a> {
    pub(super) layers: &'a Layers<'a>,
}

impl Exact<'_> {
    /// Pushes a target under a tag or its digest; `None` when its bytes cannot be had again.
    pub(super) fn target(&self, target: &Target, label: &str) -> Result<Option<Sent>, RegistryError> {
        let Some(document) = self.document(target.digest)? else { return Ok(None) };
        if let [variant] = target.variants.as_slice()
            && variant.manifest == target.digest
        {
            return self.variant(*variant, label);
        }
        let index: Index = serde_json::from_slice(&document).map_err(ManifestError::Malformed)?;
        let missing = self.index(&index, target, &mut Seen { entries: BTreeSet::new(), depth: 0 })?;
        if missing.is_empty() {
            let digest = send::manifest(self.layers.session, label, &target.media_type, &document)?;
            return Ok(Some(Sent { digest, media_type: target.media_type.clone(), document }));
        }
        let [variant] = target.variants.as_slice() else {
            return Err(RegistryError::MissingPlatforms { index: target.digest, missing });
        };
        let sent = self.variant(*variant, label)?;
        if sent.is_some() {
            let text = "Not all multiplatform-content is present and only the available single-platform image was pushed";
            self.layers
                .progress
                .report(Message::line(format!("{text}\n{} -> {}", target.digest, variant.manifest)));
        }
        Ok(sent)
    }

    /// Pushes the manifest of one image.
    pub(super) fn variant(&self, variant: Variant, label: &str) -> Result<Option<Sent>, RegistryError> {
        let Some(document) = self.document(variant.manifest)? else { return Ok(None) };
        let Manifest::Image(manifest) = Manifest::parse(None, &document)? else { return Ok(None) };
        if !self.image(&manifest, variant.image)? {
            return Ok(None);
        }
        let media_type = Manifest::Image(manifest).media_type(&document)?;
        let digest = send::manifest(self.layers.session, label, &media_type, &document)?;
        Ok(Some(Sent { digest, media_type, document }))
    }

    /// Has the layers and the config of an image in the repository; whether all could be had byte for byte.
    fn image(&self, manifest: &ImageManifest, image: Digest) -> Result<bool, RegistryError> {
        let store = self.layers.store;
        let held = store.layers(&store.image(&image)?)?;
        if held.len() != manifest.layers.len() {
            return Ok(false);
        }
        let mut distinct: Vec<(&Layer, &Descriptor)> = Vec::with_capacity(held.len());
        for (layer, blob) in held.iter().zip(&manifest.layers) {
            if !distinct.iter().any(|(_, other)| other.digest == blob.digest) {
                distinct.push((layer, blob));
            }
        }
        let transport = self.layers.session.transport();
        let threads = transport.settings().parallel_uploads.max(1);
        let had = for_each(&distinct, threads, transport.cancellation(), |(layer, blob)| {
            self.layers.push_exactly(layer, blob)
        })?;
        Ok(had.into_iter().all(|had| had) && self.blob(&manifest.config)?)
    }

    /// Has all that an index lists in the repository; returns what cannot be had.
    fn index(&self, index: &Index, target: &Target, seen: &mut Seen) -> Result<Vec<Digest>, RegistryError> {
        let mut missing = Vec::new();
        for entry in &index.manifests {
            if seen.entries.insert(entry.digest) && !self.entry(entry, target, seen)? {
                missing.push(entry.digest);
            }
        }
        Ok(missing)
    }

    fn entry(&self, entry: &Descriptor, target: &Target, seen: &mut Seen) -> Result<bool, RegistryError> {
        let label = entry.digest.to_string();
        if let Some(variant) = target.variants.iter().find(|variant| variant.manifest == entry.digest)
            && self.variant(*variant, &label)?.is_some()
        {
            return Ok(true);
        }
        let session = self.layers.session;
        if send::has_manifest(session, entry.digest)? {
            return Ok(true);
        }
        let Some(document) = self.document(entry.digest)? else { return Ok(false) };
        let has_parts = if let Ok(Manifest::Index(inner)) = Manifest::parse(None, &document) {
            seen.depth += 1;
            let is_whole = seen.depth <= DEPTH_LIMIT && self.index(&inner, target, seen)?.is_empty();
            seen.depth -= 1;
            is_whole
        } else {
            self.parts(&document)?
        };
        if has_parts {
            send::manifest(session, &label, &entry.media_type, &document)?;
        }
        Ok(has_parts)
    }

    /// Has the documents that an attestation consists of in the repository.
    fn parts(&self, document: &[u8]) -> Result<bool, RegistryError> {
        let manifest: ImageManifest = serde_json::from_slice(document).map_err(ManifestError::Malformed)?;
        for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
            if !self.blob(part)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn blob(&self, blob: &Descriptor) -> Result<bool, RegistryError> {
        let Some(content) = self.document(blob.digest)? else { return Ok(false) };
        send::blob(self.layers.session, blob.digest, &content)?;
        Ok(true)
    }

    fn document(&self, digest: Digest) -> Result<Option<Vec<u8>>, RegistryError> {
        Ok(self.layers.store.document(&digest)?)
    }
}
