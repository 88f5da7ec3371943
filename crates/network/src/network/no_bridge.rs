//! `--bridge none`: the default network has nothing, yet clients may make networks. What the host has once is made with
//! the first of them.

use std::sync::{Arc, Mutex};

use super::group::{GOING, SPARE, group_of};
use super::host::{Host, Parts};
use super::lock::locked;
use super::reaper::Reaper;
use super::spare_bridges::{self, SpareBridges};
use super::switches;
use super::watcher::Watcher;
use crate::error::Error;
use crate::fault::Faults;
use crate::firewall::{Content, Firewall};
use crate::held_ports::PortBook;
use crate::options::Options;
use crate::route::Routing;

/// Used instead of a bridge's name in the names of tables and groups.
const NAME: &str = "none";

/// A host without a default bridge.
#[derive(Debug)]
pub(super) struct NoBridge {
    firewall: bool,
    ipv6_firewall: bool,
    faults: Faults,
    /// Made with the first network.
    host: Mutex<Option<Arc<Host>>>,
}

impl NoBridge {
    pub(super) fn new(options: &Options, faults: Faults) -> Self {
        let Options { firewall, ipv6_firewall, .. } = *options;
        Self { firewall, ipv6_firewall, faults, host: Mutex::default() }
    }

    /// The shared parts of the networks.
    pub(super) fn host(&self, watcher: &Mutex<Option<Watcher>>) -> Result<Arc<Host>, Error> {
        let mut host = locked(&self.host);
        if let Some(host) = &*host {
            return Ok(Arc::clone(host));
        }
        let firewall = match self.firewall {
            true => Some(Firewall::build(NAME, &Content::default(), self.ipv6_firewall)?),
            false => None,
        };
        let made = Arc::new(Host::new(Parts {
            faults: self.faults.clone(),
            reaper: Reaper::start(Routing::open()?, group_of(GOING, NAME))?,
            spare_bridges: SpareBridges::start(
                Routing::open()?,
                group_of(SPARE, NAME),
                group_of(GOING, NAME),
            )?,
            routing: Routing::open()?,
            firewall,
            ports: PortBook::new(switches::ephemeral_ports()),
            known: 0,
        }));
        if self.firewall {
            *locked(watcher) = Some(Watcher::start(Arc::clone(&made))?);
        }
        *host = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Removes the rules and bridges that earlier daemons made, where no network needs them.
    pub(super) fn remove_unused(&self) -> Result<(), Error> {
        if locked(&self.host).is_some() {
            return Ok(());
        }
        let rules = Firewall::remove_left(NAME);
        let (spare, going) = (group_of(SPARE, NAME), group_of(GOING, NAME));
        rules.and(spare_bridges::remove_left(&mut Routing::open()?, spare, going))
    }

    /// Removes what the networks shared; they are gone.
    pub(super) fn remove(&self) -> Result<(), Error> {
        let Some(host) = locked(&self.host).take() else { return Ok(()) };
        host.spare_bridges.close();
        host.firewall().map_or(Ok(()), |mut firewall| firewall.remove())
    }
}
