//! Images that were built here, with their statements.

use std::collections::BTreeMap;

use model::Digest;
use serde_json::Value;

use super::media_types::MediaTypes;

/// Annotations by their keys (OCI image specification, "Annotations").
pub type Annotations = BTreeMap<String, String>;

/// Images that were built here together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuiltImages {
    /// The images, in the order in which an index lists them.
    pub images: Vec<BuiltImage>,
    /// The annotations of that index.
    pub annotations: Annotations,
    /// Whose media types they are exported with; by default the OCI's, but for the push of one manifest without annotations
    /// Docker's, which every registry knows.
    pub types: Option<MediaTypes>,
}

impl BuiltImages {
    /// Whether one manifest cannot hold the images and their statements.
    #[must_use]
    pub fn needs_index(&self) -> bool {
        self.images.len() > 1 || self.images.iter().any(|image| !image.predicates.is_empty())
    }
}

/// An image that was built here, with its statements.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltImage {
    /// Its id.
    pub image: Digest,
    /// Statements about its making.
    pub predicates: Vec<Predicate>,
    /// The annotations of its manifest.
    pub annotations: Annotations,
    /// The annotations of what an index lists it by.
    pub descriptor_annotations: Annotations,
}

impl BuiltImage {
    /// An image without statements.
    #[must_use]
    pub fn new(image: Digest) -> Self {
        let (annotations, descriptor_annotations) = (Annotations::new(), Annotations::new());
        Self { image, predicates: Vec::new(), annotations, descriptor_annotations }
    }
}

/// A statement about the making of an image (in-toto attestation framework, "Predicate").
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    /// Its type, an address.
    pub kind: String,
    /// Its content.
    pub content: Value,
}
