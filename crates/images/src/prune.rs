//! Removes unused images.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::Digest;

use crate::remove::{Removal, RemoveOptions};
use crate::store::{LayerKey, Store};
use crate::{Error, ListFilter};

/// The result of a prune.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Each thing that was done, in order.
    pub removals: Vec<Removal>,
    /// The bytes of the removed layers, with their kept blobs.
    pub reclaimed: u64,
}

impl Store {
    /// Removes the images that match the filter and that no container uses, with their names and the unnamed images
    /// they were built on. An image that comes into use meanwhile stays, and one that gets a name where only
    /// unnamed ones are removed. `removed` is called for each image with what was done, its id, and its labels.
    ///
    /// # Errors
    /// As [`Store::list`]; `Internal` when the disk fails: what was removed before stays removed.
    pub fn prune(
        &self,
        filter: &ListFilter,
        mut removed: impl FnMut(&Digest, &BTreeMap<String, String>, &[Removal]),
    ) -> Result<Pruned, Error> {
        let used: HashSet<Digest> = self.uses().into_iter().map(|usage| usage.image).collect();
        let only_unnamed = filter.dangling == Some(true);
        let options = RemoveOptions { all_names: true, only_unnamed, ..RemoveOptions::default() };
        let mut pruned = Pruned::default();
        for image in self.list(filter)?.into_iter().filter(|image| !used.contains(&image.id)) {
            if self.index().has_visible_children(&image.id) {
                continue;
            }
            let layers = self.layer_sizes(&image.id);
            let labels = self.labels_of(&image.id).unwrap_or_default();
            match self.remove(&image.id.hexadecimal(), options) {
                Ok(removals) => {
                    removed(&image.id, &labels, &removals);
                    pruned.removals.extend(removals);
                }
                // It is needed by now, or went with another one.
                Err(Error::RemovalConflict(_) | Error::NoSuchImage(_)) => continue,
                Err(error) => return Err(error),
            }
            let index = self.index();
            let gone = layers.into_iter().filter(|(key, _)| !index.layers.contains_key(key));
            pruned.reclaimed += gone.map(|(_, size)| size).sum::<u64>();
        }
        Ok(pruned)
    }

    /// The layers that may be removed with an image, and what each frees: its own files, and those that lend
    /// them files.
    fn layer_sizes(&self, image: &Digest) -> HashMap<LayerKey, u64> {
        let index = self.index();
        let own = index.images.get(image).into_iter().flat_map(|image| image.layers.iter());
        let with_base = own.flat_map(|key| index.with_base(key));
        with_base.filter_map(|key| Some((LayerKey::clone(key), index.layers.get(key)?.on_disk()))).collect()
    }
}
