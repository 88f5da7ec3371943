//! The store: images, their layers, their names; in memory for readers, in SQLite for good.
//!
//! ```text
//! images.db             images, layers, names, and every config and manifest as it came
//! layers/<key>/         one directory a layer, see `layer`
//! blobs/sha256/<hex>    downloads under way
//! temporary/            what is not recorded yet, swept at the next start
//! ```
//!
//! Writers hold the database's lock from their first check to the change in memory; readers take the index, and for
//! documents the database while no writer holds it, or else a connection of their own: they never wait for a disk that is
//! written to. Changes are made durable in the background, see `settle`; only a removal waits for that, before any file is
//! deleted. A layer stays as long as an image refers to it or a [`Layer`] is held.

mod adopt;
mod bases;
mod change;
mod checkpoint;
mod children;
mod damage;
mod database;
mod documents;
mod handle;
mod held_images;
mod images;
mod index;
mod kept;
mod layer_blobs;
mod layer_rows;
mod layers;
mod load_index;
mod log;
mod name;
mod named_targets;
mod names;
mod place;
mod reading;
mod recent_configs;
mod replacement;
mod settle;
mod settler;
mod step_use;
mod steps;
mod stored;
mod sweep;
mod target;
mod targets;
mod unkept;
mod write_out;

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use crate::Error;
use crate::budget::DEFAULT_ALLOWANCE;
pub use adopt::{AdoptedLayer, LayerPlace};
pub(crate) use change::Departure;
pub use damage::{Salvaged, check_pages, is_damage, is_missing, salvage, those_set_aside, version_of};
pub use documents::digest_of;
pub(crate) use documents::parse as parse_document;
use handle::Shared;
pub use handle::Store;
pub(crate) use handle::random_name;
pub use held_images::HeldImage;
pub use images::{Image, NewImage, Origin, Published};
pub(crate) use index::{ImageRecord, Index, LayerKey, LayerRecord, names_of};
pub use layer_blobs::LayerBlob;
pub use layers::Layer;
use load_index::load_index;
pub use log::{keep_log, release_pages};
pub(crate) use name::{Name, NamedImage};
pub use names::{Naming, TagPolicy};
pub use replacement::{begin_replacement, conclude_replacement, finish_replacement};
pub use settler::SettlingDeferred;
pub use steps::BuildStep;
pub use target::{NewTarget, Target, Variant};

impl Store {
    /// Opens the store in the directory `root`, made if it is missing, and sweeps what an earlier
    /// process left half done.
    ///
    /// # Errors
    /// `Internal` when the directory or the database cannot be used.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        for part in ["layers", "blobs/sha256", "temporary"] {
            let directory = root.join(part);
            std::fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        }
        let descriptor = std::fs::File::open(&root).map_err(Error::file("open", &root))?;
        let connection = database::open(&root.join("images.db"))?;
        let mut index = load_index(&connection)?;
        index.hold_for(those_set_aside(&root.join("images.db")).len());
        let shared = Shared {
            root_descriptor: descriptor.into(),
            database: Mutex::new(connection),
            index: RwLock::new(index),
            configs: Mutex::default(),
            boot: settle::boot()?,
            settler: Arc::default(),
            checkpoint: checkpoint::Checkpoint::of(&root.join("images.db")),
            recording: Mutex::default(),
            root,
            users: RwLock::new(None),
            allowance: AtomicU64::new(DEFAULT_ALLOWANCE),
        };
        let store = Self { shared: Arc::new(shared) };
        store.check_unsettled()?;
        store.sweep()?;
        store.release_pages()?;
        store.start_settler()?;
        Ok(store)
    }
}
