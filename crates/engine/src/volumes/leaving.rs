//! Removes volumes: a name can be used again once its row is deleted and its content is out of sight.

use model::EventAction;

use super::service::{Known, Volumes};
use crate::error::Error;
use crate::store::{Row, VolumeRow};

/// Volumes that are being removed.
pub(super) struct Leaving<'v> {
    service: &'v Volumes,
    volumes: Vec<VolumeRow>,
}

impl Volumes {
    /// Marks unused volumes, under the lock under which that was checked.
    pub(super) fn leaving(&self, known: &mut Known, volumes: Vec<VolumeRow>) -> Leaving<'_> {
        known.leaving.extend(volumes.iter().map(|volume| volume.name.clone()));
        Leaving { service: self, volumes }
    }
}

impl Leaving<'_> {
    /// Removes them. `write` deletes their rows: a directory without a row is swept by the next daemon.
    ///
    /// # Errors
    /// Those of `write`; then nothing is removed.
    pub(super) fn remove(self, write: impl FnOnce(Vec<Row>) -> Result<(), Error>) -> Result<(), Error> {
        write(self.volumes.iter().map(|volume| Row::NoVolume(volume.name.clone())).collect())?;
        for volume in &self.volumes {
            self.service.known().rows.remove(&volume.name);
            self.service.discard(volume);
            self.service.events.emit(volume, EventAction::Destroy);
        }
        Ok(())
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut known = self.service.known();
        for volume in &self.volumes {
            known.leaving.remove(&volume.name);
        }
        drop(known);
        self.service.left.notify_all();
    }
}
