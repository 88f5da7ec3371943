//! Volumes: directories that outlive containers, made whole or not at all, shared and removed.

mod claim;
mod driver;
mod local;
mod plan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::MountPoint;

use crate::directory::Directory;
use crate::error::Error;
use crate::image::Images;
use crate::paths::Paths;
use crate::store::{Database, VolumeRow};

use driver::VolumeDriver;
use local::Local;

/// All volumes: who keeps them, what is known of them, and who is about to use them.
pub(crate) struct Volumes {
    drivers: [Box<dyn VolumeDriver>; 1],
    known: Mutex<Known>,
    database: Arc<Database>,
    directory: Arc<Directory>,
    images: Arc<Images>,
}

/// What is known of volumes.
#[derive(Default)]
struct Known {
    /// As they are saved.
    rows: HashMap<String, VolumeRow>,
    /// How many containers being made name each volume: no removal takes it from them.
    claims: HashMap<String, usize>,
}

impl Volumes {
    /// Takes over the volumes that are saved.
    pub(crate) fn new(
        saved: Vec<VolumeRow>,
        database: &Arc<Database>,
        directory: &Arc<Directory>,
        images: &Arc<Images>,
        paths: &Paths,
    ) -> Self {
        let rows = saved.into_iter().map(|volume| (volume.name.clone(), volume)).collect();
        Self {
            drivers: [Box::new(Local::new(paths.volumes(), paths.trash()))],
            known: Mutex::new(Known { rows, claims: HashMap::new() }),
            database: Arc::clone(database),
            directory: Arc::clone(directory),
            images: Arc::clone(images),
        }
    }

    /// The driver of this name, `local` when none is named.
    ///
    /// # Errors
    /// `NotFound` when there is no such driver.
    fn driver(&self, name: &str) -> Result<&dyn VolumeDriver, Error> {
        let wanted = if name.is_empty() { "local" } else { name };
        let found = self.drivers.iter().find(|driver| driver.name() == wanted);
        found.map(|driver| &**driver).ok_or_else(|| {
            Error::not_found(format!("Error looking up volume plugin {name}: Plugin not found"))
        })
    }

    /// Makes a mounted volume that somebody took away, empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn ensure(&self, mount: &MountPoint) -> Result<(), Error> {
        self.driver(&mount.driver)?.create(&mount.name, &mut |_| Ok(())).map(drop)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_anonymous(&self, name: &str) -> bool {
        self.rows.get(name).is_some_and(|volume| volume.anonymous)
    }
}
