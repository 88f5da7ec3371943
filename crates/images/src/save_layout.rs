//! Saves images as engines do since API 1.44: an OCI image layout, with a `manifest.json` of the same blobs (OCI image
//! specification, "Image Layout").
//!
//! What came from a registry or in a layout is saved as it came: its index, the manifests and blobs of those of its images
//! that are here, and its attestations. Else a manifest is made, whose layers are plain tars.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use model::{Digest, ImageReference, Timestamp};

use crate::built::{Annotations, BuiltImages, PlainDocuments};
use crate::layer::HashingWriter;
use crate::layout_listing::{ArchiveKind, LayoutListing, blob_path};
use crate::registry::{Descriptor, ImageManifest, Index, OCI_CONFIG, OCI_MANIFEST, Platform};
use crate::save::{Asked, line, member, write_file, write_layer};
use crate::store::{Image, ImageRecord, Layer, Store, Target, Variant, digest_of};
use crate::tar::{Member, Writer};
use crate::{Error, store::parse_document};

/// How deep indexes may be nested.
const DEPTH_LIMIT: u32 = 3;

/// The images to be saved: their layers are held, so that they can be written at any time later.
#[derive(Debug, Default)]
pub struct SavedLayout {
    /// Configs and manifests.
    documents: BTreeMap<Digest, Vec<u8>>,
    layers: BTreeMap<Digest, Layer>,
    /// Layers as they came.
    blobs: BTreeMap<Digest, KeptBlob>,
    listing: LayoutListing,
}

/// An image that is to be saved under names that lead to the same.
struct AskedImage {
    image: Arc<ImageRecord>,
    target: Option<Target>,
    names: Vec<ImageReference>,
}

/// A layer's blob in the store, which is there as long as the layer is held.
#[derive(Debug)]
struct KeptBlob {
    digest: Digest,
    path: PathBuf,
    size: u64,
    _layer: Layer,
}

impl Store {
    /// Prepares images for saving as a layout: a repository's name alone means all its tags, an id no name. With platforms,
    /// only those of what each name has here.
    ///
    /// # Errors
    /// `NotFound` when one is unknown or lacks a platform; nothing is written before that is checked.
    pub fn save_layout(
        &self,
        names: &[impl AsRef<str>],
        platforms: &[Platform],
    ) -> Result<SavedLayout, Error> {
        let mut images: Vec<AskedImage> = Vec::new();
        for name in names {
            for Asked { image, name, target } in self.asked(name.as_ref())? {
                let name =
                    name.and_then(|(repository, tag)| ImageReference::from_parts(&repository, &tag).ok());
                let name = name.filter(|name| name.digest.is_none());
                let is_same = |known: &&mut AskedImage| known.image.id == image.id && known.target == target;
                match images.iter_mut().find(is_same) {
                    Some(AskedImage { names, .. }) => names.extend(name.filter(|name| !names.contains(name))),
                    None => images.push(AskedImage { image, target, names: name.into_iter().collect() }),
                }
            }
        }
        let mut saved = SavedLayout::default();
        for asked in images {
            self.add_to_layout(&mut saved, &asked, platforms)?;
        }
        Ok(saved)
    }

    /// Prepares images that were built together for saving as a layout, under names that they need not have, which lead to
    /// `main` in `manifest.json`; what they are listed by gets the annotations.
    ///
    /// # Errors
    /// `NotFound` when one is unknown.
    pub fn layout_of(
        &self,
        built: &BuiltImages,
        main: &Digest,
        names: &[ImageReference],
        (kind, annotations): (ArchiveKind, &Annotations),
    ) -> Result<SavedLayout, Error> {
        let listing = LayoutListing::of(kind, annotations.clone());
        let mut saved = SavedLayout { listing, ..SavedLayout::default() };
        if let [only] = built.images.as_slice()
            && self.keeps_its_own(&only.image)?
        {
            for Asked { image, .. } in self.asked(&only.image.to_string())? {
                let target = self.last_target_of(&image.id);
                self.add_to_layout(&mut saved, &AskedImage { image, target, names: names.to_vec() }, &[])?;
            }
            return Ok(saved);
        }
        let types = built.types.unwrap_or_default();
        let PlainDocuments { manifests, index, attachments } = self.plain_documents(built, types, names)?;
        for (part, (manifest, document)) in built.images.iter().zip(manifests) {
            let image = self.image(&part.image)?;
            saved.document(OCI_CONFIG, self.document_of(&image.id, &image.config_digest)?);
            saved.layers.extend(self.layers(&image)?.into_iter().map(|layer| (layer.diff_id(), layer)));
            let descriptor = saved.document(types.manifest(), document);
            if image.id == *main {
                saved.add_image(&manifest, names);
            }
            if index.is_none() {
                saved.listing.add_names(&with_platform(descriptor, &image), names);
            }
        }
        for attachment in attachments {
            saved.documents.insert(digest_of(&attachment), attachment);
        }
        if let Some(index) = index {
            let descriptor = saved.document(types.index(), index);
            saved.listing.add_names(&descriptor, names);
        }
        Ok(saved)
    }

    fn add_to_layout(
        &self,
        saved: &mut SavedLayout,
        asked: &AskedImage,
        platforms: &[Platform],
    ) -> Result<(), Error> {
        let AskedImage { image, target, names } = asked;
        if platforms.is_empty() {
            let image = self.image(&image.id)?;
            let exact = match target {
                Some(target) => self.add_target_to_layout(saved, target, &image, names)?,
                None => false,
            };
            return if exact { Ok(()) } else { self.add_made(saved, &image, names) };
        }
        for platform in platforms {
            let name = || names.first().map_or_else(|| image.id.to_string(), ToString::to_string);
            let missing = || Error::NoPlatform { name: name(), wanted: platform.to_string() };
            let image = self.platform_of(&image.id, target.as_ref(), platform)?.ok_or_else(missing)?;
            let manifest = target.as_ref().and_then(|target| target.manifest_of(&image.id));
            let variant = manifest.map(|manifest| Variant { manifest, image: image.id });
            let exact = match variant {
                Some(variant) => self.add_variant(saved, variant)?,
                None => None,
            };
            match exact {
                Some((manifest, descriptor)) => {
                    saved.add_image(&manifest, names);
                    saved.listing.add_names(&with_platform(descriptor, &image), names);
                }
                None => self.add_made(saved, &image, names)?,
            }
        }
        Ok(())
    }

    /// Adds what an image came under; whether its blobs could be had as they came.
    fn add_target_to_layout(
        &self,
        saved: &mut SavedLayout,
        target: &Target,
        image: &Image,
        names: &[ImageReference],
    ) -> Result<bool, Error> {
        let Some(manifest) = target.manifest_of(&image.id) else { return Ok(false) };
        let Some(document) = self.document(&target.digest)? else { return Ok(false) };
        let own = Variant { manifest, image: image.id };
        let Some((own_manifest, descriptor)) = self.add_variant(saved, own)? else { return Ok(false) };
        saved.add_image(&own_manifest, names);
        if manifest == target.digest {
            saved.listing.add_names(&with_platform(descriptor, image), names);
            return Ok(true);
        }
        for variant in target.variants.iter().filter(|variant| variant.image != image.id) {
            let _ = self.add_variant(saved, *variant)?;
        }
        self.add_listed(saved, &document, 0)?;
        saved.documents.insert(target.digest, document);
        saved.listing.add_names(&Descriptor::new(&target.media_type, target.digest, target.size), names);
        Ok(true)
    }

    /// Adds the manifest, the config and the blobs of an image; `None` when they cannot be had as they came.
    fn add_variant(
        &self,
        saved: &mut SavedLayout,
        variant: Variant,
    ) -> Result<Option<(ImageManifest, Descriptor)>, Error> {
        let Some(document) = self.document(&variant.manifest)? else { return Ok(None) };
        let manifest: ImageManifest = parse_document(&variant.manifest.to_string(), &document)?;
        let layers = self.layers(&self.image(&variant.image)?)?;
        let Some(config) = self.document(&manifest.config.digest)? else { return Ok(None) };
        if layers.len() != manifest.layers.len() {
            return Ok(None);
        }
        let is_had = |(layer, blob): (&Layer, &Descriptor)| {
            blob.digest == layer.diff_id() || layer.kept_blob(blob.digest).is_some()
        };
        if !layers.iter().zip(&manifest.layers).all(is_had) {
            return Ok(None);
        }
        for (layer, blob) in layers.into_iter().zip(&manifest.layers) {
            match layer.kept_blob(blob.digest) {
                Some(path) => {
                    let kept = KeptBlob { digest: blob.digest, path, size: blob.size, _layer: layer };
                    saved.blobs.insert(blob.digest, kept);
                }
                None => drop(saved.layers.insert(blob.digest, layer)),
            }
        }
        saved.documents.insert(manifest.config.digest, config);
        let kind = if manifest.media_type.is_empty() { OCI_MANIFEST } else { &manifest.media_type };
        let descriptor = Descriptor::new(kind, variant.manifest, document.len() as u64);
        saved.documents.insert(variant.manifest, document);
        Ok(Some((manifest, descriptor)))
    }

    /// Adds the documents that an index lists and that are kept: inner indexes, attestations and their parts.
    fn add_listed(&self, saved: &mut SavedLayout, index: &[u8], depth: u32) -> Result<(), Error> {
        let Ok(index) = serde_json::from_slice::<Index>(index) else { return Ok(()) };
        for entry in index.manifests {
            if saved.documents.contains_key(&entry.digest) {
                continue;
            }
            let Some(document) = self.document(&entry.digest)? else { continue };
            saved.documents.insert(entry.digest, document.clone());
            if let Ok(manifest) = serde_json::from_slice::<ImageManifest>(&document) {
                for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
                    if let Some(part_document) = self.document(&part.digest)? {
                        saved.documents.insert(part.digest, part_document);
                    }
                }
            } else if depth < DEPTH_LIMIT {
                self.add_listed(saved, &document, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Adds an image with a manifest that is made for it.
    fn add_made(
        &self,
        saved: &mut SavedLayout,
        image: &Image,
        names: &[ImageReference],
    ) -> Result<(), Error> {
        let document = self.document_of(&image.id, &image.config_digest)?;
        let manifest = self.plain_manifest(image)?;
        saved.document(OCI_CONFIG, document);
        saved.layers.extend(self.layers(image)?.into_iter().map(|layer| (layer.diff_id(), layer)));
        saved.add_image(&manifest, names);
        let manifest = saved.document(OCI_MANIFEST, line(&manifest)?);
        saved.listing.add_names(&with_platform(manifest, image), names);
        Ok(())
    }
}

/// A manifest's descriptor with its image's platform.
fn with_platform(descriptor: Descriptor, image: &Image) -> Descriptor {
    let platform = Some(Platform::of(&image.config)).filter(|platform| !platform.architecture.is_empty());
    Descriptor { platform, ..descriptor }
}

impl KeptBlob {
    fn write(&self, writer: &mut Writer<&mut dyn Write>, name: &str, seconds: i64) -> Result<(), Error> {
        let header = Member { size: self.size, ..member(name, b'0', 0o644, seconds) };
        let mut file = File::open(&self.path).map_err(Error::file("open", &self.path))?;
        writer.header(&header).map_err(Error::Output)?;
        let mut out = HashingWriter::new(writer.out());
        io::copy(&mut file, &mut out).map_err(Error::Output)?;
        if out.finish().map_err(Error::Output)? != (self.digest, self.size) {
            // The next time the layer is saved with a manifest that is made for it.
            let _ = std::fs::remove_file(&self.path);
            let text = format!("{} is not what it was kept as", self.path.display());
            return Err(Error::Output(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        writer.pad(self.size).map_err(Error::Output)
    }
}

impl SavedLayout {
    /// Adds an image to `manifest.json`.
    fn add_image(&mut self, manifest: &ImageManifest, names: &[ImageReference]) {
        let layers = manifest.layers.iter().map(|layer| &layer.digest);
        self.listing.add_image(&manifest.config.digest, layers, names);
    }

    fn document(&mut self, media_type: &str, document: Vec<u8>) -> Descriptor {
        let (digest, size) = (digest_of(&document), document.len() as u64);
        self.documents.insert(digest, document);
        Descriptor::new(media_type, digest, size)
    }

    /// What was listed last, without a name.
    #[must_use]
    pub const fn root(&self) -> Option<&Descriptor> {
        self.listing.root()
    }

    /// Writes the tarball.
    ///
    /// # Errors
    /// [`Error::Output`] when a layer cannot be read or `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        let mut writer = Writer::new(out);
        let seconds = Timestamp::now().unix_seconds();
        if self.listing.is_empty() {
            return writer.finish().map(drop).map_err(Error::Output);
        }
        LayoutListing::write_directories(&mut writer, seconds)?;
        let layers = self.layers.keys().chain(self.blobs.keys());
        let blobs: BTreeSet<&Digest> = self.documents.keys().chain(layers).collect();
        for digest in blobs {
            let name = blob_path(digest);
            if let Some(document) = self.documents.get(digest) {
                write_file(&mut writer, &name, document, seconds)?;
            } else if let Some(kept) = self.blobs.get(digest) {
                kept.write(&mut writer, &name, seconds)?;
            } else if let Some(layer) = self.layers.get(digest) {
                write_layer(&mut writer, &name, layer, seconds)?;
            }
        }
        self.listing.write(&mut writer, seconds)?;
        writer.finish().map(drop).map_err(Error::Output)
    }
}
