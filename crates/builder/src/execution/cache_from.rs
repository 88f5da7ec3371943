//! Steps that an image named by `cachefrom` has been through: it may come from elsewhere, and is trusted because the request
//! names it.

use images::Image;
use images::document::History;

use super::commit::Change;
use super::state::Build;
use crate::error::BuildError;
use crate::event::VertexChange;
use crate::identity::random_container;

impl Build<'_> {
    /// Makes a step's image of what one of the named images has for it; whether one had anything.
    ///
    /// # Errors
    /// [`BuildError`] when the image cannot be made.
    pub(super) fn take_from_named(&mut self, command: &[String]) -> Result<bool, BuildError> {
        for number in 0..self.work.parameters.cache_from.len() {
            let name = &self.work.parameters.cache_from[number];
            // One that is not here, or goes meanwhile, is no help.
            let Ok(image) = self.work.builder.store.resolve(name) else { continue };
            let Some(empty_layer) = self.next_step_of(&image, command)? else { continue };
            let Ok(layers) = self.work.builder.store.layers(&image) else { continue };
            let own = self.stage_ref()?.layers.len();
            let layer = if empty_layer { None } else { layers.into_iter().nth(own) };
            if layer.is_none() != empty_layer {
                continue;
            }
            self.say(" ---> Using cache\n");
            self.report(VertexChange::Cached);
            let container = random_container().map_err(BuildError::file("read", "/dev/urandom"))?;
            self.commit(Change { command: command.to_vec(), container: &container, layer })?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether an image went through the stage's steps and then through this one: whether that step made no layer.
    fn next_step_of(&self, image: &Image, command: &[String]) -> Result<Option<bool>, BuildError> {
        let stage = self.stage_ref()?;
        let history = &image.config.history;
        let is_same = |(ours, theirs): (&History, &History)| {
            ours.created_by == theirs.created_by && ours.empty_layer == theirs.empty_layer
        };
        let diff_ids = &image.config.rootfs.diff_ids;
        let has_layers = stage.layers.len() <= diff_ids.len()
            && stage.layers.iter().zip(diff_ids).all(|(layer, theirs)| layer.diff_id() == *theirs);
        let next = history.get(stage.history.len()).filter(|next| next.created_by == command.join(" "));
        let is_built_upon = has_layers && stage.history.iter().zip(history).all(is_same);
        Ok(next.filter(|_| is_built_upon).map(|next| next.empty_layer))
    }
}
