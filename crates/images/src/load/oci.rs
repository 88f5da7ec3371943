//! The OCI image layout: `index.json` and `blobs/` (OCI image specification, "Image Layout").

use std::collections::BTreeMap;

use model::{Digest, ImageReference};
use serde::Deserialize;

use super::{Loading, Named};
use crate::document::ImageConfig;
use crate::store::Layer;
use crate::{Error, Inconsistency, architecture, store::parse_document as parse};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// The annotation of what says how an image was made: it lies among the images and is none.
const NO_IMAGE: &str = "vnd.docker.reference.type";

impl Descriptor {
    /// Whether it may be an image for this machine.
    fn fits(&self) -> bool {
        let is_image =
            self.annotations.as_ref().is_none_or(|annotations| !annotations.contains_key(NO_IMAGE));
        is_image
            && self
                .platform
                .as_ref()
                .is_none_or(|platform| platform.os == "linux" && platform.architecture == architecture())
    }
}

/// An index in an index in an index is deeper than any tool makes.
const NESTING_LIMIT: u32 = 4;

/// What containerd and skopeo name images by.
const NAME_ANNOTATIONS: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

impl Loading<'_> {
    pub(super) fn images_of_oci(&mut self) -> Result<(Vec<Digest>, Named), Error> {
        let index: Index = parse("index.json", self.tarball.require("index.json")?)?;
        let (mut images, mut names) = (Vec::new(), Vec::new());
        for descriptor in index.manifests.iter().filter(|descriptor| descriptor.fits()) {
            let Some(manifest) = self.choose(descriptor, 0)? else { continue };
            let image = self.image_of_oci_manifest(&manifest)?;
            images.push(image);
            names.extend(name_of(descriptor).map(|name| (name, image)));
        }
        match (images.is_empty(), index.manifests.is_empty()) {
            (false, _) => Ok((images, names)),
            (true, false) => Err(none_fits("index.json").into()),
            (true, true) => Err(Inconsistency::NoImage.into()),
        }
    }

    /// The manifest itself, or the one for this machine of an index.
    fn choose(&self, descriptor: &Descriptor, depth: u32) -> Result<Option<Descriptor>, Error> {
        let is_index =
            descriptor.media_type.contains("index") || descriptor.media_type.contains("manifest.list");
        if !is_index || depth == NESTING_LIMIT {
            return Ok((!is_index).then(|| descriptor.clone()));
        }
        let name = blob(&descriptor.digest);
        let index: Index = parse(&name, self.tarball.require(&name)?)?;
        // A tool may have copied one platform only: the others' blobs are not there.
        let present = |child: &&Descriptor| self.tarball.document(&blob(&child.digest)).is_some();
        match index.manifests.iter().filter(present).find(|child| child.fits()) {
            Some(child) => self.choose(child, depth + 1),
            None => Err(none_fits(&name).into()),
        }
    }

    fn image_of_oci_manifest(&mut self, descriptor: &Descriptor) -> Result<Digest, Error> {
        let name = blob(&descriptor.digest);
        let manifest: Manifest = parse(&name, self.tarball.require(&name)?)?;
        let config_name = blob(&manifest.config.digest);
        let document = self.tarball.require(&config_name)?.to_vec();
        let config: ImageConfig = parse(&config_name, &document)?;
        let expected = &config.rootfs.diff_ids;
        if expected.len() != manifest.layers.len() {
            let (layers, diff_ids) = (manifest.layers.len(), expected.len());
            return Err(Inconsistency::LayerCount { name, layers, diff_ids }.into());
        }
        let mut layers: Vec<Layer> = Vec::new();
        for (layer, expected) in manifest.layers.iter().zip(expected) {
            let member = blob(&layer.digest);
            let found = self.tarball.layer(&member).cloned().or_else(|| self.store.layer(expected));
            layers.push(found.ok_or(Inconsistency::MissingMember(member))?);
        }
        self.add_config(&document, &layers, None)
    }
}

fn none_fits(index: &str) -> Inconsistency {
    Inconsistency::MissingMember(format!("manifest for linux/{} in {index}", architecture()))
}

pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hexadecimal())
}

/// The name in a descriptor's annotations; a bare tag is no name.
fn name_of(descriptor: &Descriptor) -> Option<ImageReference> {
    let annotations = descriptor.annotations.as_ref()?;
    NAME_ANNOTATIONS.iter().find_map(|key| {
        let name = annotations.get(*key)?;
        let named = *key == NAME_ANNOTATIONS[0] || name.contains(':') || name.contains('/');
        ImageReference::parse(name).ok().filter(|_| named)
    })
}
