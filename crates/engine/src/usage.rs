//! How much of the disk containers and volumes take. What nothing can have changed since it was measured is not measured
//! again: the layer of a container that has not run and was not written to, the volumes of such containers alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{ContainerId, Timestamp};

use crate::container::{Container, Record};
use crate::directory::Directory;
use crate::error::Error;
use crate::layer_size;
use crate::outcome::joined;
use crate::paths::Paths;
use crate::volumes::{Volume, Volumes};

/// Measures what containers and volumes take.
pub struct Usage {
    pub(crate) directory: Arc<Directory>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) measured: Mutex<MeasuredSizes>,
}

/// A volume, and what it takes.
#[derive(Debug, Clone)]
pub struct VolumeUsage {
    /// The volume.
    pub volume: Volume,
    /// How many containers have it among their mounts.
    pub users: usize,
    /// The bytes of its files.
    pub size: u64,
}

/// The measured sizes, with the time of their validity.
#[derive(Debug, Default)]
pub(crate) struct MeasuredSizes {
    containers: HashMap<ContainerId, (Stamp, u64)>,
    volumes: HashMap<String, (Vec<Stamp>, u64)>,
}

/// Changes whenever a container's files may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    container: ContainerId,
    started: Timestamp,
    finished: Timestamp,
    writes: u64,
}

impl Usage {
    /// The containers with the bytes of their own layers.
    ///
    /// # Errors
    /// Layers that cannot be read.
    pub async fn of_containers(self: &Arc<Self>) -> Result<Vec<(Arc<Record>, u64)>, Error> {
        let usage = Arc::clone(self);
        joined(tokio::task::spawn_blocking(move || usage.containers()).await)?
    }

    /// The volumes with the bytes of their files, by name.
    ///
    /// # Errors
    /// Volumes that cannot be read.
    pub async fn of_volumes(self: &Arc<Self>) -> Result<Vec<VolumeUsage>, Error> {
        let usage = Arc::clone(self);
        joined(tokio::task::spawn_blocking(move || usage.measured_volumes()).await)?
    }

    fn containers(&self) -> Result<Vec<(Arc<Record>, u64)>, Error> {
        let known = std::mem::take(&mut self.sizes().containers);
        let (mut measured, mut sizes) = (HashMap::new(), Vec::new());
        for container in self.directory.all() {
            // Before the size: what is written meanwhile makes it old.
            let (record, stamp) = (container.record(), stamp(&container));
            let size = match known.get(&record.id) {
                Some((then, size)) if stamp.as_ref() == Some(then) => *size,
                _ => {
                    let measured = layer_size::of_container(&self.paths, &record.id);
                    // It has gone meanwhile.
                    if self.directory.get(&record.id).is_none_or(|container| container.is_going()) {
                        continue;
                    }
                    measured?.bytes
                }
            };
            if let Some(stamp) = stamp {
                measured.insert(record.id.clone(), (stamp, size));
            }
            sizes.push((record, size));
        }
        self.sizes().containers = measured;
        Ok(sizes)
    }

    fn measured_volumes(&self) -> Result<Vec<VolumeUsage>, Error> {
        let known = std::mem::take(&mut self.sizes().volumes);
        let containers = self.directory.all();
        let (mut measured, mut usages) = (HashMap::new(), Vec::new());
        for volume in self.volumes.all() {
            let uses = |container: &&Arc<Container>| {
                container.record().mounts.iter().any(|mount| mount.is_volume(&volume.name))
            };
            let users: Vec<&Arc<Container>> = containers.iter().filter(uses).collect();
            let stamps: Option<Vec<Stamp>> = users.iter().map(|user| stamp(user)).collect();
            let size = match known.get(&volume.name) {
                Some((then, size)) if stamps.as_ref() == Some(then) => *size,
                _ => match images::tree_size(&volume.content) {
                    Ok(size) => size,
                    Err(_) if self.volumes.find(&volume.name).is_err() => continue,
                    Err(error) => return Err(Error::Image(error)),
                },
            };
            if let Some(stamps) = stamps {
                measured.insert(volume.name.clone(), (stamps, size));
            }
            usages.push(VolumeUsage { users: users.len(), volume, size });
        }
        self.sizes().volumes = measured;
        Ok(usages)
    }

    fn sizes(&self) -> std::sync::MutexGuard<'_, MeasuredSizes> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The present stamp of a container; none while its processes may write.
fn stamp(container: &Container) -> Option<Stamp> {
    let record = container.record();
    let is_still = !record.is_running() && !record.is_restarting();
    is_still.then(|| Stamp {
        container: record.id.clone(),
        started: record.started_at,
        finished: record.finished_at,
        writes: container.writes(),
    })
}
