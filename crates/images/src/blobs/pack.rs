//! Packs images that were built here into blobs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Cursor, Read};

use model::{Digest, ImageReference};

use crate::built::{BuiltImage, BuiltImages, MediaTypes, Part, compose};
use crate::registry::{
    Cancellation, Descriptor, Form, ImageManifest, ManifestError, OCI_CONFIG, OCI_MANIFEST, Platform,
    RegistryError, Written, write_out,
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

/// The kind of the root blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// An index in any case.
    Index,
    /// The manifest, where one is enough.
    Manifest,
}

/// The result of packing.
#[derive(Debug)]
pub struct Packed {
    /// The index, or the manifest where that was enough: the last blob.
    pub root: Descriptor,
    /// The manifests of the images, in their order.
    pub(super) manifests: Vec<ImageManifest>,
}

/// Packs images, one blob after the other: no more than one layer at once lies in a temporary file.
#[derive(Debug)]
pub struct Packer<'a> {
    /// Where the images are.
    pub store: &'a Store,
    /// The form of their layers.
    pub form: Form,
    /// The digest under which one image without attestations is listed.
    pub root: Root,
    /// The images' names in statements.
    pub names: &'a [ImageReference],
    /// Stops the work.
    pub cancellation: &'a Cancellation,
}

impl Packer<'_> {
    /// Packs images and sends their blobs, each before those that refer to it.
    ///
    /// # Errors
    /// `NotFound` when an image is gone, [`RegistryError::Cancelled`], `Internal` when a layer cannot be read or written;
    /// what `send` fails with.
    pub fn pack<E: From<RegistryError>>(
        &self,
        built: &BuiltImages,
        send: impl FnMut(PackedBlob) -> Result<(), E>,
    ) -> Result<Packed, E> {
        let mut out = Out { send, sent: BTreeSet::new(), layers: BTreeMap::new() };
        let types = built.types.unwrap_or_default();
        let (mut parts, mut manifests) = (Vec::new(), Vec::new());
        for image in &built.images {
            let (part, manifest) = self.pack_image(image, types, &mut out)?;
            parts.push(part);
            manifests.push(manifest);
        }
        if let ([only], Root::Manifest, false) = (parts.as_slice(), self.root, built.needs_index()) {
            let size = only.manifest.len() as u64;
            let root = Descriptor::new(types.manifest(), digest_of(&only.manifest), size);
            let root = Descriptor { platform: Some(only.platform.clone()), ..root };
            return Ok(Packed { root, manifests });
        }
        let composed = compose(&parts, (types, &built.annotations), self.names).map_err(malformed)?;
        for attestation in composed.attestations {
            attestation.blobs.into_iter().try_for_each(|blob| out.document(blob))?;
            out.document(attestation.manifest)?;
        }
        let root = Descriptor::new(types.index(), digest_of(&composed.index), composed.index.len() as u64);
        out.document(composed.index)?;
        Ok(Packed { root, manifests })
    }

    fn pack_image<'b, E: From<RegistryError>, S: FnMut(PackedBlob) -> Result<(), E>>(
        &self,
        built: &'b BuiltImage,
        types: MediaTypes,
        out: &mut Out<S>,
    ) -> Result<(Part<'b>, ImageManifest), E> {
        let image = self.store.image(&built.image).map_err(RegistryError::from)?;
        let mut layers = Vec::new();
        for layer in self.store.layers(&image).map_err(RegistryError::from)? {
            layers.push(match out.layers.get(&layer.diff_id()) {
                Some(known) => known.clone(),
                None => {
                    let written = write_out(self.store, &layer, self.form, self.cancellation)?;
                    out.layer(layer.diff_id(), written, self.form)?
                }
            });
        }
        let config = self.store.document_of(&image.id, &image.config_digest).map_err(RegistryError::from)?;
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: OCI_MANIFEST.to_owned(),
            config: Descriptor::new(OCI_CONFIG, image.config_digest, config.len() as u64),
            layers,
            annotations: built.annotations.clone(),
        };
        let manifest = types.typed(manifest);
        let document = serde_json::to_vec(&manifest).map_err(malformed)?;
        out.document(config)?;
        out.document(document.clone())?;
        Ok((Part { manifest: document, platform: Platform::of(&image.config), built }, manifest))
    }
}

fn malformed(error: serde_json::Error) -> RegistryError {
    ManifestError::Malformed(error).into()
}

/// Sends blobs.
struct Out<S> {
    send: S,
    sent: BTreeSet<Digest>,
    /// The layers that were packed, by the digests of their tars.
    layers: BTreeMap<Digest, Descriptor>,
}

impl<E, S: FnMut(PackedBlob) -> Result<(), E>> Out<S> {
    fn layer(&mut self, diff_id: Digest, written: Written, form: Form) -> Result<Descriptor, E> {
        let (digest, size) = (written.digest, written.size);
        self.blob(PackedBlob { digest, size, content: Content::Layer(written) })?;
        let descriptor = Descriptor::new(form.media_type(), digest, size);
        self.layers.insert(diff_id, descriptor.clone());
        Ok(descriptor)
    }

    fn document(&mut self, document: Vec<u8>) -> Result<(), E> {
        self.blob(PackedBlob::of_document(document))
    }

    /// Sends a blob, unless that was done: two tars may be packed into the same one, and images share configs.
    fn blob(&mut self, blob: PackedBlob) -> Result<(), E> {
        if self.sent.insert(blob.digest) { (self.send)(blob) } else { Ok(()) }
    }
}
