//! Steps that an image named by `cachefrom` has been through: it may come from elsewhere, and is trusted because the request
//! names it.

use images::Image;
use images::document::{History, Step};
use model::Digest;

use super::commit::{Change, Name};
use super::state::Build;
use crate::error::BuildError;
use crate::event::VertexChange;
use crate::identity::random_container;
use crate::order::Order;

impl Build<'_> {
    /// Whether the images that a request names, and what they were built upon, are all of its cache, so that a build can be kept
    /// from what else this host has made: where steps are made as they are written.
    pub(super) fn has_named_cache(&self) -> bool {
        let parameters = &self.work.parameters;
        parameters.order == Order::Written && !parameters.cache_from.is_empty()
    }

    /// Whether a cached image counts.
    pub(super) fn is_of_named(&self, found: &Digest) -> bool {
        if !self.has_named_cache() {
            return true;
        }
        let parameters = &self.work.parameters;
        let store = &self.work.builder.store;
        let upon = store.descendants(found);
        parameters
            .cache_from
            .iter()
            .any(|name| store.resolve(name).is_ok_and(|image| upon.contains(&image.id)))
    }

    /// Makes a step's image of what one of the named images has for it; whether one had anything.
    ///
    /// # Errors
    /// [`BuildError`] when the image cannot be made.
    pub(super) fn take_from_named(&mut self, step: &Name) -> Result<bool, BuildError> {
        for number in 0..self.work.parameters.cache_from.len() {
            let image = &self.work.parameters.cache_from[number];
            // One that is not here, or goes meanwhile, is no help.
            let Ok(image) = self.work.builder.store.resolve(image) else { continue };
            let Some(empty_layer) = self.next_step_of(&image, step)? else { continue };
            let Ok(layers) = self.work.builder.store.layers(&image) else { continue };
            let own = self.stage_ref()?.layers.len();
            let layer = if empty_layer { None } else { layers.into_iter().nth(own) };
            if layer.is_none() != empty_layer {
                continue;
            }
            self.stream(" ---> Using cache\n");
            self.report(VertexChange::Cached);
            let container = random_container().map_err(BuildError::file("read", "/dev/urandom"))?;
            self.commit(Change { name: step.clone(), container: &container, layer })?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether an image went through the stage's steps and then through this one: whether that step made no layer.
    fn next_step_of(&self, image: &Image, step: &Name) -> Result<Option<bool>, BuildError> {
        let stage = self.stage_ref()?;
        let history = &image.config.history;
        let is_same = |(ours, theirs): (&History, &History)| {
            ours.created_by == theirs.created_by && ours.empty_layer == theirs.empty_layer
        };
        let diff_ids = &image.config.rootfs.diff_ids;
        let has_layers = stage.layers.len() <= diff_ids.len()
            && stage.layers.iter().zip(diff_ids).all(|(layer, theirs)| layer.diff_id() == *theirs);
        let has_history =
            stage.history.len() <= history.len() && stage.history.iter().zip(history).all(is_same);
        let next = match self.work.parameters.order {
            Order::Written => {
                let next = history.get(stage.history.len());
                // The command may be longer than in the history.
                let next = next.filter(|next| step.history.as_ref() == Some(&next.created_by));
                next.map(|next| next.empty_layer)
            }
            Order::Graph => {
                let command = step.command.join(" ");
                let is_same = |(ours, theirs): (&Step, &Step)| ours == theirs;
                let steps = &image.config.steps;
                let has_steps = stage.steps.iter().zip(steps).all(is_same);
                let next = steps.get(stage.steps.len()).filter(|next| has_steps && next.command == command);
                next.map(|next| next.empty_layer)
            }
        };
        Ok(next.filter(|_| has_layers && has_history))
    }
}
