//! Blobs beside layers that no image came as any more: the layer stays, for others that are made on it, and its blob would
//! take the disk for nothing.

use std::collections::BTreeSet;

use model::Digest;
use rusqlite::OptionalExtension;
use serde::Deserialize;

use super::database::{Stored, blob_name};
use super::{LayerKey, Shared};
use crate::Error;

/// What of a manifest is of interest.
#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
}

impl Shared {
    /// Drops the blobs beside these layers that the manifest of no image names. A layer that somebody holds keeps them: what is
    /// coming just now has no manifest yet. A failure leaves them, and is told in the log.
    pub(super) fn drop_unnamed_blobs(&self, layers: &BTreeSet<LayerKey>) {
        for layer in layers {
            if let Err(error) = self.drop_unnamed_blobs_of(layer) {
                tracing::warn!(%layer, %error, "blobs that are of no use stay beside a layer");
            }
        }
    }

    fn drop_unnamed_blobs_of(&self, layer: &LayerKey) -> Result<(), Error> {
        let Some(manifests) = self.manifests_with(layer) else { return Ok(()) };
        let mut named = BTreeSet::new();
        for manifest in manifests {
            named.extend(self.layers_of_manifest(&manifest)?);
        }
        let kept = self.kept_blobs_of(layer).map_err(Error::database("read what is kept of a layer"))?;
        for (digest, _) in kept.into_iter().filter(|(digest, _)| !named.contains(digest)) {
            let _ = std::fs::remove_file(self.layer_path(layer).join(blob_name(digest)));
            self.record_kept_blob(layer, digest, None)?;
            // Nobody else has it, as far as is known.
            let forget = "DELETE FROM layer_blobs WHERE digest = ? AND repository = ''";
            let forgotten = self.database().execute(forget, [Stored(digest)]);
            forgotten.map_err(Error::database("forget a layer's blob"))?;
        }
        Ok(())
    }

    /// The manifests of the images that have a layer; `None` where it keeps nothing, is gone or is held.
    fn manifests_with(&self, layer: &LayerKey) -> Option<Vec<Digest>> {
        let index = self.index();
        index
            .layers
            .get(layer)
            .filter(|layer| layer.kept > 0 && layer.leases == 0 && layer.references > 0)?;
        let images = index.images.values().filter(|image| image.layers.contains(layer));
        let manifests = images
            .flat_map(|image| index.targets.of(&image.id).filter_map(|target| target.manifest_of(&image.id)));
        Some(manifests.collect())
    }

    fn layers_of_manifest(&self, digest: &Digest) -> Result<Vec<Digest>, Error> {
        let document: Option<Vec<u8>> = self
            .database()
            .prepare_cached("SELECT content FROM documents WHERE digest = ?")
            .and_then(|mut select| select.query_row([Stored(*digest)], |row| row.get(0)).optional())
            .map_err(Error::database("read a document"))?;
        let manifest = document.and_then(|document| serde_json::from_slice::<Manifest>(&document).ok());
        let layers = manifest.map(|manifest| manifest.layers).unwrap_or_default();
        Ok(layers.into_iter().map(|layer| layer.digest).collect())
    }
}
