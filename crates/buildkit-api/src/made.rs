//! An image that a frontend made, and the sources it was made from.

use engine::builder::Material;
use engine::images::registry::Platform;
use model::Digest;

use crate::held::HeldImage;

/// An image that a frontend made.
#[derive(Debug, Clone)]
pub(crate) struct MadeImage {
    pub(crate) held: HeldImage,
    pub(crate) platform: Platform,
    /// The sources that it was made of.
    pub(crate) materials: Vec<Material>,
    /// The images of the stages that it took.
    pub(crate) stages: Vec<Digest>,
}
