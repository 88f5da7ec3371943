//! Images that were built here and the statements about their making: one index of their manifests and
//! attestations.
//!
//! The store keeps an index whose layers are plain tars, which costs nothing to make. A push compresses the layers, and
//! sends a new index of the same statements.

mod compose;
mod image;
mod media_types;
mod package;
mod record;
mod unchanged;

pub(crate) use compose::{Attestation, Composed, Part, compose};
pub use image::{Annotations, BuiltImage, BuiltImages, Predicate};
pub use media_types::MediaTypes;
pub use package::package_address;
pub(crate) use record::PlainDocuments;
