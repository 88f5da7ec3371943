//! The OCI image layout: `index.json` and `blobs/` (OCI image specification, "Image Layout").

use std::collections::{BTreeMap, BTreeSet};

use model::{Digest, ImageReference};
use serde::Deserialize;

use super::descriptors::parse;
use super::{Loading, Named};
use crate::document::ImageConfig;
use crate::registry::{Platform, REFERENCE_TYPE};
use crate::store::{Layer, parse_document};
use crate::{Error, Inconsistency};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    manifests: Vec<Descriptor>,
}

/// The file `oci-layout` (OCI image specification, "oci-layout file").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutVersion {
    image_layout_version: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Descriptor {
    /// Whether it may be an image: an index lists attestations too.
    fn is_image(&self) -> bool {
        self.annotations.as_ref().is_none_or(|annotations| !annotations.contains_key(REFERENCE_TYPE))
    }

    /// Whether it may be an image for this platform.
    fn is_for(&self, wanted: &Platform) -> bool {
        self.platform.as_ref().is_none_or(|platform| platform.is(wanted))
    }
}

/// An index in an index in an index is deeper than any tool makes.
const NESTING_LIMIT: u32 = 4;

/// Of an archive that has more images than these, not all are named in an error.
const NAMED_IN_ERRORS: usize = 10;

/// The annotations with the names of images by containerd and skopeo.
const NAME_ANNOTATIONS: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

impl Loading<'_> {
    pub(super) fn images_of_oci(&mut self) -> Result<(Vec<Digest>, Named), Error> {
        let index: Index = parse("index.json", self.tarball.require("index.json")?)?;
        let (mut images, mut names) = (Vec::new(), Vec::new());
        // An index may list the same many times.
        let (mut made, mut listed) = (BTreeMap::new(), BTreeSet::new());
        for descriptor in self.wanted_of(&index) {
            let name = name_of(descriptor);
            if !listed.insert((descriptor.digest, name.as_ref().map(ToString::to_string))) {
                continue;
            }
            let image = match made.get(&descriptor.digest) {
                Some(image) => *image,
                None => {
                    let called = called(descriptor);
                    let manifest = self.choose(descriptor, &called, 0)?;
                    let image = self.image_of_oci_manifest(&manifest, &called)?;
                    made.insert(descriptor.digest, image);
                    images.push(image);
                    image
                }
            };
            names.extend(name.map(|name| (name, image)));
        }
        match (images.is_empty(), index.manifests.is_empty()) {
            (false, _) => Ok((images, names)),
            (true, false) => {
                let listed = index.manifests.iter().filter(|entry| entry.is_image()).map(called);
                let listed: BTreeSet<String> = listed.collect();
                if listed.is_empty() {
                    return Err(Inconsistency::EmptyIndex("index.json".to_owned()).into());
                }
                let listed: Vec<String> = listed.into_iter().take(NAMED_IN_ERRORS).collect();
                Err(self.none_fits(&listed.join(", ")))
            }
            (true, true) => Err(Inconsistency::NoImage.into()),
        }
    }

    /// The names in `index.json`, each with what it is given to.
    pub(super) fn targets_of_names(&self) -> Vec<(ImageReference, Digest)> {
        let document = self.tarball.document("index.json");
        let index = document.and_then(|document| serde_json::from_slice::<Index>(document).ok());
        let named = |entry: &Descriptor| name_of(entry).map(|name| (name, entry.digest));
        index.iter().flat_map(|index| &index.manifests).filter_map(named).collect()
    }

    /// A document of the size in its descriptor (OCI image specification, "Content Descriptors").
    fn described(&self, descriptor: &Descriptor) -> Result<&[u8], Inconsistency> {
        let name = blob(&descriptor.digest);
        let document = self.tarball.require(&name)?;
        let actual = document.len() as u64;
        match descriptor.size.filter(|expected| *expected != actual) {
            Some(expected) => Err(Inconsistency::WrongSize { name, expected, actual }),
            None => Ok(document),
        }
    }

    /// Refuses a layout of an unknown version.
    pub(super) fn check_layout_version(&self) -> Result<(), Error> {
        let Some(document) = self.tarball.document("oci-layout") else { return Ok(()) };
        let layout: LayoutVersion = parse_document("oci-layout", document)?;
        if layout.image_layout_version.starts_with("1.") {
            return Ok(());
        }
        Err(Inconsistency::LayoutVersion(layout.image_layout_version).into())
    }

    /// Whether the tarball is an image layout.
    pub(super) fn is_layout(&self) -> bool {
        let index = self.tarball.document("index.json");
        index.is_some_and(|document| serde_json::from_slice::<Index>(document).is_ok())
    }

    /// The images of `index.json` for the wanted platforms, or else for this machine; all of them where there are none for
    /// it and no platform is requested.
    fn wanted_of<'d>(&self, index: &'d Index) -> Vec<&'d Descriptor> {
        let images = || index.manifests.iter().filter(|entry| entry.is_image());
        let wanted = self.preferences();
        let fitting: Vec<_> =
            images().filter(|entry| wanted.iter().any(|wanted| entry.is_for(wanted))).collect();
        if fitting.is_empty() && self.platforms.is_empty() { images().collect() } else { fitting }
    }

    /// The platforms whose image is to get the name, the first before the second.
    fn preferences(&self) -> Vec<Platform> {
        if self.platforms.is_empty() { vec![Platform::host()] } else { self.platforms.to_vec() }
    }

    /// The manifest itself, or of an index that for the first wanted platform, or else for this machine, or else the first.
    fn choose(&self, descriptor: &Descriptor, called: &str, depth: u32) -> Result<Descriptor, Error> {
        let is_index =
            descriptor.media_type.contains("index") || descriptor.media_type.contains("manifest.list");
        if !is_index {
            return Ok(descriptor.clone());
        }
        let name = blob(&descriptor.digest);
        if depth == NESTING_LIMIT {
            return Err(Inconsistency::TooDeep { name, limit: NESTING_LIMIT - 1 }.into());
        }
        let index: Index = parse(&name, self.described(descriptor)?)?;
        // A tool may have copied one platform only: the others' blobs are not there.
        let is_present = |child: &&Descriptor| self.tarball.document(&blob(&child.digest)).is_some();
        let mut listed = index.manifests.iter().filter(|child| child.is_image());
        let present: Vec<_> = listed.clone().filter(is_present).collect();
        let Some(first) = listed.next() else { return Err(Inconsistency::EmptyIndex(name).into()) };
        if present.is_empty() {
            return Err(Inconsistency::MissingMember(blob(&first.digest)).into());
        }
        let preferences = self.preferences();
        let mut fitting =
            preferences.iter().filter_map(|wanted| present.iter().find(|child| child.is_for(wanted)));
        let any = present.first().filter(|_| self.platforms.is_empty());
        match fitting.next().or(any) {
            Some(child) => self.choose(child, called, depth + 1),
            None => Err(self.none_fits(called)),
        }
    }

    fn image_of_oci_manifest(&mut self, descriptor: &Descriptor, called: &str) -> Result<Digest, Error> {
        let name = blob(&descriptor.digest);
        let manifest: Manifest = parse(&name, self.described(descriptor)?)?;
        let config_name = blob(&manifest.config.digest);
        let document = self.described(&manifest.config)?.to_vec();
        let config: ImageConfig = parse_document(&config_name, &document)?;
        if !self.takes(&Platform::of(&config)) {
            return Err(self.none_fits(called));
        }
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

    fn none_fits(&self, called: &str) -> Error {
        let wanted: Vec<String> = self.preferences().iter().map(ToString::to_string).collect();
        Error::NoPlatform { name: called.to_owned(), wanted: wanted.join(", ") }
    }
}

pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hexadecimal())
}

/// The name of an entry of `index.json` in errors: its name, or its digest without one.
fn called(descriptor: &Descriptor) -> String {
    name_of(descriptor).map_or_else(|| descriptor.digest.to_string(), |name| name.to_string())
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
