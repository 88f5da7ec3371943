//! A mount of a container, as its row has it.

use model::{
    MountMode, MountOrigin, MountPoint, MountedVolume, Owners, Spelled, Submounts, VolumeDriverKind,
};
use serde::{Deserialize, Serialize};

/// Something that is mounted into a container.
#[derive(Serialize, Deserialize)]
pub(super) struct MountDocument {
    name: String,
    source: String,
    destination: String,
    driver: String,
    mode: Spelled<MountMode>,
    writable: bool,
    writable_submounts: bool,
    submounts: Submounts,
    owners: Owners,
    subpath: String,
}

impl MountDocument {
    pub(super) fn of(mount: &MountPoint) -> Self {
        let volume = mount.volume().cloned();
        Self {
            driver: volume.as_ref().map_or("", |volume| volume.driver.name()).to_owned(),
            subpath: volume.as_ref().map_or("", |volume| &volume.subpath).to_owned(),
            name: volume.map(|volume| volume.name).unwrap_or_default(),
            source: mount.source.clone(),
            destination: mount.destination.clone(),
            mode: mount.mode.clone(),
            writable: mount.writable,
            writable_submounts: mount.writable_submounts,
            submounts: mount.submounts,
            owners: mount.owners,
        }
    }

    pub(super) fn mount(self) -> MountPoint {
        let volume = MountedVolume {
            name: self.name,
            // There is one, and rows of later versions are not read.
            driver: VolumeDriverKind::of(&self.driver).unwrap_or_default(),
            subpath: self.subpath,
        };
        MountPoint {
            origin: if volume.name.is_empty() { MountOrigin::Bind } else { MountOrigin::Volume(volume) },
            source: self.source,
            destination: self.destination,
            mode: self.mode,
            writable: self.writable,
            writable_submounts: self.writable_submounts,
            submounts: self.submounts,
            owners: self.owners,
        }
    }
}
