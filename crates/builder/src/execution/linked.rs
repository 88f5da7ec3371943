//! `COPY --link`: layers that do not depend on those below, found again when the image below has changed.

use images::Layer;

use super::layer_notes::LayerKey;
use super::state::Build;
use crate::dockerfile::Transfer;
use crate::error::BuildError;

impl Build<'_> {
    /// The layer that an earlier build made of the same copy, wherever it was put on.
    ///
    /// # Errors
    /// [`BuildError::File`] when the note cannot be read.
    pub(super) fn linked_layer(
        &self,
        transfer: &Transfer,
        command: &[String],
    ) -> Result<Option<Layer>, BuildError> {
        if !transfer.is_linked || !self.may_use_cache()? {
            return Ok(None);
        }
        self.work.builder.noted_layer(&self.linked_key(command)?)
    }

    /// Notes the layer of a copy that is linked.
    ///
    /// # Errors
    /// [`BuildError::File`] when it cannot be written.
    pub(super) fn remember_linked(
        &self,
        transfer: &Transfer,
        command: &[String],
        layer: &Layer,
    ) -> Result<(), BuildError> {
        if !transfer.is_linked {
            return Ok(());
        }
        self.work.builder.note_layer(
            &self.linked_key(command)?,
            layer.diff_id(),
            &self.scratch_path("linked"),
        )
    }

    /// What a linked layer depends on: owners that are names are those of the image below.
    fn linked_key(&self, command: &[String]) -> Result<LayerKey, BuildError> {
        let stage = self.stage_ref()?;
        let mut key = format!("{}\n{}", stage.config.working_dir, command.join(" "));
        if command.iter().any(|word| word.contains("--chown=")) {
            key.push_str(&format!("\n{}", stage.config.image));
        }
        Ok(LayerKey::Linked(key))
    }
}
