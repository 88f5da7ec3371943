//! The listing of an image layout: its `index.json`, and the `manifest.json` with the same blobs (OCI image specification,
//! "Image Layout").

use std::collections::BTreeMap;
use std::io::Write;

use model::{Digest, ImageReference};
use serde::Serialize;

use crate::Error;
use crate::built::Annotations;
use crate::registry::{Descriptor, HUB, OCI_INDEX};
use crate::save::{ManifestItem, line, member, write_file};
use crate::tar::Writer;

const BLOBS: &str = "blobs/sha256/";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LayoutIndex<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: &'a [Descriptor],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LayoutVersion {
    image_layout_version: &'static str,
}

/// The kind of an archive of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArchiveKind {
    /// Docker's: an image layout with a `manifest.json` beside it.
    #[default]
    Docker,
    /// An image layout alone.
    Oci,
}

/// The listing of a layout.
#[derive(Debug, Default)]
pub(crate) struct LayoutListing {
    kind: ArchiveKind,
    index: Vec<Descriptor>,
    manifest: Vec<ManifestItem>,
    /// The annotations of each manifest and index in the list.
    annotations: Annotations,
    /// What was listed last, without a name.
    root: Option<Descriptor>,
}

impl LayoutListing {
    /// An empty listing, whose manifests and indexes get annotations with their names.
    pub(crate) fn of(kind: ArchiveKind, annotations: Annotations) -> Self {
        Self { kind, annotations, ..Self::default() }
    }

    /// What was listed last, without a name.
    pub(crate) const fn root(&self) -> Option<&Descriptor> {
        self.root.as_ref()
    }

    /// Whether no image was added.
    pub(crate) const fn is_empty(&self) -> bool {
        self.manifest.is_empty()
    }

    /// Adds an image to `manifest.json`, by its config and its layers.
    pub(crate) fn add_image<'a>(
        &mut self,
        config: &Digest,
        layers: impl IntoIterator<Item = &'a Digest>,
        names: &[ImageReference],
    ) {
        let tags: Vec<String> = names.iter().map(ToString::to_string).collect();
        self.manifest.push(ManifestItem {
            config: blob_path(config),
            repo_tags: (!tags.is_empty()).then_some(tags),
            layers: layers.into_iter().map(blob_path).collect(),
            true_ids: false,
        });
    }

    /// Adds a manifest or an index to `index.json`, once for each of its names.
    pub(crate) fn add_names(&mut self, descriptor: &Descriptor, names: &[ImageReference]) {
        let mut listed = descriptor.clone();
        listed.annotations.extend(self.annotations.clone());
        for name in names {
            let mut named = listed.clone();
            named.annotations.extend(annotations(name));
            self.index.push(named);
        }
        if names.is_empty() {
            self.index.push(listed.clone());
        }
        self.root = Some(listed);
    }

    /// Writes the directories that stand before the blobs.
    ///
    /// # Errors
    /// [`Error::Output`] when the receiver fails.
    pub(crate) fn write_directories(writer: &mut Writer<&mut dyn Write>, seconds: i64) -> Result<(), Error> {
        for directory in ["blobs/", BLOBS] {
            writer.header(&member(directory, b'5', 0o755, seconds)).map_err(Error::Output)?;
        }
        Ok(())
    }

    /// Writes the files that stand behind the blobs.
    ///
    /// # Errors
    /// [`Error::Output`] when the receiver fails.
    pub(crate) fn write(&self, writer: &mut Writer<&mut dyn Write>, seconds: i64) -> Result<(), Error> {
        let index = LayoutIndex { schema_version: 2, media_type: OCI_INDEX, manifests: &self.index };
        write_file(writer, "index.json", &line(&index)?, seconds)?;
        if self.kind == ArchiveKind::Docker {
            write_file(writer, "manifest.json", &line(&self.manifest)?, seconds)?;
        }
        let version = LayoutVersion { image_layout_version: "1.0.0" };
        write_file(writer, "oci-layout", &line(&version)?, seconds)
    }
}

/// The names that containerd and other tools find an image by.
fn annotations(name: &ImageReference) -> Annotations {
    let tag = name.tag_or_latest().to_string();
    let host = name.repository.host().unwrap_or(HUB);
    let path = name.repository.remote_path();
    BTreeMap::from([
        ("io.containerd.image.name".to_owned(), format!("{host}/{path}:{tag}")),
        ("org.opencontainers.image.ref.name".to_owned(), tag),
    ])
}

/// Where a layout has a blob.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS}{}", digest.hexadecimal())
}
