//! Layers whose step finds the same files below it as in an earlier build, in whichever order that built them. Each order
//! writes its own history and configuration over them.
//!
//! A graph takes them whatever the rest of the image: a label before a RUN makes another image, and the RUN does the same
//! in it. A classic build, which would run it again, takes only those that a graph made with the same configuration: its
//! clients see of their own steps what they have always seen.

use super::cache::fingerprint;
use super::commit::{Change, LayerInputs, Name};
use super::layer_notes::LayerKey;
use super::state::Build;
use crate::error::BuildError;
use crate::event::VertexChange;
use crate::identity::random_container;
use crate::order::Order;

impl Build<'_> {
    /// Makes a step's image of the layer that an earlier build made of the same; whether there is one.
    ///
    /// # Errors
    /// [`BuildError`] when the image cannot be made.
    pub(super) fn take_known_layer(&mut self, name: &Name) -> Result<bool, BuildError> {
        let Some(key) = self.layer_key(name, self.work.parameters.order)? else { return Ok(false) };
        let Some(layer) = self.work.builder.noted_layer(&key)? else { return Ok(false) };
        self.stream(" ---> Using cache\n");
        self.report(VertexChange::Cached);
        let container = random_container().map_err(BuildError::file("read", "/dev/urandom"))?;
        self.commit(Change { name: name.clone(), container: &container, layer: Some(layer) })?;
        Ok(true)
    }

    /// The keys by which other builds find the layer of a step.
    ///
    /// # Errors
    /// [`BuildError`] outside of a stage.
    pub(super) fn layer_keys(&self, name: &Name) -> Result<Vec<LayerKey>, BuildError> {
        let readers: &[Order] = match self.work.parameters.order {
            Order::Written => &[Order::Graph],
            Order::Graph => &[Order::Graph, Order::Written],
        };
        let keys = readers.iter().map(|reader| self.layer_key(name, *reader));
        keys.filter_map(Result::transpose).collect()
    }

    /// The key by which builds of an order find the layer of a step; `None` for steps without one.
    fn layer_key(&self, name: &Name, reader: Order) -> Result<Option<LayerKey>, BuildError> {
        let Some(LayerInputs { step, is_placed }) = &name.inputs else { return Ok(None) };
        let stage = self.stage_ref()?;
        let platform = stage.platform();
        if !is_placed {
            return Ok(Some(LayerKey::Linked(serde_json::to_string(&(step, platform.to_string()))?)));
        }
        // An order makes an empty layer where the other makes none.
        let below = stage.layers.iter().filter(|layer| !layer.is_empty());
        let below: Vec<_> = below.map(|layer| layer.diff_id().to_string()).collect();
        let image = match reader {
            Order::Written => {
                let seen = fingerprint(&stage.seen_config(), &platform)?;
                Some((seen.to_string(), &stage.author))
            }
            Order::Graph => None,
        };
        Ok(Some(LayerKey::Placed(serde_json::to_string(&(below, step, platform.to_string(), image))?)))
    }
}
