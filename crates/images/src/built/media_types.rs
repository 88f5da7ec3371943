//! The media types of images that were built here: those of the OCI, or Docker's.

use crate::registry::{
    DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LIST, DOCKER_MANIFEST, DOCKER_PLAIN_LAYER, DOCKER_ZSTD_LAYER,
    Descriptor, ImageManifest, OCI_CONFIG, OCI_GZIP_LAYER, OCI_INDEX, OCI_LAYER, OCI_MANIFEST,
    OCI_ZSTD_LAYER,
};

/// Whose media types the documents of images have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MediaTypes {
    /// The OCI's.
    #[default]
    Oci,
    /// Docker's (image manifest, version 2, schema 2).
    Docker,
}

impl MediaTypes {
    pub(crate) const fn manifest(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    pub(crate) const fn index(self) -> &'static str {
        match self {
            Self::Oci => OCI_INDEX,
            Self::Docker => DOCKER_LIST,
        }
    }

    /// A manifest with these types.
    pub(crate) fn typed(self, manifest: ImageManifest) -> ImageManifest {
        let config = match self {
            Self::Oci => OCI_CONFIG,
            Self::Docker => DOCKER_CONFIG,
        };
        ImageManifest {
            media_type: self.manifest().to_owned(),
            config: Descriptor { media_type: config.to_owned(), ..manifest.config },
            layers: manifest.layers.into_iter().map(|layer| self.typed_layer(layer)).collect(),
            ..manifest
        }
    }

    fn typed_layer(self, layer: Descriptor) -> Descriptor {
        let media_type = match (self, layer.media_type.as_str()) {
            (Self::Oci, DOCKER_PLAIN_LAYER) => OCI_LAYER,
            (Self::Oci, DOCKER_LAYER) => OCI_GZIP_LAYER,
            (Self::Oci, DOCKER_ZSTD_LAYER) => OCI_ZSTD_LAYER,
            (Self::Docker, OCI_LAYER) => DOCKER_PLAIN_LAYER,
            (Self::Docker, OCI_GZIP_LAYER) => DOCKER_LAYER,
            (Self::Docker, OCI_ZSTD_LAYER) => DOCKER_ZSTD_LAYER,
            // What is in these types already, or in others of its own.
            _ => return layer,
        };
        Descriptor { media_type: media_type.to_owned(), ..layer }
    }
}

#[cfg(test)]
mod tests {
    use model::Digest;

    use super::*;
    use crate::built::Annotations;

    #[test]
    fn each_part_of_a_manifest_has_a_type_of_both() {
        let part = |kind: &str| Descriptor::new(kind, Digest::from_bytes([1; 32]), 2);
        let layers = [OCI_LAYER, OCI_GZIP_LAYER, OCI_ZSTD_LAYER, "application/x-own"];
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: OCI_MANIFEST.to_owned(),
            config: part(OCI_CONFIG),
            layers: layers.into_iter().map(part).collect(),
            annotations: Annotations::new(),
        };
        let docker = MediaTypes::Docker.typed(manifest.clone());
        assert_eq!(
            (docker.media_type.as_str(), docker.config.media_type.as_str()),
            (DOCKER_MANIFEST, DOCKER_CONFIG)
        );
        let kinds: Vec<_> = docker.layers.iter().map(|layer| layer.media_type.as_str()).collect();
        assert_eq!(kinds, [DOCKER_PLAIN_LAYER, DOCKER_LAYER, DOCKER_ZSTD_LAYER, "application/x-own"]);
        assert_eq!(MediaTypes::Oci.typed(docker), manifest);
    }
}
