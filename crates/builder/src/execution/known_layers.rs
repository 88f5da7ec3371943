//! Layers of graphs whose step finds the same files below it as in an earlier build, whatever else the image says: a label
//! before a RUN makes another image, and the RUN does the same in it.

use super::commit::{Change, Name};
use super::layer_notes::LayerKey;
use super::state::Build;
use crate::error::BuildError;
use crate::event::VertexChange;
use crate::identity::random_container;

impl Build<'_> {
    /// Makes a step's image of the layer that an earlier build made of the same; whether there is one.
    ///
    /// # Errors
    /// [`BuildError`] when the image cannot be made.
    pub(super) fn take_known_layer(&mut self, name: &Name) -> Result<bool, BuildError> {
        let Some(key) = self.layer_key(name)? else { return Ok(false) };
        let Some(layer) = self.work.builder.noted_layer(&key)? else { return Ok(false) };
        self.report(VertexChange::Cached);
        let container = random_container().map_err(BuildError::file("read", "/dev/urandom"))?;
        self.commit(Change { name: name.clone(), container: &container, layer: Some(layer) })?;
        Ok(true)
    }

    /// What the layer of a step depends on: the layers below and the step; none where it is found by its image alone.
    ///
    /// # Errors
    /// [`BuildError`] outside of a stage.
    pub(super) fn layer_key(&self, name: &Name) -> Result<Option<LayerKey>, BuildError> {
        let Some(seen) = &name.seen else { return Ok(None) };
        let stage = self.stage_ref()?;
        let below: Vec<String> = stage.layers.iter().map(|layer| layer.diff_id().to_string()).collect();
        let key = (below, &name.command, seen, stage.platform().to_string());
        Ok(Some(LayerKey::Placed(serde_json::to_string(&key)?)))
    }
}
