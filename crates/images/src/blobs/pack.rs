//! Packs images that were built here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Cursor, Read};

use model::Digest;

use crate::built::{BuiltImage, Part, compose};
use crate::registry::{
    Cancellation, Descriptor, Form, ImageManifest, ManifestError, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST,
    Platform, RegistryError, Written, write_out,
};
use crate::store::{Store, digest_of};

/// Images as blobs; layers lie in temporary files, which go with this.
#[derive(Debug)]
pub struct PackedImages {
    /// The blobs, each before those that refer to it.
    pub blobs: Vec<PackedBlob>,
    /// The index, the last of them.
    pub index: Descriptor,
}

/// A blob.
#[derive(Debug)]
pub struct PackedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Document(Vec<u8>),
    Layer(Written),
}

impl PackedBlob {
    /// Reads the blob.
    ///
    /// # Errors
    /// What open(2) fails with.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.content {
            Content::Document(document) => Box::new(Cursor::new(document.clone())),
            Content::Layer(layer) => Box::new(File::open(&layer.path)?),
        })
    }

    fn of_document(document: Vec<u8>) -> Self {
        let (digest, size) = (digest_of(&document), document.len() as u64);
        Self { digest, size, content: Content::Document(document) }
    }
}

/// Packs images with their layers in this form; the index lists them in their order.
///
/// # Errors
/// `NotFound` when an image is gone, [`RegistryError::Cancelled`], `Internal` when a layer cannot be read or written.
pub fn pack_built(
    store: &Store,
    built: &[BuiltImage],
    form: Form,
    cancellation: &Cancellation,
) -> Result<PackedImages, RegistryError> {
    let mut layers: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    let mut packed = Packed { blobs: Vec::new(), known: BTreeSet::new() };
    let mut parts = Vec::new();
    for part in built {
        let image = store.image(&part.image)?;
        for layer in store.layers(&image)? {
            if let Entry::Vacant(place) = layers.entry(layer.diff_id()) {
                let written = write_out(store, &layer, form, cancellation)?;
                place.insert(Descriptor::new(form.media_type(), written.digest, written.size));
                let (digest, size) = (written.digest, written.size);
                packed.add(PackedBlob { digest, size, content: Content::Layer(written) });
            }
        }
        let config = store.document_of(&image.id, &image.config_digest)?;
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: OCI_MANIFEST.to_owned(),
            config: Descriptor::new(OCI_CONFIG, image.config_digest, config.len() as u64),
            layers: image.config.rootfs.diff_ids.iter().filter_map(|id| layers.get(id).cloned()).collect(),
        };
        let manifest = serde_json::to_vec(&manifest).map_err(ManifestError::Malformed)?;
        packed.add(PackedBlob::of_document(config));
        packed.add(PackedBlob::of_document(manifest.clone()));
        parts.push(Part { manifest, platform: Platform::of(&image.config), predicates: &part.predicates });
    }
    let composed = compose(&parts, &[]).map_err(ManifestError::Malformed)?;
    for attestation in composed.attestations {
        attestation.blobs.into_iter().for_each(|blob| packed.add(PackedBlob::of_document(blob)));
        packed.add(PackedBlob::of_document(attestation.manifest));
    }
    let index = Descriptor::new(OCI_INDEX, digest_of(&composed.index), composed.index.len() as u64);
    packed.add(PackedBlob::of_document(composed.index));
    Ok(PackedImages { blobs: packed.blobs, index })
}

struct Packed {
    blobs: Vec<PackedBlob>,
    known: BTreeSet<Digest>,
}

impl Packed {
    /// Adds a blob, unless it is there: two tars may be packed into the same one, and images share configs.
    fn add(&mut self, blob: PackedBlob) {
        if self.known.insert(blob.digest) {
            self.blobs.push(blob);
        }
    }
}
