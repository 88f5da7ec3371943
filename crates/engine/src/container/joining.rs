//! Which containers' namespaces a container joins: whatever becomes of their names, the same ones at each start.

use model::{ContainerId, ContainerReference, HostSettings};

use crate::container::Container;
use crate::directory::Directory;

/// Replaces names of existing containers in references by their full ids; names without a container yet are looked up
/// at the start.
pub(crate) fn write_full_ids(directory: &Directory, host: &mut HostSettings) {
    let joined = [host.network_mode.joined_mut(), host.ipc_mode.joined_mut(), host.pid_mode.joined_mut()];
    for ContainerReference(other) in joined.into_iter().flatten() {
        if let Ok(container) = directory.find(other) {
            container.id().as_str().clone_into(other);
        }
    }
}

/// The same for a container that has just joined them, and whose lock the caller holds.
pub(crate) fn settle(directory: &Directory, container: &Container) {
    let record = container.record();
    let host = &record.settings.host;
    let joined = [host.network_mode.joined(), host.ipc_mode.joined(), host.pid_mode.joined()];
    if joined.into_iter().flatten().all(|other| ContainerId::parse(other.as_str()).is_ok()) {
        return;
    }
    let mut host = host.clone();
    write_full_ids(directory, &mut host);
    container.publish(|record| {
        let own = &mut record.settings.host;
        (own.network_mode, own.ipc_mode, own.pid_mode) = (host.network_mode, host.ipc_mode, host.pid_mode);
    });
}
