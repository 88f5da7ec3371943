//! The service of volumes: their records, and the drivers that store their content.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use model::{ContainerId, MountPoint, MountedVolume, VolumeDriverChoice, VolumeDriverKind};

use super::driver::VolumeDriver;
use super::events::VolumeEvents;
use super::local::Local;
use super::volume::{ANONYMOUS_LABEL, Volume};
use crate::container::Record;
use crate::directory::Directory;
use crate::error::Error;
use crate::image::Images;
use crate::paths::Paths;
use crate::store::{Database, VolumeRow};

/// The drivers that store the content of volumes.
pub(crate) struct Drivers {
    local: Local,
}

impl Drivers {
    /// All that there are.
    pub(crate) fn new(paths: &Paths) -> Self {
        Self { local: Local::new(paths.volumes(), paths.trash()) }
    }

    fn of(&self, kind: VolumeDriverKind) -> &dyn VolumeDriver {
        match kind {
            VolumeDriverKind::Local => &self.local,
        }
    }

    fn all(&self) -> [&dyn VolumeDriver; 1] {
        [&self.local]
    }
}

/// The driver that is asked for.
///
/// # Errors
/// `NotFound` when there is no such driver.
pub(super) fn choose_driver(choice: &VolumeDriverChoice) -> Result<VolumeDriverKind, Error> {
    match choice {
        VolumeDriverChoice::Default => Ok(VolumeDriverKind::default()),
        VolumeDriverChoice::Named(kind) => Ok(*kind),
        VolumeDriverChoice::Unregistered(name) => {
            Err(Error::not_found(format!("Error looking up volume plugin {name}: Plugin not found")))
        }
    }
}

/// All volumes: their drivers, their records, and the claims of requests that are about to use them.
pub struct Volumes {
    pub(crate) drivers: Drivers,
    pub(crate) known: Mutex<Known>,
    /// Wakes waiters for the removal of a volume of their name.
    pub(crate) left: Condvar,
    pub(crate) database: Arc<Database>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: VolumeEvents,
    pub(crate) images: Arc<Images>,
}

/// The records of volumes.
#[derive(Default)]
pub(crate) struct Known {
    /// As they are saved.
    pub(super) rows: HashMap<String, VolumeRow>,
    /// How many containers being made name each volume: no removal takes it from them.
    pub(super) claims: HashMap<String, usize>,
    /// Those that are being removed: creation of the same name waits.
    pub(super) leaving: HashSet<String>,
}

impl Known {
    /// Takes over the volumes that are saved.
    pub(crate) fn of(saved: Vec<VolumeRow>) -> Self {
        let rows = saved.into_iter().map(|mut volume| {
            if volume.anonymous {
                // Missing in rows of earlier releases.
                volume.labels.entry(ANONYMOUS_LABEL.to_owned()).or_default();
            }
            (volume.name.clone(), volume)
        });
        Self { rows: rows.collect(), ..Self::default() }
    }

    pub(super) fn is_anonymous(&self, name: &str) -> bool {
        self.rows.get(name).is_some_and(|volume| volume.anonymous)
    }
}

impl Volumes {
    /// All volumes, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Volume> {
        let mut all: Vec<Volume> = self.known().rows.values().map(|row| self.shown(row)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Finds a volume by its name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn find(&self, name: &str) -> Result<Volume, Error> {
        let known = self.known();
        known.rows.get(name).map(|row| self.shown(row)).ok_or_else(|| unknown(name))
    }

    /// The containers that have a volume among their mounts, whether they run or not.
    #[must_use]
    pub fn users(&self, name: &str) -> Vec<ContainerId> {
        let uses = |record: &Record| record.mounts.iter().any(|mount| mount.is_volume(name));
        let containers = self.directory.all().into_iter();
        containers.filter(|container| uses(&container.record())).map(|user| user.id().clone()).collect()
    }

    /// The names of all volumes that containers have among their mounts, whether they run or not.
    #[must_use]
    pub fn used(&self) -> HashSet<String> {
        let mut used = HashSet::new();
        for container in self.directory.all() {
            let record = container.record();
            let volumes = record.mounts.iter().filter_map(MountPoint::volume);
            used.extend(volumes.map(|volume| volume.name.clone()));
        }
        used
    }

    fn shown(&self, row: &VolumeRow) -> Volume {
        Volume {
            name: row.name.clone(),
            driver: row.driver,
            options: row.options.clone(),
            labels: row.labels.clone(),
            created: row.created,
            content: self.driver(row.driver).content(&row.name),
        }
    }

    /// The driver of this kind.
    pub(super) fn driver(&self, kind: VolumeDriverKind) -> &dyn VolumeDriver {
        self.drivers.of(kind)
    }

    /// Recreates the directory of a mounted volume, empty, if it was removed behind the engine's back.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn ensure(&self, volume: &MountedVolume) -> Result<(), Error> {
        let options = self.known().rows.get(&volume.name).map(|row| row.options.clone()).unwrap_or_default();
        self.driver(volume.driver).create(&volume.name, &options, &mut |_| Ok(false)).map(drop)
    }

    /// Deletes volumes that a daemon died over: neither recorded nor used by a container.
    pub(crate) fn sweep(&self) {
        let known = self.known();
        let used = self.used();
        for driver in self.drivers.all() {
            driver.sweep(&|name| known.rows.contains_key(name) || used.contains(name));
        }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn unknown(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}
