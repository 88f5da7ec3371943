//! Why a manifest cannot be used.

use super::platform::Platform;

/// The most layers of one image; the kernel stacks no more.
pub(crate) const LAYER_LIMIT: usize = 500;

/// A manifest is not one of an image that can be used here.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is no JSON of its kind.
    #[error("the manifest is malformed: {}", model::json_words(.0))]
    Malformed(#[from] serde_json::Error),
    /// It contradicts itself.
    #[error("the manifest is malformed: {0}")]
    Inconsistent(String),
    /// Its kind is unknown.
    #[error("manifests of the type {0:?} are not known")]
    UnknownType(String),
    /// It describes something other than a container image.
    #[error("this is no container image: its config has the type {0:?}")]
    NoImage(String),
    /// A layer has a type that cannot be unpacked.
    #[error("layers of the type {0:?} cannot be unpacked")]
    UnknownLayer(String),
    /// It has too many layers.
    #[error("the image has {0} layers; more than {LAYER_LIMIT} cannot be mounted")]
    TooManyLayers(usize),
    /// A list has no entry for the platform.
    #[error("no matching manifest for {wanted} in the manifest list entries; there are: {offered}")]
    NoPlatform {
        /// The requested platform.
        wanted: Platform,
        /// Those that are there.
        offered: String,
    },
    /// Lists point to lists without end.
    #[error("manifest lists are nested too deeply")]
    TooDeep,
}
