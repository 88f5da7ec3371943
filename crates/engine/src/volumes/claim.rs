//! The volumes of a container: claimed while it is made, released when it goes.

use std::path::Path;

use model::{ContainerId, MountPoint};

use super::plan::Plan;
use super::{Known, Volumes};
use crate::container::Record;
use crate::error::Error;
use crate::store::{Row, VolumeRow};

/// Holds volumes for a container that is being made. Dropped before [`Claim::keep`], it takes away
/// again what was made for it.
pub(crate) struct Claim<'v> {
    service: &'v Volumes,
    volumes: Vec<VolumeRow>,
    made: Vec<VolumeRow>,
}

impl Claim<'_> {
    /// The container is saved now, and its volumes with it.
    pub(crate) fn keep(mut self) {
        self.made.clear();
        let mut known = self.service.known();
        for volume in &self.volumes {
            known.rows.entry(volume.name.clone()).or_insert_with(|| volume.clone());
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut known = self.service.known();
        for VolumeRow { name, .. } in &self.volumes {
            if let Some(count) = known.claims.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    known.claims.remove(name);
                }
            }
        }
        for volume in &self.made {
            if !self.service.is_used(&known, &volume.name, None) {
                known.rows.remove(&volume.name);
                self.service.database.keep(vec![Row::NoVolume(volume.name.clone())]).forget();
                self.service.discard(volume);
            }
        }
    }
}

impl Volumes {
    /// Gives a container its mounts: decides, makes and fills volumes, has `save` write the record and
    /// the rows of the volumes it uses.
    ///
    /// # Errors
    /// What was asked for is refused, or a volume cannot be made or filled. Nothing is left then.
    pub(crate) fn mount(
        &self,
        record: &mut Record,
        save: impl FnOnce(&Record, Vec<Row>) -> Result<(), Error>,
    ) -> Result<Claim<'_>, Error> {
        let Plan { mounts, volumes } = self.plan_mounts(record)?;
        let claim = self.make(record, &mounts, volumes)?;
        record.mounts = mounts;
        save(record, claim.volumes.iter().cloned().map(Row::Volume).collect())?;
        Ok(claim)
    }

    /// Makes and fills the volumes that a plan names and that do not exist.
    fn make(
        &self,
        record: &Record,
        planned: &[MountPoint],
        volumes: Vec<VolumeRow>,
    ) -> Result<Claim<'_>, Error> {
        for volume in &volumes {
            *self.known().claims.entry(volume.name.clone()).or_default() += 1;
        }
        let mut claim = Claim { service: self, volumes, made: Vec::new() };
        for volume in claim.volumes.clone() {
            let place = planned.iter().find(|mount| mount.name == volume.name);
            let mut fill = |target: &Path| match place {
                Some(mount) => self.fill(record, mount, target),
                None => Ok(()),
            };
            if self.driver(&volume.driver)?.create(&volume.name, &mut fill)? {
                claim.made.push(volume);
            }
        }
        Ok(claim)
    }

    /// Copies what the image has at a new volume's place into the volume.
    fn fill(&self, record: &Record, mount: &MountPoint, target: &Path) -> Result<(), Error> {
        if mount.mode.no_copy {
            return Ok(());
        }
        let lower = self.images.lower_directories(record)?;
        images::copy_up(&lower, Path::new(&mount.destination), target).map_err(Error::Image)
    }

    /// Deletes volumes that a daemon died over: neither recorded nor used by a container.
    pub(crate) fn sweep(&self) {
        let known = self.known();
        let records: Vec<_> = self.directory.all().iter().map(|container| container.record()).collect();
        let is_used =
            |name: &str| records.iter().any(|record| record.mounts.iter().any(|mount| mount.name == name));
        for driver in &self.drivers {
            driver.sweep(&|name| known.rows.contains_key(name) || is_used(name));
        }
    }

    /// Removes the anonymous volumes that a container had, that it does not keep and that no other one
    /// uses. `write` deletes their rows in one step with what it writes of the container: a directory
    /// without a row is swept by the next daemon.
    ///
    /// # Errors
    /// Those of `write`; then nothing is removed.
    pub(crate) fn release(
        &self,
        record: &Record,
        kept: &[MountPoint],
        write: impl FnOnce(Vec<Row>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut known = self.known();
        let mut gone: Vec<VolumeRow> = Vec::new();
        for MountPoint { name, .. } in &record.mounts {
            let is_kept = kept.iter().any(|kept| kept.name == *name);
            let is_known = gone.iter().any(|volume| volume.name == *name);
            if !is_kept
                && !is_known
                && known.is_anonymous(name)
                && !self.is_used(&known, name, Some(&record.id))
            {
                gone.extend(known.rows.get(name).cloned());
            }
        }
        if gone.is_empty() {
            drop(known);
            return write(Vec::new());
        }
        // Held until the rows are gone: nobody may claim these volumes meanwhile.
        write(gone.iter().map(|volume| Row::NoVolume(volume.name.clone())).collect())?;
        for volume in &gone {
            known.rows.remove(&volume.name);
            self.discard(volume);
        }
        Ok(())
    }

    /// Whether a container uses a volume, or one being made will. One container may be left out.
    fn is_used(&self, known: &Known, name: &str, but: Option<&ContainerId>) -> bool {
        let uses = |record: &Record| record.mounts.iter().any(|mount| mount.name == name);
        let others = self.directory.all().into_iter().filter(|container| Some(container.id()) != but);
        known.claims.contains_key(name) || others.into_iter().any(|container| uses(&container.record()))
    }

    fn discard(&self, volume: &VolumeRow) {
        let removed = self.driver(&volume.driver).and_then(|driver| driver.remove(&volume.name));
        if let Err(error) = removed {
            tracing::warn!("cannot remove volume {}: {error}", volume.name);
        }
    }
}
