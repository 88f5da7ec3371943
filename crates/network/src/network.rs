//! Networks as the engine uses them: open, reserve, connect, disconnect, remove.
//!
//! Each network has an address table: the addresses and interfaces of its containers. What the host has once
//! is shared ([`host::Host`], which also documents the order of locks). The kernel is never called while a
//! table is locked, so a slow call for one start does not keep another one from being reserved. A holder of
//! the firewall's lock may lock the tables.

mod adopted_endpoints;
mod adoption;
mod bridge;
mod bridge_addresses;
mod carry;
mod connect;
mod group;
mod hand_over;
mod host;
pub mod inside;
mod interface_names;
mod leases;
mod listing;
mod lock;
mod no_bridge;
mod on_parent;
mod open;
mod open_on_parent;
mod reaper;
mod restored_bridge;
mod shared_bridge;
mod spare_bridges;
mod state;
mod switches;
mod watcher;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use model::ContainerId;

use crate::addresses::{AddressPool, AddressUsage};
use crate::endpoint::{Endpoint, LinkException, LinkedPort, Request, hardware_address};
use crate::error::Error;
use crate::family::Address;
use crate::fault::Step;
use crate::firewall::Content;
use crate::held_ports::Held;
use crate::publishing::Publishing;
use crate::route::Routing;
use crate::subnet::{InterfaceAddress, Subnet};
use host::Host;
use leases::Leases;
pub use listing::HostListing;
use lock::locked;
use no_bridge::NoBridge;
use on_parent::OnParent;
use state::{Active, Book, Bridge, BridgeOwner, DEFAULT_NETWORK, Entry, InterfaceState};
use watcher::Watcher;

/// One network. All methods may be called from several threads.
#[derive(Debug)]
pub struct Network {
    active: Option<Arc<Active>>,
    /// Its parts where it is on an interface of the host and has no bridge.
    on_parent: Option<OnParent>,
    /// Its parts with `--bridge none`.
    none: Option<NoBridge>,
    warnings: Vec<String>,
    /// Keeps the firewall as it must be while others change the host's rules; the default network's.
    watcher: Mutex<Option<Watcher>>,
}

impl Network {
    /// The bridge's name; `None` with `--bridge none`, when containers of the mode `bridge` have only a loopback
    /// and nothing may be reserved.
    #[must_use]
    pub fn bridge(&self) -> Option<&str> {
        self.active.as_ref().map(|active| active.bridge.name.as_str())
    }

    /// Whether containers get addresses here.
    #[must_use]
    pub fn has_addresses(&self) -> bool {
        self.active.is_some() || self.on_parent.is_some()
    }

    /// The address of IPv4 that containers have as their gateway.
    #[must_use]
    pub fn ipv4(&self) -> Option<InterfaceAddress> {
        self.active.as_ref()?.bridge.ipv4
    }

    /// The same of IPv6.
    #[must_use]
    pub fn ipv6(&self) -> Option<InterfaceAddress<Ipv6Addr>> {
        self.active.as_ref()?.bridge.ipv6
    }

    /// How ports are published here.
    #[must_use]
    pub fn publishing(&self) -> Option<Publishing> {
        self.active.as_ref().map(|active| active.publishing)
    }

    /// The subnets that the host reaches already, so that no network may be chosen there: its routes, its
    /// addresses, and its name servers.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn taken_by_host<A: Address>() -> Result<Vec<Subnet<A>>, Error> {
        bridge_addresses::taken_by_host(&mut Routing::open()?)
    }

    /// The addresses of an interface of the host; `None` if it does not exist.
    ///
    /// # Errors
    /// When the kernel's list cannot be read.
    pub fn addresses_of_host_interface(name: &str) -> Result<Option<Vec<IpAddr>>, Error> {
        let mut routing = Routing::open()?;
        let Some(interface) = routing.interface(name)? else { return Ok(None) };
        let ipv4 = routing.addresses_of::<Ipv4Addr>(&interface)?.into_iter();
        let ipv6 = routing.addresses_of::<Ipv6Addr>(&interface)?.into_iter();
        let ipv4 = ipv4.map(|address| IpAddr::from(address.address));
        Ok(Some(ipv4.chain(ipv6.map(|address| address.address.into())).collect()))
    }

    /// How many addresses of IPv4 are in use, the host's own and reserved ones included, and how many containers
    /// may still get.
    #[must_use]
    pub fn usage(&self) -> Option<AddressUsage> {
        self.book()?.ipv4.as_ref().map(AddressPool::usage)
    }

    /// The same of IPv6.
    #[must_use]
    pub fn ipv6_usage(&self) -> Option<AddressUsage> {
        self.book()?.ipv6.as_ref().map(AddressPool::usage)
    }

    /// Warnings about this host for an administrator, found at open; each is a sentence.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The endpoint of a container, if it has one.
    #[must_use]
    pub fn endpoint(&self, container: &ContainerId) -> Option<Endpoint> {
        let book = self.book()?;
        book.endpoints.get(container).map(|entry| entry.endpoint.clone())
    }

    /// Gives a container an address and holds its ports on the host. Nothing of it is in the
    /// kernel's tables yet. Undone by [`Network::disconnect`].
    ///
    /// # Errors
    /// `port is already allocated` and its like; no free address; an endpoint that is there
    /// already; [`Error::Disabled`] without a bridge.
    pub fn reserve(&self, request: &Request) -> Result<Endpoint, Error> {
        if let Some(own) = &self.on_parent {
            return own.reserve(request);
        }
        let active = self.active()?;
        let interface = active.host.new_interface_name(&request.container)?;
        active.reserve(request, &interface).inspect_err(|_| active.host.interface_names.free(&interface))
    }

    /// Removes the engine's own bridge and the network's elements in the firewall; with the default network
    /// the tables themselves, as no daemon needs them any longer. Only for a network without endpoints; a
    /// daemon that ends while containers run just drops it: they keep theirs.
    ///
    /// # Errors
    /// What could not be removed. A further network whose bridge stays is as it was, and may be removed again.
    pub fn remove(&self) -> Result<(), Error> {
        if let Some(own) = &self.on_parent {
            return own.remove();
        }
        if let Some(none) = &self.none {
            drop(locked(&self.watcher).take());
            return none.remove();
        }
        let Some(active) = &self.active else { return Ok(()) };
        drop(locked(&self.watcher).take());
        let mut errors = Vec::new();
        match active.number {
            DEFAULT_NETWORK => {
                errors.extend(active.host.reaper.remove_now(&mut active.host.routing()).err());
                active.host.spare_bridges.close();
                errors.extend(active.host.firewall().and_then(|mut firewall| firewall.remove().err()));
                errors.extend(active.remove_bridge().err());
            }
            number => {
                active.retire_bridge()?;
                errors.extend(active.leave_firewall(number).err());
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors.remove(0).with(errors)) }
    }

    fn book(&self) -> Option<MutexGuard<'_, Book>> {
        let own = || self.on_parent.as_ref().map(OnParent::book);
        self.active.as_ref().map(|active| active.book()).or_else(own)
    }

    /// Removes what earlier daemons left on the host for networks of clients, if there are no such networks now.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn remove_unused(&self) -> Result<(), Error> {
        self.none.as_ref().map_or(Ok(()), NoBridge::remove_unused)
    }

    /// The shared parts of the host, for further networks.
    fn host(&self) -> Result<Arc<Host>, Error> {
        match (&self.active, &self.none) {
            (Some(active), _) => Ok(Arc::clone(&active.host)),
            (None, Some(none)) => none.host(&self.watcher),
            (None, None) => Err(Error::Disabled),
        }
    }

    fn active(&self) -> Result<&Active, Error> {
        self.active.as_deref().ok_or(Error::Disabled)
    }
}

impl Active {
    fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.book)
    }

    fn remove_bridge(&self) -> Result<(), Error> {
        let mut routing = self.host.routing();
        match &self.bridge.owner {
            BridgeOwner::Engine => {
                self.host.faults.pass(Step::RemoveBridge)?;
                routing.delete_interface(&self.bridge.name)
            }
            BridgeOwner::SomebodyElse(additions) => {
                additions.give_back(&self.bridge.interface(), &mut routing)
            }
        }
    }

    /// Leaves the engine's own bridge to the networks that come, or to its removal.
    fn retire_bridge(&self) -> Result<(), Error> {
        if let BridgeOwner::SomebodyElse(_) = &self.bridge.owner {
            return self.remove_bridge();
        }
        self.host.faults.pass(Step::RemoveBridge)?;
        let mut routing = self.host.routing();
        // It may have been recreated by hand since.
        let Some(bridge) = routing.interface(&self.bridge.name)? else { return Ok(()) };
        let settings = self.bridge.settings.clone();
        self.host.spare_bridges.retire(&mut routing, &bridge, settings)
    }

    /// Removes the network from the firewall. Where the kernel refuses, the tables are rebuilt without it.
    fn leave_firewall(&self, number: u32) -> Result<(), Error> {
        let Some(mut firewall) = self.host.firewall() else { return Ok(()) };
        let left = self.host.faults.pass(Step::LeaveFirewall).map_err(Error::from);
        left.and_then(|()| firewall.remove_network(number)).or_else(|error| {
            firewall.rebuild_without(number, self.host.content()).map_err(|left| error.with(vec![left]))
        })
    }

    fn reserve(&self, request: &Request, interface: &str) -> Result<Endpoint, Error> {
        let mut book = self.book();
        if book.endpoints.contains_key(&request.container) {
            return Err(Error::Connected(request.container.clone()));
        }
        let hosts = (self.bridge.ipv4, self.bridge.ipv6);
        let leases = Leases::take(&mut book, hosts, request)?;
        match self.hold(request) {
            Ok(held) => Ok(self.enter(&mut book, request, leases, (interface.to_owned(), held))),
            Err(error) => {
                leases.release(&mut book);
                Err(error)
            }
        }
    }

    fn hold(&self, request: &Request) -> Result<Vec<Held>, Error> {
        self.host.faults.pass(Step::TakeAddress)?;
        let mut ports = self.host.ports();
        let held = ports.hold(&request.ports, &self.publishing)?;
        match self.host.faults.pass(Step::HoldPorts) {
            Ok(()) => Ok(held),
            Err(error) => {
                ports.release(held);
                Err(error.into())
            }
        }
    }

    /// Writes the endpoint into the book.
    fn enter(
        &self,
        book: &mut Book,
        request: &Request,
        Leases { ipv4, ipv6 }: Leases,
        (interface, held): (String, Vec<Held>),
    ) -> Endpoint {
        let endpoint = Endpoint {
            container: request.container.clone(),
            ipv4,
            ipv6,
            internal: self.internal,
            mac: request
                .mac
                .unwrap_or_else(|| hardware_address(ipv4.map(|it| it.address), ipv6.map(|it| it.address))),
            interface_name: request.interface_name.clone(),
            source_check: request.source_check,
            host_interface: interface,
            ports: held.iter().map(|held| held.port).collect(),
            relays_loopback: ipv6.is_some() && held.iter().any(Held::is_relayed),
            trusted_interfaces: self.trusted_interfaces.clone(),
            exceptions: Vec::new(),
        };
        let entry = Entry { endpoint: endpoint.clone(), held, interface: InterfaceState::Missing };
        book.endpoints.insert(request.container.clone(), entry);
        endpoint
    }
}

impl Book {
    /// The firewall's elements for all endpoints that have an interface.
    fn content(&self) -> Content {
        let mut content = Content::default();
        for entry in self.endpoints.values() {
            if let Some(place) = entry.interface.place() {
                content.add(&entry.endpoint, place);
            }
        }
        content
    }

    /// The exceptions for links of a container to these ports, by the addresses that both have now.
    fn exceptions(
        &self,
        container: &ContainerId,
        ports: &[LinkedPort],
    ) -> Result<BTreeSet<LinkException>, Error> {
        let address = |of: &ContainerId| Some(self.endpoints.get(of)?.endpoint.ipv4?.address.into());
        let from = address(container).ok_or_else(|| Error::NotConnected(container.clone()))?;
        let exception = |linked: &LinkedPort| {
            Some(LinkException { from, to: address(&linked.container)?, port: linked.port })
        };
        Ok(ports.iter().filter_map(exception).collect())
    }
}
