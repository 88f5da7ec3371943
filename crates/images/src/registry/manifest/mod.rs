//! Manifests of registries: Docker schema 2, OCI, their lists by platform, and schema 1.

mod error;
mod legacy;
mod platform;

use std::collections::BTreeMap;

use model::Digest;
use serde::{Deserialize, Serialize};

pub(crate) use error::LAYER_LIMIT;
pub use error::ManifestError;
pub(super) use legacy::{LegacyLayer, LegacyManifest};
pub use platform::{Platform, PlatformError};

/// Docker's image manifest, schema 2.
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's list of manifests by platform.
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The OCI image manifest.
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The OCI index of manifests by platform.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The OCI image configuration.
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The OCI layer that is a plain tar.
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The OCI layer that is gzipped.
pub(crate) const OCI_GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The OCI layer that is compressed with zstd.
pub(crate) const OCI_ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Docker's schema 1, signed.
pub(super) const LEGACY_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Docker's schema 1.
pub(super) const LEGACY: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker's image configuration.
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's gzipped layer.
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker's layer that is a plain tar.
pub(crate) const DOCKER_PLAIN_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Docker's layer that is compressed with zstd.
pub(crate) const DOCKER_ZSTD_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// Docker's gzipped layer that is fetched from elsewhere.
pub(super) const FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// The value of `Accept` with every kind that is read here.
pub(super) const ACCEPTED: [&str; 6] =
    [DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX, LEGACY_SIGNED, LEGACY];

/// Points to content by its digest (OCI image specification, "Content Descriptors").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the content.
    #[serde(default)]
    pub media_type: String,
    /// Its bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// Where else it may be fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub urls: Vec<String>,
    /// The platform of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Other annotations of its makers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The type of what is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// The annotation of a manifest in an index that describes another one: it is not an image.
pub(crate) const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation that names the manifest which that is about.
pub(crate) const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The manifest of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageManifest {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// A list of manifests by platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Index {
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) manifests: Vec<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// The manifest of a reference.
#[derive(Debug)]
pub(super) enum Manifest {
    Image(ImageManifest),
    Index(Index),
    Legacy(LegacyManifest),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Reads a manifest of the type that the answer's `Content-Type` or the document names.
    pub(super) fn parse(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, ManifestError> {
        let probe: Probe = serde_json::from_slice(bytes)?;
        if probe.schema_version == 1 {
            return Ok(Self::Legacy(LegacyManifest::parse(bytes)?));
        }
        if probe.config.is_some() && probe.layers.is_some() && probe.manifests.is_some() {
            // Which one it is would lie with the reader; such documents are an attack.
            return Err(ManifestError::Inconsistent("it is an image and a list at once".to_owned()));
        }
        let named = content_type.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        let named = named.filter(|kind| kind.starts_with("application/vnd."));
        let kind = probe.media_type.as_deref().filter(|kind| !kind.is_empty()).or(named);
        match kind {
            Some(DOCKER_MANIFEST | OCI_MANIFEST) => Self::parse_image(bytes),
            Some(DOCKER_LIST | OCI_INDEX) => Ok(Self::Index(serde_json::from_slice(bytes)?)),
            None if probe.manifests.is_some() => Ok(Self::Index(serde_json::from_slice(bytes)?)),
            None if probe.config.is_some() => Self::parse_image(bytes),
            other => Err(ManifestError::UnknownType(other.unwrap_or_default().to_owned())),
        }
    }

    /// The media type of a parsed manifest: the document's own, else that of its form.
    pub(super) fn media_type(&self, document: &[u8]) -> Result<String, ManifestError> {
        let named: Probe = serde_json::from_slice(document)?;
        let form = match self {
            Self::Index(_) => OCI_INDEX,
            Self::Image(_) => OCI_MANIFEST,
            Self::Legacy(_) => LEGACY_SIGNED,
        };
        Ok(named.media_type.filter(|kind| !kind.is_empty()).unwrap_or_else(|| form.to_owned()))
    }

    /// Whether an answer of this type may hold a manifest of schema 1.
    pub(super) fn may_be_legacy(content_type: Option<&str>) -> bool {
        let kind = content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        !matches!(kind, DOCKER_MANIFEST | OCI_MANIFEST | DOCKER_LIST | OCI_INDEX)
    }

    fn parse_image(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: ImageManifest = serde_json::from_slice(bytes)?;
        let config = manifest.config.media_type.as_str();
        let is_image = matches!(config, DOCKER_CONFIG | OCI_CONFIG | "application/octet-stream" | "");
        if !is_image {
            return Err(ManifestError::NoImage(config.to_owned()));
        }
        if manifest.layers.len() > LAYER_LIMIT {
            return Err(ManifestError::TooManyLayers(manifest.layers.len()));
        }
        match manifest.layers.iter().find(|layer| !is_layer_type(&layer.media_type)) {
            Some(layer) => Err(ManifestError::UnknownLayer(layer.media_type.clone())),
            None => Ok(Self::Image(manifest)),
        }
    }
}

fn is_layer_type(kind: &str) -> bool {
    matches!(
        kind,
        DOCKER_LAYER
            | FOREIGN_LAYER
            | "application/vnd.docker.image.rootfs.diff.tar"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar"
            | OCI_LAYER
            | OCI_GZIP_LAYER
            | OCI_ZSTD_LAYER
            | "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
    )
}

impl Descriptor {
    /// A descriptor without further fields.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            size,
            digest,
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
            artifact_type: None,
        }
    }

    /// Whether the content lies elsewhere, so that registries need not have it.
    pub(super) fn is_foreign(&self) -> bool {
        self.media_type.contains(".foreign.") || self.media_type.contains(".nondistributable.")
    }
}

impl Index {
    /// The attestations of a manifest.
    pub(crate) fn attestations_of(&self, manifest: Digest) -> impl Iterator<Item = &Descriptor> {
        let name = manifest.to_string();
        self.manifests.iter().filter(move |entry| {
            entry.annotations.contains_key(REFERENCE_TYPE)
                && entry.annotations.get(REFERENCE_DIGEST) == Some(&name)
        })
    }

    /// Whether it lists images alone: no attestations, and no index that may have some.
    pub(crate) fn has_images_alone(&self) -> bool {
        let is_image = |entry: &Descriptor| {
            !entry.annotations.contains_key(REFERENCE_TYPE)
                && !matches!(entry.media_type.as_str(), DOCKER_LIST | OCI_INDEX)
        };
        self.manifests.iter().all(is_image)
    }

    /// The platforms of the images in the list, where it has them.
    pub(super) fn platforms(&self) -> Vec<Platform> {
        self.manifests.iter().filter_map(|entry| entry.platform.clone()).collect()
    }

    /// The entries that are images.
    pub(super) fn images(&self) -> impl Iterator<Item = &Descriptor> {
        let is_image = |entry: &&Descriptor| {
            is_manifest_type(&entry.media_type) && !entry.annotations.contains_key(REFERENCE_TYPE)
        };
        self.manifests.iter().filter(is_image)
    }

    /// The entry for a platform.
    pub(crate) fn choose(&self, wanted: &Platform) -> Result<&Descriptor, ManifestError> {
        let manifests = || self.images();
        let best = manifests()
            .filter_map(|entry| {
                let fitness = match &entry.platform {
                    None => Some(platform::Fitness::Unsaid),
                    Some(platform) => wanted.fitness_of(platform),
                };
                fitness.map(|fitness| (fitness, entry))
            })
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        if let Some((_, entry)) = best {
            return Ok(entry);
        }
        let offered: Vec<_> =
            manifests().filter_map(|entry| entry.platform.as_ref()).map(ToString::to_string).collect();
        Err(ManifestError::NoPlatform { wanted: wanted.clone(), offered: offered.join(", ") })
    }
}

fn is_manifest_type(kind: &str) -> bool {
    matches!(kind, "" | DOCKER_MANIFEST | DOCKER_LIST | OCI_MANIFEST | OCI_INDEX | LEGACY_SIGNED | LEGACY)
}

/// Reads a manifest and uses it as a pull does: the entrance of the fuzz target.
///
/// # Errors
/// As a pull's.
#[cfg(feature = "fuzzing")]
pub fn read_for_fuzzing(content_type: Option<&str>, bytes: &[u8]) -> Result<(), ManifestError> {
    match Manifest::parse(content_type, bytes)? {
        Manifest::Image(manifest) => {
            let again = serde_json::to_vec(&manifest)?;
            let Manifest::Image(read) = Manifest::parse(None, &again)? else {
                panic!("an image's manifest became another thing");
            };
            assert_eq!(read, manifest, "a manifest that is written reads as another");
        }
        Manifest::Index(index) => drop(index.choose(&Platform::host())?.is_foreign()),
        Manifest::Legacy(legacy) => {
            let layers: Vec<Digest> = legacy.layers.iter().map(|layer| layer.blob).collect();
            let config: crate::document::ImageConfig = serde_json::from_slice(&legacy.config(&layers)?)?;
            assert_eq!(config.rootfs.diff_ids, layers, "the config has other layers");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
