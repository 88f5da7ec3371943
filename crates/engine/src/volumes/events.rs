//! The events of volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Actor, EventAction, MountPoint, MountedVolume, ResourceKind};

use crate::container::Record;
use crate::events::Events;
use crate::store::VolumeRow;

/// Publishes the events of volumes.
pub(crate) struct VolumeEvents(pub(crate) Arc<Events>);

impl VolumeEvents {
    /// Publishes that a volume was made or removed.
    pub(crate) fn emit(&self, volume: &VolumeRow, action: EventAction) {
        self.send(&volume.name, action, [("driver", volume.driver.to_string())].into());
    }

    /// Publishes how much a prune has freed.
    pub(crate) fn emit_prune(&self, reclaimed: u64) {
        self.0.emit_prune(ResourceKind::Volume, reclaimed);
    }

    /// Publishes that a container has its volumes mounted.
    pub(crate) fn emit_mounts(&self, record: &Record) {
        for (mount, volume) in volumes_of(record) {
            let propagation = mount.mode.propagation.map_or("", model::Propagation::word);
            let attributes = [
                ("container", record.id.to_string()),
                ("destination", mount.destination.clone()),
                ("driver", volume.driver.to_string()),
                ("propagation", propagation.to_owned()),
                ("read/write", mount.writable.to_string()),
            ];
            self.send(&volume.name, EventAction::Mount, attributes.into());
        }
    }

    /// Publishes that a container has its volumes mounted no more.
    pub(crate) fn emit_unmounts(&self, record: &Record) {
        for (_, volume) in volumes_of(record) {
            let attributes = [("container", record.id.to_string()), ("driver", volume.driver.to_string())];
            self.send(&volume.name, EventAction::Unmount, attributes.into());
        }
    }

    fn send(&self, name: &str, action: EventAction, attributes: BTreeMap<&str, String>) {
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.0.emit(ResourceKind::Volume, action, Actor { id: name.to_owned(), attributes });
    }
}

fn volumes_of(record: &Record) -> impl Iterator<Item = (&MountPoint, &MountedVolume)> {
    record.mounts.iter().filter_map(|mount| Some((mount, mount.volume()?)))
}
