//! Mounts the volumes of containers that are mounts of their own, and finds those that earlier daemons mounted.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use model::{ContainerSpec, MountPoint, MountSource};
use shim_protocol::{CONTROL_DESCRIPTOR, RunDirectory, ShimProcesses};

use super::held::{HeldMounts, HeldVolume};
use super::service::Volumes;
use crate::container::Record;
use crate::error::Error;
use crate::shim::RECORD_LIMIT;
use crate::store::VolumeRow;

/// The volumes that are mounts of their own, while containers use them.
pub(crate) struct VolumeMounts {
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) held: HeldMounts,
}

impl VolumeMounts {
    /// Mounts those of a container's volumes that are mounts, unless another container has them mounted. Blocks.
    ///
    /// # Errors
    /// When the host refuses one; then none is held for this container.
    pub(crate) fn hold(&self, record: &Record) -> Result<Vec<HeldVolume>, Error> {
        let volumes = mounted_volumes(&self.volumes, record);
        let held = volumes.into_iter().map(|row| {
            let namespace = self.held.hold(&row.name, &record.id, || self.open(&row))?;
            let owners = self.volumes.driver(row.driver).owners(&row.options);
            Ok(HeldVolume { volume: row.name, namespace, owners })
        });
        let held = held.collect::<Result<Vec<_>, Error>>();
        if held.is_err() {
            drop(self.no_longer_held(record));
        }
        held
    }

    /// Mounts a volume in a namespace of its own.
    fn open(&self, row: &VolumeRow) -> Result<OwnedFd, Error> {
        let driver = self.volumes.driver(row.driver);
        let mount = driver.mount(&row.name, &row.options)?;
        let failed = |error| Error::of_host(format!("cannot hold the mount of volume {}: {error}", row.name));
        sys::held_mount::hold(&mount, &driver.content(&row.name)).map_err(failed)
    }

    /// A container uses its volumes no more: those that no other uses are no longer mounted.
    pub(crate) async fn let_go(&self, record: &Record) {
        let gone = self.no_longer_held(record);
        if !gone.is_empty() {
            // A server may take its time.
            let _ = tokio::task::spawn_blocking(move || drop(gone)).await;
        }
    }

    /// The namespaces of a container's volumes that no other uses.
    fn no_longer_held(&self, record: &Record) -> Vec<Arc<OwnedFd>> {
        let volumes = mounted_volumes(&self.volumes, record).into_iter();
        volumes.filter_map(|row| self.held.let_go(&row.name, &record.id)).collect()
    }

    /// A detached copy of the mount of a volume; of an unused volume a mount of its own. `None` for a volume that is a
    /// directory.
    ///
    /// # Errors
    /// When the host refuses.
    pub(crate) fn copy_of(&self, name: &str) -> Result<Option<OwnedFd>, Error> {
        let row = self.volumes.known().rows.get(name).cloned();
        let Some(row) = row.filter(|row| is_mount(&self.volumes, row)) else { return Ok(None) };
        let Some(namespace) = self.held.namespace(name) else {
            return self.volumes.driver(row.driver).mount(&row.name, &row.options).map(Some);
        };
        let failed = |error| Error::of_host(format!("cannot copy the mount of volume {name}: {error}"));
        sys::held_mount::copy(namespace.as_fd()).map(Some).map_err(failed)
    }

    /// Finds the mounts of a container that an earlier daemon started in its shim.
    pub(crate) fn take_over(&self, record: &Record, directory: &RunDirectory) {
        if mounted_volumes(&self.volumes, record).is_empty() {
            return;
        }
        let read = |path: &Path| sys::bounded_read::read(path, RECORD_LIMIT).ok();
        let spec =
            read(&directory.spec()).and_then(|text| serde_json::from_slice::<ContainerSpec>(&text).ok());
        let processes =
            read(&directory.processes()).and_then(|text| serde_json::from_slice::<ShimProcesses>(&text).ok());
        let (Some(spec), Some(ShimProcesses { shim, .. })) = (spec, processes) else { return };
        for mount in &spec.mounts {
            let MountSource::Held { volume, number } = &mount.source else { continue };
            let found = self.held.hold(volume, &record.id, || {
                let number = i32::try_from(*number).unwrap_or(i32::MAX - CONTROL_DESCRIPTOR - 1);
                let found = sys::held_mount::of_process(shim.pid, CONTROL_DESCRIPTOR + 1 + number);
                let found = found.map_err(|error| Error::of_host(error.to_string()))?;
                // Only now: the number may be another process's.
                let is_alive = sys::process::is_alive(shim.pid, shim.start_time);
                if is_alive { Ok(found) } else { Err(Error::ShimGone) }
            });
            if let Err(error) = found {
                tracing::warn!(
                    "cannot find the mount of volume {volume} of container {}: {error}",
                    record.id
                );
            }
        }
    }
}

/// The volumes of a container that are mounts, each once.
fn mounted_volumes(volumes: &Volumes, record: &Record) -> Vec<VolumeRow> {
    let mounted = record.mounts.iter().filter_map(MountPoint::volume);
    let mut names: Vec<&str> = mounted.map(|volume| volume.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let known = volumes.known();
    let rows = names.into_iter().filter_map(|name| known.rows.get(name));
    rows.filter(|row| is_mount(volumes, row)).cloned().collect()
}

/// Whether a volume is a mount, and no directory of the engine's own.
fn is_mount(volumes: &Volumes, row: &VolumeRow) -> bool {
    volumes.driver(row.driver).is_mount(&row.options)
}
