//! An image that a frontend made, and what is known of its making.

use engine::builder::Material;
use engine::images::registry::Platform;

use crate::held::HeldImage;

/// An image that a frontend made.
#[derive(Debug, Clone)]
pub(crate) struct MadeImage {
    pub(crate) held: HeldImage,
    pub(crate) platform: Platform,
    /// What it was made of.
    pub(crate) materials: Vec<Material>,
}
