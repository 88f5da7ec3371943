//! Layers made of directories that are moved into the store.

use std::path::{Path, PathBuf};

use super::place::Place;
use super::{Layer, Store, random_name};
use crate::Error;
use crate::layer::{self, DIFF};
use crate::tree::Stack;

/// A layer made of a directory, whose digest is not computed yet.
pub struct AdoptedLayer {
    store: Store,
    place: Place,
    below: Stack,
}

/// A place for a future layer, with all that it needs except its files. It is removed unless the layer is
/// made.
pub struct LayerPlace(Place);

impl Store {
    /// Makes the place of a layer before there are its files: some disks take longer for that than for the rest.
    ///
    /// # Errors
    /// `Internal` when it cannot be made.
    pub fn prepare_layer(&self) -> Result<LayerPlace, Error> {
        // In its final place at once: unless the same layer exists already its path stays.
        let path = self.shared.layer_path(&random_name()?);
        sys::private::directory(&path).map_err(Error::file("make", &path))?;
        let place = Place { path, kept: false };
        layer::prepare(&place.path)?;
        Ok(LayerPlace(place))
    }

    /// Turns the directory of a step's or container's changes (overlay's upper directory) into a
    /// layer: it is moved into the store at once, and usable. `lowers` are the directories below it, topmost first.
    ///
    /// # Errors
    /// `Internal` when it cannot be moved: it must lie on the store's file system.
    pub fn adopt_layer(&self, upper: &Path, lowers: &[PathBuf]) -> Result<AdoptedLayer, Error> {
        self.adopt_layer_into(self.prepare_layer()?, upper, lowers)
    }

    /// [`Self::adopt_layer`] into a place that has been prepared.
    ///
    /// # Errors
    /// `Internal` when it cannot be moved: it must lie on the store's file system.
    pub fn adopt_layer_into(
        &self,
        LayerPlace(place): LayerPlace,
        upper: &Path,
        lowers: &[PathBuf],
    ) -> Result<AdoptedLayer, Error> {
        let below = Stack::open(lowers).map_err(Error::file("open the layers below", upper))?;
        move_in(upper, &place)?;
        Ok(AdoptedLayer { store: self.clone(), place, below })
    }

    /// Moves the directory of a layer into the store.
    pub(super) fn take_in(&self, upper: &Path) -> Result<Place, Error> {
        let LayerPlace(place) = self.prepare_layer()?;
        move_in(upper, &place)?;
        Ok(place)
    }
}

fn move_in(upper: &Path, place: &Place) -> Result<(), Error> {
    std::fs::rename(upper, place.path.join(DIFF)).map_err(Error::file("move into the image store", upper))
}

impl AdoptedLayer {
    /// The directory for overlay's `lowerdir`, valid while this value exists.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.place.path.join(DIFF)
    }

    /// Computes the digest and makes the layer part of the store. Where the same layer is there already that
    /// one is held instead and has another directory; the old one stays, for those that have mounted it,
    /// until the layer is dropped.
    ///
    /// # Errors
    /// `Internal` when it cannot be read or recorded; the directory is gone then.
    pub fn finish(self) -> Result<Layer, Error> {
        let Self { store, place, below } = self;
        let packed = layer::pack(&place.path, below)?;
        store.record_layer(place, packed, None)
    }
}

impl std::fmt::Debug for LayerPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LayerPlace").field("path", &self.0.path).finish()
    }
}

impl std::fmt::Debug for AdoptedLayer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AdoptedLayer").field("directory", &self.directory()).finish_non_exhaustive()
    }
}
