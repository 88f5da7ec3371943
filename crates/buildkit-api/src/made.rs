//! An image that a frontend made, and the sources it was made from.

use std::collections::BTreeMap;

use engine::builder::{Material, Provision};
use engine::images::registry::Platform;
use model::Digest;

use crate::held::HeldImage;

/// An image that a frontend made.
#[derive(Debug, Clone)]
pub(crate) struct MadeImage {
    pub(crate) held: HeldImage,
    pub(crate) platform: Platform,
    /// Whether it is one of a result by platforms, if only of one.
    pub(crate) is_by_platform: bool,
    /// The sources that it was made of.
    pub(crate) materials: Vec<Material>,
    /// What of the client's its steps may use, and whether one of them fails without it.
    pub(crate) provisions: BTreeMap<Provision, bool>,
    /// The images of the stages that it took.
    pub(crate) stages: Vec<Digest>,
}
