//! Layers of the store: added, held, adopted from a directory, dropped when unused.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Digest;

use super::index::{Base, LayerRecord};
use super::layer_rows::insert_layer;
use super::place::Place;
use super::{LayerKey, Shared, Store, random_name};
use crate::Error;
use crate::budget::Budget;
use crate::layer::{self, DIFF};
use crate::tree::{self, Stack};

/// The bytes of a tar without an entry: two empty blocks (GNU tar manual, "Basic Tar Format").
const END_OF_TAR: u64 = 1024;

/// A layer that is held: while this value exists, neither deletion nor sweep removes the layer.
pub struct Layer {
    pub(super) shared: Arc<Shared>,
    key: LayerKey,
    diff_id: Digest,
    size: u64,
    tar_size: u64,
    /// The layer that lends it files.
    base: Option<LayerKey>,
    /// The same files adopted from elsewhere: someone may still have them mounted.
    twin: Option<Arc<Place>>,
}

impl Layer {
    /// The digest of the layer's plain tar.
    #[must_use]
    pub const fn diff_id(&self) -> Digest {
        self.diff_id
    }

    /// The bytes of its files.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The size of its plain tar.
    #[must_use]
    pub const fn tar_size(&self) -> u64 {
        self.tar_size
    }

    /// Whether it holds nothing, so that an image is the same without it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tar_size <= END_OF_TAR
    }

    /// The directory of its own files: all of them, unless another layer lends it some.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.shared.layer_path(&self.key).join(DIFF)
    }

    /// The directories for overlay's `lowerdir`, topmost first: its own, and that of the layer which lends it files.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let keys = std::iter::once(&self.key).chain(&self.base);
        keys.map(|key| self.shared.layer_path(key).join(DIFF)).collect()
    }

    /// Whether another layer lends it files.
    #[must_use]
    pub const fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// Writes the plain tar, byte for byte as it came, and returns its size.
    ///
    /// # Errors
    /// [`Error::Output`] when the layer cannot be read or `out` fails.
    pub fn write_tar(&self, out: &mut dyn Write) -> Result<u64, Error> {
        let base = self.base.as_ref().map(|base| self.shared.layer_path(base));
        layer::replay(&self.shared.layer_path(&self.key), base.as_deref(), out).map_err(Error::Output)
    }

    pub(super) const fn key(&self) -> &LayerKey {
        &self.key
    }
}

impl Clone for Layer {
    fn clone(&self) -> Self {
        if let Some(record) = self.shared.index_mut().layers.get_mut(&self.key) {
            record.leases += 1;
        }
        Self {
            shared: Arc::clone(&self.shared),
            key: Arc::clone(&self.key),
            base: self.base.clone(),
            twin: self.twin.clone(),
            ..*self
        }
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        let free = {
            let mut index = self.shared.index_mut();
            let Some(record) = index.layers.get_mut(&self.key) else { return };
            record.leases -= 1;
            record.leases == 0 && record.references == 0
        };
        if free {
            self.shared.drop_if_unneeded(&self.key);
        }
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Layer").field("key", &self.key).field("diff_id", &self.diff_id).finish()
    }
}

impl Store {
    /// Unpacks a layer's tar, compressed in any known way, into the store and holds it. A layer
    /// that is there already is held instead.
    ///
    /// # Errors
    /// [`Error::Archive`] when the tar is malformed, hostile or cut off; nothing stays then.
    pub fn unpack_layer(&self, source: impl Read + Send) -> Result<Layer, Error> {
        let budget = self.budget();
        self.unpack_layer_within(budget.source(source), &budget)
    }

    /// Unpacks a layer that is one of several, or a part of what came, as far as a budget goes.
    pub(crate) fn unpack_layer_within(
        &self,
        source: impl Read + Send,
        budget: &Budget,
    ) -> Result<Layer, Error> {
        let place = Place::new(&self.shared.root)?;
        let taken = layer::take(source, budget, &place.path)?;
        let (size, tar_size) = (taken.unpacked.size, taken.tar_size);
        self.record_layer(place, layer::Packed { diff_id: taken.diff_id, size, tar_size }, None)
    }

    /// Holds the layer with this digest, if it is there.
    #[must_use]
    pub fn layer(&self, diff_id: &Digest) -> Option<Layer> {
        self.shared.hold(diff_id)
    }

    /// Makes a layer of a directory's present content without changing it: its tar is packed and
    /// unpacked into the store. `lowers` are the directories below it, topmost first.
    ///
    /// # Errors
    /// `Internal` when it cannot be read or stored.
    pub fn copy_layer(&self, upper: &Path, lowers: &[PathBuf]) -> Result<Layer, Error> {
        self.copy_container_layer(upper, lowers, &[])
    }

    pub(crate) fn copy_container_layer(
        &self,
        upper: &Path,
        lowers: &[PathBuf],
        mount_points: &[PathBuf],
    ) -> Result<Layer, Error> {
        let below = Stack::open(lowers).map_err(Error::file("open the layers below", upper))?;
        std::thread::scope(|scope| {
            let (reader, writer) = std::io::pipe().map_err(Error::file("make a pipe for", upper))?;
            let packing = scope.spawn(move || layer::pack_tar(upper, below, mount_points, writer));
            let layer = self.unpack_layer(reader);
            match packing.join() {
                // A reader that failed breaks the pipe: its own error is more precise.
                Ok(Err(error)) if layer.is_ok() => Err(error),
                Ok(_) => layer,
                Err(_) => Err(Error::file("pack", upper)(std::io::Error::other("the thread is gone"))),
            }
        })
    }

    /// Makes a layer part of the store, or holds the same one that is there. `base` lends it files.
    pub(super) fn record_layer(
        &self,
        mut place: Place,
        packed: layer::Packed,
        base: Option<Base>,
    ) -> Result<Layer, Error> {
        let layer::Packed { diff_id, size, tar_size } = packed;
        // An adopted layer lies in its place already, and someone may have mounted it there.
        let adopted = place.path.parent().is_some_and(|parent| parent.ends_with("layers"));
        let same = |place, mut layer: Layer| {
            layer.twin = adopted.then(|| Arc::new(place));
            Ok(layer)
        };
        if let Some(layer) = self.shared.hold(&diff_id) {
            return same(place, layer);
        }
        let own_name = place.path.file_name().and_then(|name| name.to_str()).filter(|_| adopted);
        let key: LayerKey = own_name.map_or_else(random_name, |name| Ok(name.to_owned()))?.into();
        let target = self.shared.layer_path(&key);
        let mut database = self.shared.database();
        // The same layer may have been stored since the first look-up.
        if let Some(layer) = self.shared.hold(&diff_id) {
            drop(database);
            return same(place, layer);
        }
        if !adopted {
            std::fs::rename(&place.path, &target).map_err(Error::file("move a layer to", &target))?;
            place.path.clone_from(&target);
        }
        let record = LayerRecord {
            diff_id,
            size,
            tar_size,
            base,
            kept: 0,
            references: 0,
            leases: 1,
            doomed: false,
            unsettled: true,
        };
        insert_layer(&mut database, &key, &record, &self.shared.boot)
            .map_err(Error::database("record a layer"))?;
        place.kept = true;
        let base = record.base.as_ref().map(|base| Arc::clone(&base.key));
        self.shared.index_mut().insert_layer(Arc::clone(&key), record);
        Ok(Layer { shared: Arc::clone(&self.shared), key, diff_id, size, tar_size, base, twin: None })
    }
}

impl Shared {
    pub(super) fn layer_path(&self, key: &str) -> PathBuf {
        self.root.join("layers").join(key)
    }

    pub(super) fn hold(self: &Arc<Self>, diff_id: &Digest) -> Option<Layer> {
        let mut index = self.index_mut();
        let key = Arc::clone(index.layer_of.get(diff_id)?);
        let record = index.layers.get_mut(&key).filter(|layer| !layer.doomed)?;
        record.leases += 1;
        let (size, tar_size) = (record.size, record.tar_size);
        let base = record.base.as_ref().map(|base| Arc::clone(&base.key));
        Some(Layer { shared: Arc::clone(self), key, diff_id: *diff_id, size, tar_size, base, twin: None })
    }

    /// Removes a layer that no image refers to and that is not held.
    pub(super) fn drop_if_unneeded(&self, key: &LayerKey) {
        let database = self.database();
        let removed = {
            let mut index = self.index_mut();
            if !index.is_unneeded(key) {
                return;
            }
            index.remove_layer(key)
        };
        if let Err(error) = database.execute("DELETE FROM layers WHERE key = ?", [&**key]) {
            // It stays usable: the same layer could not be recorded a second time. The next start deletes it.
            tracing::warn!(layer = %key, %error, "cannot drop a layer's record");
            if let Some(layer) = removed {
                self.index_mut().insert_layer(Arc::clone(key), layer);
            }
            return;
        }
        drop(database);
        self.remove_layer_files(key);
        if let Some(base) = removed.and_then(|layer| layer.base) {
            self.drop_if_unneeded(&base.key);
        }
    }

    /// Removes a layer's files once its record is gone.
    pub(super) fn remove_layer_files(&self, key: &str) {
        let path = self.layer_path(key);
        if let Err(error) = tree::remove(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove a layer, the next start will");
        }
    }
}
