//! An image that a build made and that has no name yet: its layers are held, so that no prune removes it.

use std::sync::Arc;

use engine::images::{Error, Layer, Store};
use model::Digest;

/// A held image.
#[derive(Debug, Clone)]
pub(crate) struct HeldImage {
    pub(crate) id: Digest,
    _layers: Arc<[Layer]>,
}

impl HeldImage {
    /// Holds an image.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub(crate) fn hold(store: &Store, id: Digest) -> Result<Self, Error> {
        let layers = store.layers(&store.image(&id)?)?;
        Ok(Self { id, _layers: layers.into() })
    }
}
