//! Records the index of images that were built here, and reads it again.

use model::{Digest, ImageReference};
use serde::Deserialize;
use serde_json::Value;

use super::compose::{Composed, Part, compose};
use super::image::{Annotations, BuiltImage, BuiltImages, Predicate};
use super::media_types::MediaTypes;
use crate::Error;
use crate::manifests::STATEMENT;
use crate::registry::{
    Descriptor, ImageManifest, Index, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Platform,
};
use crate::store::{Image, NewTarget, Store, Target, Variant, digest_of, parse_document};

/// The fields that are read of a statement.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    predicate_type: String,
    predicate: Value,
}

/// The documents of images that were built together.
pub(crate) struct PlainDocuments {
    /// The manifest of each image, and as it is written.
    pub(crate) manifests: Vec<(ImageManifest, Vec<u8>)>,
    /// The index, where one manifest is not enough.
    pub(crate) index: Option<Vec<u8>>,
    /// The attestations of the index and their parts.
    pub(crate) attachments: Vec<Vec<u8>>,
}

impl Store {
    /// Records the index of images that were built together, or the manifest of one that has annotations, in place of the
    /// records of earlier builds, and gives the main image these names: each leads to what is recorded now, or to the image
    /// alone where that is nothing. Nothing is recorded for one image without statements, and for one that came from
    /// elsewhere without any: it keeps its own target.
    ///
    /// # Errors
    /// `NotFound` when an image is gone, `Internal` when the database fails.
    pub fn record_built(
        &self,
        built: &BuiltImages,
        main: &Digest,
        names: &[ImageReference],
    ) -> Result<Option<Descriptor>, Error> {
        // An index without a name is taken for that of an earlier build.
        let _recording = self.recording();
        let (root, target) = match built.images.as_slice() {
            [only] if self.keeps_its_own(&only.image)? => {
                (None, self.last_target_of(&only.image).map(|target| target.digest))
            }
            _ => {
                let root = self.record_documents(built, names)?;
                let target = root.as_ref().map(|root| root.digest);
                (root, target)
            }
        };
        let tags: Vec<_> = names.iter().map(|name| (name.clone(), *main, target)).collect();
        drop(self.tag_under(&tags)?);
        Ok(root)
    }

    fn record_documents(
        &self,
        built: &BuiltImages,
        names: &[ImageReference],
    ) -> Result<Option<Descriptor>, Error> {
        let PlainDocuments { manifests, index, attachments } =
            self.plain_documents(built, MediaTypes::Oci, names)?;
        let (document, media_type) = match (index, built.images.as_slice()) {
            (Some(index), _) => (Some(index), OCI_INDEX),
            (None, [only]) if !only.annotations.is_empty() => {
                (manifests.first().map(|(_, document)| document.clone()), OCI_MANIFEST)
            }
            (None, _) => (None, OCI_MANIFEST),
        };
        let kept = document.as_deref().map(digest_of);
        for part in &built.images {
            self.forget_former(&part.image, kept, names)?;
        }
        let Some(document) = document else { return Ok(None) };
        for (part, (_, manifest)) in built.images.iter().zip(&manifests) {
            let target = NewTarget {
                document: &document,
                media_type,
                manifest,
                attachments: &attachments,
                preferred: None,
            };
            self.add_target(part.image, &target)?;
        }
        Ok(Some(Descriptor::new(media_type, digest_of(&document), document.len() as u64)))
    }

    /// The documents of images that were built together, with layers that are plain tars.
    ///
    /// # Errors
    /// As [`Store::record_built`].
    pub(crate) fn plain_documents(
        &self,
        built: &BuiltImages,
        types: MediaTypes,
        names: &[ImageReference],
    ) -> Result<PlainDocuments, Error> {
        let (mut manifests, mut parts) = (Vec::new(), Vec::new());
        for part in &built.images {
            let image = self.image(&part.image)?;
            let annotations = part.annotations.clone();
            let manifest = ImageManifest { annotations, ..types.typed(self.plain_manifest(&image)?) };
            let document = encode(&manifest)?;
            let platform = Platform::of(&image.config);
            parts.push(Part { manifest: document.clone(), platform, built: part });
            manifests.push((manifest, document));
        }
        if !built.needs_index() {
            return Ok(PlainDocuments { manifests, index: None, attachments: Vec::new() });
        }
        let Composed { index, attestations } =
            compose(&parts, (types, &built.annotations), names).map_err(unwritten)?;
        let blobs = attestations.into_iter().flat_map(|own| std::iter::once(own.manifest).chain(own.blobs));
        Ok(PlainDocuments { manifests, index: Some(index), attachments: blobs.collect() })
    }

    /// The manifest of an image whose layers are plain tars.
    pub(crate) fn plain_manifest(&self, image: &Image) -> Result<ImageManifest, Error> {
        let config = self.document_of(&image.id, &image.config_digest)?;
        let layers = self.layers(image)?;
        let plain = layers.iter().map(|layer| Descriptor::new(OCI_LAYER, layer.diff_id(), layer.tar_size()));
        Ok(ImageManifest {
            schema_version: 2,
            media_type: OCI_MANIFEST.to_owned(),
            config: Descriptor::new(OCI_CONFIG, image.config_digest, config.len() as u64),
            layers: plain.collect(),
            annotations: Annotations::new(),
        })
    }

    /// The images of an index that was recorded here, or the one of a manifest; `None` for what came from elsewhere.
    ///
    /// # Errors
    /// `Internal` when the database fails.
    pub(crate) fn built_under(&self, target: &Target) -> Result<Option<BuiltImages>, Error> {
        if target.variants.iter().all(|variant| self.is_foreign(&variant.image)) {
            return Ok(None);
        }
        self.read_built(target)
    }

    /// The images of a target that is written as those that are recorded here.
    fn read_built(&self, target: &Target) -> Result<Option<BuiltImages>, Error> {
        match target.media_type.as_str() {
            OCI_INDEX => self.built_index(target),
            OCI_MANIFEST => self.built_manifest(target),
            _ => Ok(None),
        }
    }

    /// The image of a manifest that was recorded for its annotations.
    fn built_manifest(&self, target: &Target) -> Result<Option<BuiltImages>, Error> {
        let [variant] = target.variants.as_slice() else { return Ok(None) };
        let manifest = self.image_manifest(&variant.manifest)?;
        let Some(manifest) = manifest.filter(|manifest| !manifest.annotations.is_empty()) else {
            return Ok(None);
        };
        if manifest.layers.iter().any(|layer| layer.media_type != OCI_LAYER) {
            return Ok(None);
        }
        let image = BuiltImage { annotations: manifest.annotations, ..BuiltImage::new(variant.image) };
        Ok(Some(BuiltImages { images: vec![image], ..BuiltImages::default() }))
    }

    fn built_index(&self, target: &Target) -> Result<Option<BuiltImages>, Error> {
        let Some(document) = self.document(&target.digest)? else { return Ok(None) };
        let index: Index = parse_document(&target.digest.to_string(), &document)?;
        let mut built = Vec::new();
        // In the order of the index, as far as its images are here.
        for entry in &index.manifests {
            let own = |variant: &&Variant| variant.manifest == entry.digest;
            let Some(variant) = target.variants.iter().find(own) else { continue };
            let Some(manifest) = self.image_manifest(&variant.manifest)? else { return Ok(None) };
            if manifest.layers.iter().any(|layer| layer.media_type != OCI_LAYER) {
                return Ok(None);
            }
            let predicates = self.predicates(&index, variant.manifest)?;
            built.push(BuiltImage {
                image: variant.image,
                predicates,
                annotations: manifest.annotations,
                descriptor_annotations: entry.annotations.clone(),
            });
        }
        Ok(Some(BuiltImages { images: built, annotations: index.annotations, ..BuiltImages::default() }))
    }

    fn predicates(&self, index: &Index, of: Digest) -> Result<Vec<Predicate>, Error> {
        let mut predicates = Vec::new();
        for entry in index.attestations_of(of) {
            let manifest = self.image_manifest(&entry.digest)?;
            let layers = manifest.map(|manifest| manifest.layers).unwrap_or_default();
            for layer in layers.iter().filter(|layer| layer.media_type == STATEMENT) {
                let Some(document) = self.document(&layer.digest)? else { continue };
                let statement: Statement = parse_document(&layer.digest.to_string(), &document)?;
                let Statement { predicate_type, predicate } = statement;
                predicates.push(Predicate { kind: predicate_type, content: predicate });
            }
        }
        Ok(predicates)
    }

    /// Removes the indexes that earlier builds recorded of an image, except one and those of tags that are not moved.
    fn forget_former(
        &self,
        image: &Digest,
        kept: Option<Digest>,
        given: &[ImageReference],
    ) -> Result<(), Error> {
        for target in self.targets_of(image) {
            let is_kept = Some(target.digest) == kept || self.is_tagged_beside(&target.digest, given);
            if !is_kept && self.read_built(&target)?.is_some() {
                self.forget_target(&target)?;
            }
        }
        Ok(())
    }
}

fn encode(manifest: &ImageManifest) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(manifest).map_err(unwritten)
}

/// The failure to write a document that was composed.
fn unwritten(source: serde_json::Error) -> Error {
    Error::Document { name: "a manifest".to_owned(), source }
}
