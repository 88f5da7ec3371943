//! What the host has once, whatever networks there are: the routing socket, the firewall's tables, the
//! book of ports, the reaper of interfaces, the faults of a test.
//!
//! Locks are taken in this order: firewall, list of networks, a network's book, book of ports. The
//! kernel is never asked while a book is held.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use model::ContainerId;

use super::lock::locked;
use super::reaper::Reaper;
use super::spare_bridges::SpareBridges;
pub(super) use super::state::Host;
use super::state::{Active, DEFAULT_NETWORK};
use crate::endpoint::host_interface_name;
use crate::error::Error;
use crate::fault::Faults;
use crate::firewall::{Content, Firewall};
use crate::held_ports::PortBook;
use crate::route::Routing;

/// How many names the interfaces of one container have on the host.
const LETTERS: u32 = 26;

/// What a host is made of.
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
            generation: AtomicU32::new(parts.known.wrapping_mul(7)),
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
    }

    fn networks(&self) -> Vec<Arc<Active>> {
        locked(&self.networks).iter().filter_map(Weak::upgrade).collect()
    }

    /// A name for the host's end of a container's next interface, which none of its others has, nor one that is
    /// about to be removed by its name.
    pub(super) fn new_host_interface_name(&self, container: &ContainerId) -> String {
        let networks = self.networks();
        let interface = |network: &Arc<Active>| {
            Some(network.book().endpoints.get(container)?.endpoint.host_interface.clone())
        };
        let own = networks.iter().filter_map(interface);
        let taken: HashSet<String> = own.chain(self.reaper.names()).collect();
        free_interface_name(container, &self.generation, &taken)
    }

    /// What the tables hold for all endpoints of all networks.
    pub(super) fn content(&self) -> Content {
        let mut content = Content::default();
        for network in self.networks() {
            content.append(network.book().content());
        }
        content
    }

    /// Makes the engine's rules anew where somebody has removed some.
    pub(super) fn mend_firewall(&self) -> Result<(), Error> {
        let Some(mut firewall) = self.firewall() else { return Ok(()) };
        if !firewall.is_whole()? {
            firewall.rebuild(self.content())?;
            tracing::warn!("another program removed firewall rules of this engine; they are made again");
        }
        firewall.follow_host()
    }
}

fn free_interface_name(container: &ContainerId, generation: &AtomicU32, taken: &HashSet<String>) -> String {
    // A container of 26 networks has all names taken; the kernel then refuses the last.
    let tries = (0..LETTERS).map(|_| {
        let generation = generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        host_interface_name(container, generation)
    });
    let mut last = String::new();
    for name in tries {
        if !taken.contains(&name) {
            return name;
        }
        last = name;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_given_while_another_interface_has_it_or_is_about_to_lose_it() {
        let container = ContainerId::from_random([7; 32]);
        let generation = AtomicU32::new(0);
        let mut taken = HashSet::new();
        for _ in 0..LETTERS {
            // Each daemon counts anew.
            generation.store(0, Ordering::Relaxed);
            assert!(taken.insert(free_interface_name(&container, &generation, &taken)), "twice the same");
        }
        assert!(taken.contains(&free_interface_name(&container, &generation, &taken)), "there are no more");
    }
}
