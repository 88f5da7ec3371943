//! What the host has once, whatever networks there are: the routing socket, the firewall's tables, the table
//! of ports, the reaper of interfaces, the faults of a test.
//!
//! Locks are taken in this order: firewall, list of networks, a network's address table, table of ports. The
//! kernel is never called while a table is locked.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use model::ContainerId;

use super::interface_names::InterfaceNames;
use super::lock::locked;
use super::reaper::Reaper;
use super::spare_bridges::SpareBridges;
pub(super) use super::state::Host;
use super::state::{Active, DEFAULT_NETWORK};
use crate::error::Error;
use crate::fault::Faults;
use crate::firewall::{Content, Firewall};
use crate::held_ports::PortBook;
use crate::route::Routing;

/// The parts of a host.
pub(super) struct Parts {
    pub(super) faults: Faults,
    pub(super) reaper: Reaper,
    pub(super) spare_bridges: SpareBridges,
    pub(super) routing: Routing,
    pub(super) firewall: Option<Firewall>,
    pub(super) ports: PortBook,
    /// How many endpoints there were before, so that their names are not met again soon.
    pub(super) known: u32,
}

impl Host {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            faults: parts.faults,
            reaper: parts.reaper,
            spare_bridges: parts.spare_bridges,
            routing: Mutex::new(parts.routing),
            firewall: parts.firewall.map(Mutex::new),
            ports: Mutex::new(parts.ports),
            networks: Mutex::default(),
            last_number: AtomicU32::new(DEFAULT_NETWORK),
            interface_names: InterfaceNames::new(parts.known),
        }
    }

    pub(super) fn routing(&self) -> MutexGuard<'_, Routing> {
        locked(&self.routing)
    }

    pub(super) fn firewall(&self) -> Option<MutexGuard<'_, Firewall>> {
        self.firewall.as_ref().map(locked)
    }

    pub(super) fn ports(&self) -> MutexGuard<'_, PortBook> {
        locked(&self.ports)
    }

    /// A number that no network of this host has had.
    pub(super) fn new_number(&self) -> u32 {
        self.last_number.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Counts a network as one of this host.
    pub(super) fn register(&self, network: &Arc<Active>) {
        let mut networks = locked(&self.networks);
        networks.retain(|network| network.strong_count() > 0);
        networks.push(Arc::downgrade(network));
        for entry in network.book().endpoints.values() {
            self.interface_names.adopt(&entry.endpoint.host_interface);
        }
    }

    fn networks(&self) -> Vec<Arc<Active>> {
        locked(&self.networks).iter().filter_map(Weak::upgrade).collect()
    }

    /// A name for the host's end of a container's next interface.
    pub(super) fn new_interface_name(&self, container: &ContainerId) -> Result<String, Error> {
        let give = || self.interface_names.give(container, &self.reaper.names());
        if let Some(name) = give() {
            return Ok(name);
        }
        // Its last interfaces may have the names still.
        let mut routing = self.routing();
        self.reaper.remove_now(&mut routing)?;
        give().ok_or(Error::NoInterfaceName)
    }

    /// The tables' elements for all endpoints of all networks.
    pub(super) fn content(&self) -> Content {
        let mut content = Content::default();
        for network in self.networks() {
            content.append(network.book().content());
        }
        content
    }

    /// Restores the engine's rules where some were removed.
    pub(super) fn mend_firewall(&self) -> Result<(), Error> {
        let Some(mut firewall) = self.firewall() else { return Ok(()) };
        if !firewall.is_whole()? {
            firewall.rebuild(self.content())?;
            tracing::warn!("another program removed firewall rules of this engine; they are made again");
        }
        firewall.follow_host()
    }
}
