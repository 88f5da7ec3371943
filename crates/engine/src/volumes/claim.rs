//! The volumes of a container: claimed while it is made, released when it goes.

use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use model::{EventAction, MountPoint, MountedVolume};

use super::plan::{Plan, Planner};
use super::service::{Known, Volumes};
use crate::container::Record;
use crate::error::Error;
use crate::store::{Row, VolumeRow};

/// Holds volumes for a container that is being made. Dropped before [`Claim::keep`], it removes what was made
/// for it.
pub(crate) struct Claim<'v> {
    service: &'v Volumes,
    volumes: Vec<VolumeRow>,
    made: Vec<VolumeRow>,
}

impl Claim<'_> {
    /// Makes those that do not exist; `fill` puts the first content into one.
    ///
    /// # Errors
    /// When one cannot be made or filled.
    pub(super) fn make(
        &mut self,
        fill: &mut dyn FnMut(&VolumeRow, &Path) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for volume in &self.volumes {
            let driver = self.service.driver(volume.driver);
            let known = self.service.known().rows.get(&volume.name).cloned();
            let options = known.map_or_else(|| volume.options.clone(), |known| known.options);
            let mut fill = |target: &Path| fill(volume, target);
            let is_mount = driver.is_mount(&options);
            // The directory of one that is a mount stays empty.
            let created = if is_mount {
                driver.create(&volume.name, &options, &mut |_| Ok(false))?
            } else {
                driver.create(&volume.name, &options, &mut fill)?
            };
            if created {
                self.made.push(volume.clone());
            }
            if !created || is_mount {
                driver.fill_empty(&volume.name, &options, &mut fill)?;
            }
        }
        Ok(())
    }

    /// They are saved and published now. They stay claimed until this is dropped: their users are recorded by
    /// then.
    pub(crate) fn keep(&mut self) {
        self.made.clear();
    }
}

/// Publishes saved volumes; existing ones stay as they are.
pub(crate) fn show_saved(service: &Volumes, volumes: &[VolumeRow]) {
    for volume in volumes {
        let mut known = service.known();
        if !known.rows.contains_key(&volume.name) {
            known.rows.insert(volume.name.clone(), volume.clone());
            drop(known);
            service.events.emit(volume, EventAction::Create);
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
    /// Gives a container its mounts: plans, creates and fills volumes, has `save` write the record with the volumes that
    /// it uses, and publishes these.
    ///
    /// # Errors
    /// The request is refused, or a volume cannot be made or filled. Nothing is left then.
    pub(crate) fn mount(
        &self,
        record: &mut Record,
        save: impl FnOnce(&Record, &[VolumeRow]) -> Result<(), Error>,
    ) -> Result<Claim<'_>, Error> {
        let Plan { mounts, volumes, images } = Planner(self).plan(record)?;
        let mut claim = self.claim(volumes);
        for volume in &claim.volumes {
            self.check_same(volume)?;
        }
        claim.make(&mut |volume, target| {
            let place = mounts.iter().find(|mount| mount.is_volume(&volume.name));
            place.map_or(Ok(false), |mount| self.fill(record, mount, target))
        })?;
        record.mounts = mounts;
        record.image_mounts = images;
        save(record, &claim.volumes)?;
        Ok(claim)
    }

    /// Keeps removals from volumes, which need not exist yet. Waits until those that are being removed have gone.
    pub(super) fn claim(&self, volumes: Vec<VolumeRow>) -> Claim<'_> {
        for volume in &volumes {
            *self.known_settled(&volume.name).claims.entry(volume.name.clone()).or_default() += 1;
        }
        Claim { service: self, volumes, made: Vec::new() }
    }

    /// The known volumes, once none of this name is being removed.
    pub(super) fn known_settled(&self, name: &str) -> MutexGuard<'_, Known> {
        let known = self.known();
        self.left
            .wait_while(known, |known| known.leaving.contains(name))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies what the image has at a volume's place into the volume; returns whether it has a directory there.
    fn fill(&self, record: &Record, mount: &MountPoint, target: &Path) -> Result<bool, Error> {
        if mount.mode.no_copy || mount.volume().is_some_and(|volume| !volume.subpath.is_empty()) {
            return Ok(false);
        }
        let lower = self.images.lower_directories(record)?;
        images::copy_up(&lower, Path::new(&mount.destination), target).map_err(Error::Image)
    }

    /// Removes the anonymous volumes that a container had, that it does not keep and that no other one
    /// uses. `write` deletes their rows in one step with what it writes of the container.
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
        for MountedVolume { name, .. } in record.mounts.iter().filter_map(MountPoint::volume) {
            let is_kept = kept.iter().any(|kept| kept.is_volume(name));
            let is_known = gone.iter().any(|volume| volume.name == *name);
            if !is_kept
                && !is_known
                && known.is_anonymous(name)
                && !known.leaving.contains(name)
                && !self.is_used(&known, name, Some(&record.id))
            {
                gone.extend(known.rows.get(name).cloned());
            }
        }
        let leaving = self.leaving(&mut known, gone);
        drop(known);
        leaving.remove(write)
    }
}
