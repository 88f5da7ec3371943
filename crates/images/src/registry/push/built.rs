//! Pushes images that were built here together with what is said of their making: their layers compressed, under an index
//! that is composed for them.

use model::{Digest, ImageReference};

use super::exact::Sent;
use super::{ManifestTypes, Push, send};
use crate::BuiltImage;
use crate::built::{Attestation, Composed, Part, compose};
use crate::registry::error::RegistryError;
use crate::registry::manifest::{
    ManifestError, OCI_CONFIG, OCI_GZIP_LAYER, OCI_INDEX, OCI_MANIFEST, Platform,
};
use crate::store::digest_of;

/// The names of the OCI image specification: an index of it lists no other manifests.
const OCI: ManifestTypes =
    ManifestTypes { manifest: OCI_MANIFEST, config: OCI_CONFIG, layer: OCI_GZIP_LAYER };

impl Push<'_> {
    /// Pushes images and what is said of them, under a tag.
    pub(super) fn built(&self, label: &str, built: &[BuiltImage]) -> Result<Sent, RegistryError> {
        let mut parts = Vec::new();
        for part in built {
            let manifest = self.manifest(&part.image, &OCI)?;
            let manifest = serde_json::to_vec(&manifest).map_err(ManifestError::Malformed)?;
            let platform = Platform::of(&self.request.store.image(&part.image)?.config);
            parts.push(Part { manifest, platform, predicates: &part.predicates });
        }
        let composed = compose(&parts, &self.named(label)).map_err(ManifestError::Malformed)?;
        for part in &parts {
            self.put(&part.manifest)?;
        }
        let Composed { index, attestations } = composed;
        for Attestation { manifest, blobs } in &attestations {
            blobs.iter().try_for_each(|blob| send::blob(self.session, digest_of(blob), blob))?;
            self.put(manifest)?;
        }
        let digest = send::manifest(self.session, label, OCI_INDEX, &index)?;
        Ok(Sent { digest, media_type: OCI_INDEX.to_owned(), document: index })
    }

    /// Puts a manifest under its digest.
    fn put(&self, manifest: &[u8]) -> Result<Digest, RegistryError> {
        send::manifest(self.session, &digest_of(manifest).to_string(), OCI_MANIFEST, manifest)
    }

    /// What the statements call the image.
    fn named(&self, label: &str) -> Vec<ImageReference> {
        ImageReference::from_parts(&self.request.reference.repository.to_string(), label)
            .into_iter()
            .collect()
    }
}
