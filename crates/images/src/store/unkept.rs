//! Blobs of layers that belong to no image any more: the layer stays, for others that are made on it, and its blob would
//! take the disk for nothing.

use std::collections::BTreeSet;

use model::Digest;
use rusqlite::Connection;
use serde::Deserialize;

use super::kept::kept_blobs_of;
use super::stored::{Stored, blob_name};
use super::{Index, LayerKey, Shared, documents};
use crate::Error;

/// The relevant fields of a manifest.
#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
}

impl Shared {
    /// Drops the blobs beside these layers that the manifest of no image names. A layer that is held keeps them: an image that
    /// is being received has no manifest yet. A failure leaves them, and is logged.
    pub(crate) fn drop_unnamed_blobs(&self, layers: &BTreeSet<LayerKey>) {
        // Held to the end: no image gets its manifest meanwhile.
        let database = self.database();
        let candidates: Vec<&LayerKey> = {
            let index = self.index();
            layers.iter().filter(|layer| may_lose_blobs(&index, layer)).collect()
        };
        // Most removals need no check of the other images.
        if candidates.is_empty() {
            return;
        }
        let dropped =
            self.manifests_with(&candidates).iter().try_fold(BTreeSet::new(), |mut named, digest| {
                named.extend(layers_of_manifest(&database, digest)?);
                Ok(named)
            });
        let dropped = dropped.and_then(|named| {
            candidates.iter().try_for_each(|layer| self.drop_all_but(&database, layer, &named))
        });
        if let Err(error) = dropped {
            tracing::warn!(%error, "unused blobs of layers stay on disk");
        }
    }

    fn drop_all_but(
        &self,
        database: &Connection,
        layer: &LayerKey,
        named: &BTreeSet<Digest>,
    ) -> Result<(), Error> {
        for (digest, _) in
            kept_blobs_of(database, layer)?.into_iter().filter(|(kept, _)| !named.contains(kept))
        {
            let index = self.index_mut();
            // A pull that uses the layer from here on finds no blob, and brings one.
            if !may_lose_blobs(&index, layer) {
                return Ok(());
            }
            let _ = std::fs::remove_file(self.layer_path(layer).join(blob_name(digest)));
            drop(index);
            self.record_kept_blob(database, layer, digest, None)?;
            // The next pull brings it again.
            let forget = "DELETE FROM layer_blobs WHERE digest = ?";
            database.execute(forget, [Stored(digest)]).map_err(Error::database("forget a layer's blob"))?;
        }
        Ok(())
    }

    /// The manifests of the images that have one of these layers.
    fn manifests_with(&self, layers: &[&LayerKey]) -> BTreeSet<Digest> {
        let index = self.index();
        let has_one = |image: &super::ImageRecord| image.layers.iter().any(|layer| layers.contains(&layer));
        let images = index.images.values().filter(|image| has_one(image));
        let manifests = images
            .flat_map(|image| index.targets.of(&image.id).filter_map(|target| target.manifest_of(&image.id)));
        manifests.collect()
    }
}

/// Whether a layer keeps blobs, stays, and is not held.
fn may_lose_blobs(index: &Index, layer: &LayerKey) -> bool {
    let record = index.layers.get(layer);
    record.is_some_and(|record| record.kept > 0 && record.leases == 0 && record.references > 0)
}

fn layers_of_manifest(database: &Connection, digest: &Digest) -> Result<Vec<Digest>, Error> {
    let document = documents::read(database, digest)?;
    let manifest = document.and_then(|document| serde_json::from_slice::<Manifest>(&document).ok());
    let layers = manifest.map(|manifest| manifest.layers).unwrap_or_default();
    Ok(layers.into_iter().map(|layer| layer.digest).collect())
}
