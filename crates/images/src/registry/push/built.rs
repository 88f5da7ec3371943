//! Pushes images that were built here together with their statements: their layers compressed, under an index that is
//! composed for them.

use model::{Digest, ImageReference};

use super::exact::Sent;
use super::{Push, send};
use crate::built::{Attestation, BuiltImage, BuiltImages, Composed, MediaTypes, Part, compose};
use crate::registry::error::RegistryError;
use crate::registry::manifest::{ImageManifest, ManifestError, OCI_MANIFEST, Platform};
use crate::store::digest_of;

impl Push<'_> {
    /// Pushes images and their statements, under a tag: an index, or the manifest where that is enough.
    pub(super) fn built(&self, label: &str, built: &BuiltImages) -> Result<Sent, RegistryError> {
        match built.images.as_slice() {
            [only] if !built.needs_index() => {
                let types = built.types.unwrap_or_default();
                let document = self.annotated(only, types)?;
                let digest = send::manifest(self.session, label, types.manifest(), &document)?;
                Ok(Sent { digest, media_type: types.manifest().to_owned(), document })
            }
            _ => self.index(label, built),
        }
    }

    /// Pushes images under a tag as an index in any case.
    pub(super) fn index(&self, label: &str, built: &BuiltImages) -> Result<Sent, RegistryError> {
        let types = built.types.unwrap_or_default();
        let mut parts = Vec::new();
        for part in &built.images {
            let platform = Platform::of(&self.request.store.image(&part.image)?.config);
            parts.push(Part { manifest: self.annotated(part, types)?, platform, built: part });
        }
        let composed = compose(&parts, (types, &built.annotations), &self.named(label));
        let composed = composed.map_err(ManifestError::Malformed)?;
        for part in &parts {
            self.put(types.manifest(), &part.manifest)?;
        }
        let Composed { index, attestations } = composed;
        for Attestation { manifest, blobs } in &attestations {
            blobs.iter().try_for_each(|blob| send::blob(self.session, digest_of(blob), blob))?;
            self.put(OCI_MANIFEST, manifest)?;
        }
        let digest = send::manifest(self.session, label, types.index(), &index)?;
        Ok(Sent { digest, media_type: types.index().to_owned(), document: index })
    }

    /// Has the blobs of an image in the repository; returns its manifest.
    fn annotated(&self, built: &BuiltImage, types: MediaTypes) -> Result<Vec<u8>, RegistryError> {
        let manifest = self.manifest(&built.image, types)?;
        let manifest = ImageManifest { annotations: built.annotations.clone(), ..manifest };
        Ok(serde_json::to_vec(&manifest).map_err(ManifestError::Malformed)?)
    }

    /// Puts a manifest under its digest.
    fn put(&self, media_type: &str, manifest: &[u8]) -> Result<Digest, RegistryError> {
        send::manifest(self.session, &digest_of(manifest).to_string(), media_type, manifest)
    }

    /// The image's names in statements.
    fn named(&self, label: &str) -> Vec<ImageReference> {
        ImageReference::from_parts(&self.request.reference.repository.to_string(), label)
            .into_iter()
            .collect()
    }
}
