//! Networks as the engine uses them: open, reserve, connect, disconnect, remove.
//!
//! Each network has a book: who has which address and interface. What the host has once is shared
//! ([`host::Host`], which also says in which order locks are taken). The kernel is never asked while
//! a book is held, so a slow answer of it to one start does not keep another one from being
//! reserved. Who holds the firewall may look into the books.

mod adoption;
mod bridge;
mod carry;
mod connect;
mod hand_over;
mod host;
pub mod inside;
mod lock;
mod open;
mod reaper;
mod state;
mod switches;
mod watcher;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use model::ContainerId;

use crate::addresses::{AddressPool, AddressUsage};
use crate::endpoint::{AddressLease, Endpoint, Request, hardware_address};
use crate::error::Error;
use crate::family::Address;
use crate::fault::Step;
use crate::firewall::Content;
use crate::held_ports::Held;
use crate::publishing::Publishing;
use crate::route::Routing;
use crate::subnet::{InterfaceAddress, Subnet};
use lock::locked;
use state::{Active, Book, Bridge, DEFAULT_NETWORK, Entry, LinkState};
use watcher::Watcher;

/// One network. All methods may be called from several threads.
#[derive(Debug)]
pub struct Network {
    active: Option<Arc<Active>>,
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

    /// What the host reaches already, so that no network may be chosen there: its routes, its addresses, and
    /// its name servers.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn taken_by_host<A: Address>() -> Result<Vec<Subnet<A>>, Error> {
        bridge::taken_by_host(&mut Routing::open()?)
    }

    /// How many addresses of IPv4 are in use, the host's own and reserved ones included, and how many containers
    /// may still get.
    #[must_use]
    pub fn usage(&self) -> Option<AddressUsage> {
        self.active.as_ref()?.book().ipv4.as_ref().map(AddressPool::usage)
    }

    /// The same of IPv6.
    #[must_use]
    pub fn ipv6_usage(&self) -> Option<AddressUsage> {
        self.active.as_ref()?.book().ipv6.as_ref().map(AddressPool::usage)
    }

    /// What an administrator should know about this host, found at open; each is a sentence.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The endpoint of a container, if it has one.
    #[must_use]
    pub fn endpoint(&self, container: &ContainerId) -> Option<Endpoint> {
        let book = self.active.as_ref()?.book();
        book.endpoints.get(container).map(|entry| entry.endpoint.clone())
    }

    /// Gives a container an address and holds its ports on the host. Nothing of it is in the
    /// kernel's tables yet. Undone by [`Network::disconnect`].
    ///
    /// # Errors
    /// `port is already allocated` and its like; no free address; an endpoint that is there
    /// already; [`Error::Disabled`] without a bridge.
    pub fn reserve(&self, request: &Request) -> Result<Endpoint, Error> {
        let active = self.active()?;
        let link = active.host.new_link_name(&request.container);
        let mut book = active.book();
        if book.endpoints.contains_key(&request.container) {
            return Err(Error::Connected(request.container.clone()));
        }
        let leases = active.take_addresses(&mut book, request)?;
        match active.hold(request) {
            Ok(held) => Ok(active.enter(&mut book, request, leases, (link, held))),
            Err(error) => {
                leases.release(&mut book);
                Err(error)
            }
        }
    }

    /// Removes the engine's own bridge and what the firewall has of the network; with the default
    /// network the tables themselves, as no daemon needs them any longer. Only for a network without
    /// endpoints; a daemon that ends while containers run just drops it: they keep theirs.
    ///
    /// # Errors
    /// What could not be removed; the rest is gone all the same.
    pub fn remove(&self) -> Result<(), Error> {
        let Some(active) = &self.active else { return Ok(()) };
        drop(locked(&self.watcher).take());
        let mut errors = Vec::new();
        for link in active.host.reaper.take_back() {
            errors.extend(active.host.routing().delete_link(&link).err());
        }
        if let Some(mut firewall) = active.host.firewall() {
            let removed = match active.number {
                DEFAULT_NETWORK => firewall.remove(),
                number => firewall.remove_network(number),
            };
            errors.extend(removed.err());
        }
        if active.bridge.own {
            errors.extend(active.host.routing().delete_link(&active.bridge.name).err());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors.remove(0).with(errors)) }
    }

    fn active(&self) -> Result<&Active, Error> {
        self.active.as_deref().ok_or(Error::Disabled)
    }
}

impl Active {
    fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.book)
    }

    /// Takes an address of each family that the network has, or none.
    fn take_addresses(&self, book: &mut Book, request: &Request) -> Result<Leases, Error> {
        let ipv4 = lease(book.ipv4.as_mut(), self.bridge.ipv4, request.address)?;
        let leases = Leases { ipv4, ipv6: None };
        match lease(book.ipv6.as_mut(), self.bridge.ipv6, request.ipv6_address) {
            Ok(ipv6) => Ok(Leases { ipv6, ..leases }),
            Err(error) => {
                leases.release(book);
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
        (link, held): (String, Vec<Held>),
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
            link,
            ports: held.iter().map(|held| held.port).collect(),
            exceptions: Vec::new(),
        };
        let entry = Entry { endpoint: endpoint.clone(), held, link: LinkState::Missing };
        book.endpoints.insert(request.container.clone(), entry);
        endpoint
    }
}

/// The addresses of one container.
#[derive(Debug, Clone, Copy)]
struct Leases {
    ipv4: Option<AddressLease<Ipv4Addr>>,
    ipv6: Option<AddressLease<Ipv6Addr>>,
}

impl Leases {
    fn release(self, book: &mut Book) {
        if let (Some(pool), Some(lease)) = (&mut book.ipv4, self.ipv4) {
            pool.release(lease.address);
        }
        if let (Some(pool), Some(lease)) = (&mut book.ipv6, self.ipv6) {
            pool.release(lease.address);
        }
    }
}

/// Takes the address that is asked for, or a free one; `None` of a family that the network has not.
fn lease<A: Address>(
    pool: Option<&mut AddressPool<A>>,
    host: Option<InterfaceAddress<A>>,
    asked: Option<A>,
) -> Result<Option<AddressLease<A>>, Error> {
    let (Some(pool), Some(host)) = (pool, host) else { return Ok(None) };
    let range = pool.range();
    let address = match asked {
        Some(address) => pool.take_exactly(address).map(|()| address)?,
        None => pool.take().ok_or_else(|| Error::NoFreeAddress(range.to_string()))?,
    };
    Ok(Some(AddressLease { address, prefix_length: host.prefix_length, gateway: host.address }))
}

impl Book {
    /// What the firewall holds for all endpoints that have a link.
    fn content(&self) -> Content {
        let mut content = Content::default();
        for entry in self.endpoints.values() {
            if let Some(place) = entry.link.place() {
                content.add(&entry.endpoint, place);
            }
        }
        content
    }
}
