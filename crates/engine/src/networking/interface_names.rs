//! Names of a container's interfaces: the lowest free one, or the requested one.

use std::collections::BTreeSet;

use model::Attachment;

use crate::endpoint::Endpoint;
use crate::networks::entry::NetworkEntry;

/// The option of an endpoint that names its interface.
pub(super) const NAME: &str = "com.docker.network.endpoint.ifname";

/// The names that are in use in a container.
#[derive(Default)]
pub(super) struct InterfaceNames(BTreeSet<String>);

impl InterfaceNames {
    /// Those of a container that runs.
    pub(super) fn of(endpoints: &[Endpoint]) -> Self {
        let leases = endpoints.iter().filter_map(|endpoint| endpoint.lease.as_ref());
        Self(leases.map(|lease| lease.interface_name.clone()).collect())
    }

    /// Takes the name of the interface in one more network.
    pub(super) fn next(&mut self, entry: &NetworkEntry, attachment: &Attachment) -> String {
        if let Some(name) = attachment.driver_options.as_ref().and_then(|options| options.get(NAME)) {
            self.0.insert(name.clone());
            return name.clone();
        }
        let prefix = entry.options.interface_prefix();
        let mut number = 0_u32;
        loop {
            let name = format!("{prefix}{number}");
            if self.0.insert(name.clone()) {
                return name;
            }
            number += 1;
        }
    }
}
