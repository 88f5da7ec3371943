//! The network as the engine uses it: open, reserve, connect, disconnect, remove.
//!
//! Three locks: the book (who has which address and ports), the routing socket, the firewall's
//! socket. The kernel is never asked while the book is held, so a slow answer of it to one start
//! does not keep another one from being reserved. Who holds the firewall may look into the book.

mod bridge;
mod carry;
mod connect;
mod host;
mod open;
mod reaper;
mod watcher;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::ContainerId;

use crate::addresses::AddressPool;
use crate::endpoint::{Endpoint, Request, link_name};
use crate::error::Error;
use crate::fault::{Faults, Step};
use crate::firewall::{Content, Firewall, Place};
use crate::held_ports::{Held, PortBook};
use crate::mac::MacAddress;
use crate::route::Routing;
use crate::subnet::InterfaceAddress;
use reaper::Reaper;
use watcher::Watcher;

/// The network of one engine. All methods may be called from several threads.
#[derive(Debug)]
pub struct Network {
    active: Option<Arc<Active>>,
    warnings: Vec<String>,
    /// Keeps the firewall as it must be while others change the host's rules.
    watcher: Mutex<Option<Watcher>>,
}

/// A network with a bridge.
#[derive(Debug)]
struct Active {
    bridge: Bridge,
    default_host_ip: Ipv4Addr,
    mtu: u32,
    /// Whether containers reach each other without a link.
    communicate: bool,
    /// Marks this engine's links.
    group: u32,
    faults: Faults,
    book: Mutex<Book>,
    routing: Mutex<Routing>,
    reaper: Reaper,
    /// `None` with `--iptables=false`.
    firewall: Option<Mutex<Firewall>>,
}

/// The bridge that containers are connected to.
#[derive(Debug, Clone)]
struct Bridge {
    name: String,
    index: u32,
    address: InterfaceAddress,
    /// Whether the engine may remove it.
    own: bool,
}

/// Who has what.
#[derive(Debug)]
struct Book {
    addresses: AddressPool,
    ports: PortBook,
    endpoints: HashMap<ContainerId, Entry>,
    /// Counts endpoints, so that each link has a new name.
    generation: u32,
}

#[derive(Debug)]
struct Entry {
    endpoint: Endpoint,
    held: Vec<Held>,
    link: LinkState,
}

/// How far an endpoint's link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    Missing,
    Port,
    Routed,
}

impl LinkState {
    /// Where the link ends on the host, if it is there.
    const fn place(self) -> Option<Place> {
        match self {
            Self::Missing => None,
            Self::Port => Some(Place::Port),
            Self::Routed => Some(Place::Beside),
        }
    }
}

impl Network {
    /// The bridge's name and address; `None` with `--bridge none`, when containers of the mode
    /// `bridge` have only a loopback and nothing may be reserved.
    #[must_use]
    pub fn bridge(&self) -> Option<(&str, InterfaceAddress)> {
        self.active.as_ref().map(|active| (active.bridge.name.as_str(), active.bridge.address))
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
        let mut book = active.book();
        if book.endpoints.contains_key(&request.container) {
            return Err(Error::Connected(request.container.clone()));
        }
        let range = book.addresses.range();
        let address = book.addresses.take().ok_or(Error::NoFreeAddress(range))?;
        match active.hold(&mut book, request) {
            Ok(held) => Ok(active.enter(&mut book, request, address, held)),
            Err(error) => {
                book.addresses.release(address);
                Err(error)
            }
        }
    }

    /// Removes the firewall's table and the engine's own bridge, as no daemon needs them any
    /// longer. Only for a daemon that ends with no container running; otherwise just drop the
    /// network: containers keep theirs.
    ///
    /// # Errors
    /// What could not be removed; the rest is gone all the same.
    pub fn remove(&self) -> Result<(), Error> {
        let Some(active) = &self.active else { return Ok(()) };
        drop(locked(&self.watcher).take());
        let mut errors = Vec::new();
        for link in active.reaper.take_back() {
            errors.extend(active.routing().delete_link(&link).err());
        }
        if let Some(mut firewall) = active.firewall() {
            errors.extend(firewall.remove().err());
        }
        if active.bridge.own {
            errors.extend(active.routing().delete_link(&active.bridge.name).err());
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

    fn routing(&self) -> MutexGuard<'_, Routing> {
        locked(&self.routing)
    }

    fn firewall(&self) -> Option<MutexGuard<'_, Firewall>> {
        self.firewall.as_ref().map(locked)
    }

    fn hold(&self, book: &mut Book, request: &Request) -> Result<Vec<Held>, Error> {
        self.faults.pass(Step::TakeAddress)?;
        let held = book.ports.hold(&request.ports, self.default_host_ip)?;
        match self.faults.pass(Step::HoldPorts) {
            Ok(()) => Ok(held),
            Err(error) => {
                book.ports.release(held);
                Err(error.into())
            }
        }
    }

    /// Writes the endpoint into the book.
    fn enter(&self, book: &mut Book, request: &Request, address: Ipv4Addr, held: Vec<Held>) -> Endpoint {
        book.generation = book.generation.wrapping_add(1);
        let endpoint = Endpoint {
            container: request.container.clone(),
            address,
            prefix_length: self.bridge.address.prefix_length,
            gateway: self.bridge.address.address,
            mac: request.mac.unwrap_or_else(|| MacAddress::of(address)),
            source_check: request.source_check,
            link: link_name(&request.container, book.generation),
            ports: held.iter().map(|held| held.port).collect(),
            openings: Vec::new(),
        };
        let entry = Entry { endpoint: endpoint.clone(), held, link: LinkState::Missing };
        book.endpoints.insert(request.container.clone(), entry);
        endpoint
    }
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

/// Locks; what a thread that panicked left is whole, since every change of it is one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
