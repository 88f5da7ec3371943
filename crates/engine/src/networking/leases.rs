//! What containers have of their networks, as their records keep it.

use crate::container::{Container, Record};
use crate::networks::registry::NetworkRegistry;
use crate::store::Written;

/// Saves what the networks know of a container's endpoints.
pub(super) fn save(registry: &NetworkRegistry, container: &Container) -> Written {
    container.update_saved(|record| refresh(registry, record)).1
}

/// Takes over what the networks know of a container's endpoints.
pub(super) fn refresh(registry: &NetworkRegistry, record: &mut Record) {
    let Record { id, endpoints, .. } = record;
    for endpoint in endpoints.iter_mut().filter(|endpoint| endpoint.lease.is_some()) {
        let entry = registry.of_endpoint(endpoint).ok();
        endpoint.lease = entry.and_then(|entry| entry.live()?.endpoint(id));
    }
}
