//! Layers that lend others their files: a copy of nearly the same files as an earlier one need not make them again.
//!
//! Overlay stacks the directory of such a layer above that of its base, and the base has nothing that the layer does not: no
//! name is missing, nothing is hidden. The base stays as long as a layer needs it, and has no base itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::Base;
use super::{Layer, LayerKey, Store};
use crate::Error;
use crate::layer::{self, DIFF, HashedPrefixes};
use crate::tree::{KnownFiles, Stack};

impl Store {
    /// Makes a layer of a directory of copied files, which is moved into the store. `lowers` are the directories below it,
    /// topmost first. The contents of `files` are read from where they are cached; those among them that are lent lie in
    /// `base`, which must have them as they are described, and no file or directory beside them that `upper` lacks. The states
    /// of its tar's hash, and of similar tars', are recorded; this returns those of the layer's own.
    ///
    /// # Errors
    /// `Internal` when it cannot be moved, read or recorded.
    pub fn adopt_copied(
        &self,
        upper: &Path,
        lowers: &[PathBuf],
        base: Option<(&Layer, &[&HashedPrefixes])>,
        files: KnownFiles<'_>,
    ) -> Result<(Layer, HashedPrefixes), Error> {
        let below = Stack::open(lowers).map_err(Error::file("open the layers below", upper))?;
        let (base, before) = base.unzip();
        let base = base.map(|base| Base { key: Arc::clone(base.key()), shared: files.lent_bytes() });
        let place = self.take_in(upper)?;
        let (packed, prefixes) = layer::pack_known(&place.path, below, before.unwrap_or_default(), files)?;
        Ok((self.record_layer(place, packed, base)?, prefixes))
    }

    /// The directories of layers, topmost first, each once.
    pub(super) fn directories(&self, layers: &[LayerKey]) -> Vec<PathBuf> {
        let index = self.index();
        let mut above = std::collections::HashSet::new();
        let mut directories = Vec::with_capacity(layers.len());
        for key in layers.iter().rev() {
            for key in index.with_base(key) {
                if above.insert(key) {
                    directories.push(self.shared.layer_path(key).join(DIFF));
                }
            }
        }
        directories
    }
}

impl super::Shared {
    /// The directory of the layer that lends another one files.
    pub(super) fn base_path(&self, key: &str) -> Option<PathBuf> {
        let index = self.index();
        let base = index.layers.get(key)?.base.as_ref()?;
        Some(self.layer_path(&base.key))
    }
}
