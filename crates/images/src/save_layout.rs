//! Saves images as engines do since API 1.44: an OCI image layout with plain tars as layers, and a `manifest.json` beside
//! it that points to the same blobs (OCI image specification, "Image Layout").

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use model::{Digest, ImageReference, Timestamp};
use serde::Serialize;

use crate::Error;
use crate::registry::{HUB, OCI_INDEX, OCI_MANIFEST, Platform};
use crate::save::{Asked, ManifestItem, line, member, write_file, write_layer};
use crate::store::{ImageRecord, Layer, Store, digest_of};
use crate::tar::Writer;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const BLOBS: &str = "blobs/sha256/";

/// What is to be saved: its layers are held, so that it can be written at any time later.
#[derive(Debug, Default)]
pub struct SavedLayout {
    /// Configs and manifests.
    documents: BTreeMap<Digest, Vec<u8>>,
    layers: BTreeMap<Digest, Layer>,
    index: Vec<Descriptor>,
    manifest: Vec<ManifestItem>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: &'a [Descriptor],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LayoutVersion {
    image_layout_version: &'static str,
}

impl Store {
    /// Prepares images for saving as a layout: a repository's name alone means all its tags, an id no name.
    ///
    /// # Errors
    /// `NotFound` when one is unknown; nothing is written before that is known.
    pub fn save_layout(&self, names: &[impl AsRef<str>]) -> Result<SavedLayout, Error> {
        let mut images: Vec<(Arc<ImageRecord>, Vec<ImageReference>)> = Vec::new();
        for name in names {
            for Asked { image, name } in self.asked(name.as_ref())? {
                let name =
                    name.and_then(|(repository, tag)| ImageReference::from_parts(&repository, &tag).ok());
                let name = name.filter(|name| name.digest.is_none());
                match images.iter_mut().find(|(known, _)| known.id == image.id) {
                    Some((_, names)) => names.extend(name.filter(|name| !names.contains(name))),
                    None => images.push((image, name.into_iter().collect())),
                }
            }
        }
        let mut saved = SavedLayout::default();
        for (image, names) in images {
            self.add_to_layout(&mut saved, &image, &names)?;
        }
        Ok(saved)
    }

    fn add_to_layout(
        &self,
        saved: &mut SavedLayout,
        image: &ImageRecord,
        names: &[ImageReference],
    ) -> Result<(), Error> {
        let document = self.document_of(&image.id, &image.config)?;
        let whole = self.image(&image.id)?;
        let platform = Platform::of(&whole.config);
        let config = saved.document(CONFIG, document);
        let mut layers = Vec::new();
        for layer in self.layers(&whole)? {
            layers.push(Descriptor::new(LAYER, layer.diff_id(), layer.tar_size()));
            saved.layers.insert(layer.diff_id(), layer);
        }
        let tags: Vec<String> = names.iter().map(ToString::to_string).collect();
        saved.manifest.push(ManifestItem {
            config: blob(&config.digest),
            repo_tags: (!tags.is_empty()).then_some(tags),
            layers: layers.iter().map(|layer| blob(&layer.digest)).collect(),
            true_ids: false,
        });
        let manifest = Manifest { schema_version: 2, media_type: OCI_MANIFEST, config, layers };
        let manifest = saved.document(OCI_MANIFEST, line(&manifest)?);
        let manifest = Descriptor {
            platform: Some(platform).filter(|platform| !platform.architecture.is_empty()),
            ..manifest
        };
        let named =
            names.iter().map(|name| Descriptor { annotations: annotations(name), ..manifest.clone() });
        saved.index.extend(named);
        if names.is_empty() {
            saved.index.push(manifest);
        }
        Ok(())
    }
}

/// The names that containerd and other tools find an image by.
fn annotations(name: &ImageReference) -> BTreeMap<&'static str, String> {
    let tag = name.tag_or_latest().to_string();
    let host = name.repository.host().unwrap_or(HUB);
    let path = name.repository.remote_path();
    BTreeMap::from([
        ("io.containerd.image.name", format!("{host}/{path}:{tag}")),
        ("org.opencontainers.image.ref.name", tag),
    ])
}

fn blob(digest: &Digest) -> String {
    format!("{BLOBS}{}", digest.hexadecimal())
}

impl Descriptor {
    const fn new(media_type: &'static str, digest: Digest, size: u64) -> Self {
        Self { media_type, digest, size, annotations: BTreeMap::new(), platform: None }
    }
}

impl SavedLayout {
    fn document(&mut self, media_type: &'static str, document: Vec<u8>) -> Descriptor {
        let (digest, size) = (digest_of(&document), document.len() as u64);
        self.documents.insert(digest, document);
        Descriptor::new(media_type, digest, size)
    }

    /// Writes the tarball.
    ///
    /// # Errors
    /// [`Error::Output`] when a layer cannot be read or `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        let mut writer = Writer::new(out);
        let seconds = Timestamp::now().unix_seconds();
        if self.manifest.is_empty() {
            return writer.finish().map(drop).map_err(Error::Output);
        }
        for directory in ["blobs/", BLOBS] {
            writer.header(&member(directory, b'5', 0o755, seconds)).map_err(Error::Output)?;
        }
        let blobs: BTreeSet<&Digest> = self.documents.keys().chain(self.layers.keys()).collect();
        for digest in blobs {
            match (self.documents.get(digest), self.layers.get(digest)) {
                (Some(document), _) => write_file(&mut writer, &blob(digest), document, seconds)?,
                (None, Some(layer)) => write_layer(&mut writer, &blob(digest), layer, seconds)?,
                (None, None) => {}
            }
        }
        let index = Index { schema_version: 2, media_type: OCI_INDEX, manifests: &self.index };
        write_file(&mut writer, "index.json", &line(&index)?, seconds)?;
        write_file(&mut writer, "manifest.json", &line(&self.manifest)?, seconds)?;
        let version = LayoutVersion { image_layout_version: "1.0.0" };
        write_file(&mut writer, "oci-layout", &line(&version)?, seconds)?;
        writer.finish().map(drop).map_err(Error::Output)
    }
}
