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

/// Packs images, one blob after the other: no more than one layer at once lies in a temporary file.
#[derive(Debug)]
pub struct Packer<'a> {
    /// Where the images are.
    pub store: &'a Store,
    /// What their layers become.
    pub form: Form,
    /// Stops the work.
    pub cancellation: &'a Cancellation,
}

impl Packer<'_> {
    /// Packs images and hands their blobs out, each before those that refer to it; gives the index, which lists them in their
    /// order and is the last blob.
    ///
    /// # Errors
    /// `NotFound` when an image is gone, [`RegistryError::Cancelled`], `Internal` when a layer cannot be read or written;
    /// what `send` fails with.
    pub fn pack<E: From<RegistryError>>(
        &self,
        built: &[BuiltImage],
        send: impl FnMut(PackedBlob) -> Result<(), E>,
    ) -> Result<Descriptor, E> {
        let mut out = Out { send, sent: BTreeSet::new() };
        let mut layers: BTreeMap<Digest, Descriptor> = BTreeMap::new();
        let mut parts = Vec::new();
        for part in built {
            let image = self.store.image(&part.image).map_err(RegistryError::from)?;
            for layer in self.store.layers(&image).map_err(RegistryError::from)? {
                if let Entry::Vacant(place) = layers.entry(layer.diff_id()) {
                    place.insert(
                        out.layer(write_out(self.store, &layer, self.form, self.cancellation)?, self.form)?,
                    );
                }
            }
            let config =
                self.store.document_of(&image.id, &image.config_digest).map_err(RegistryError::from)?;
            let manifest = ImageManifest {
                schema_version: 2,
                media_type: OCI_MANIFEST.to_owned(),
                config: Descriptor::new(OCI_CONFIG, image.config_digest, config.len() as u64),
                layers: image
                    .config
                    .rootfs
                    .diff_ids
                    .iter()
                    .filter_map(|id| layers.get(id).cloned())
                    .collect(),
            };
            let manifest = serde_json::to_vec(&manifest).map_err(malformed)?;
            out.document(config)?;
            out.document(manifest.clone())?;
            parts.push(Part {
                manifest,
                platform: Platform::of(&image.config),
                predicates: &part.predicates,
            });
        }
        let composed = compose(&parts, &[]).map_err(malformed)?;
        for attestation in composed.attestations {
            attestation.blobs.into_iter().try_for_each(|blob| out.document(blob))?;
            out.document(attestation.manifest)?;
        }
        let index = Descriptor::new(OCI_INDEX, digest_of(&composed.index), composed.index.len() as u64);
        out.document(composed.index)?;
        Ok(index)
    }
}

fn malformed(error: serde_json::Error) -> RegistryError {
    ManifestError::Malformed(error).into()
}

/// Hands blobs out.
struct Out<S> {
    send: S,
    sent: BTreeSet<Digest>,
}

impl<E, S: FnMut(PackedBlob) -> Result<(), E>> Out<S> {
    fn layer(&mut self, written: Written, form: Form) -> Result<Descriptor, E> {
        let (digest, size) = (written.digest, written.size);
        self.blob(PackedBlob { digest, size, content: Content::Layer(written) })?;
        Ok(Descriptor::new(form.media_type(), digest, size))
    }

    fn document(&mut self, document: Vec<u8>) -> Result<(), E> {
        self.blob(PackedBlob::of_document(document))
    }

    /// Hands a blob out, unless that was done: two tars may be packed into the same one, and images share configs.
    fn blob(&mut self, blob: PackedBlob) -> Result<(), E> {
        if self.sent.insert(blob.digest) { (self.send)(blob) } else { Ok(()) }
    }
}
