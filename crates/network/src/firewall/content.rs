//! What the engine's nf_tables tables hold, and their names.

use std::net::Ipv4Addr;

use super::transaction::{self, Table};
use crate::endpoint::{Endpoint, LinkException, SourceCheck};
use crate::options::DEFAULT_BRIDGE;
use crate::port::PublishedPort;
use crate::subnet::InterfaceAddress;
use model::MacAddress;

/// What the tables hold of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Tells networks of one host apart.
    pub(crate) number: u32,
    pub(crate) bridge: String,
    /// The group of its links beside the bridge.
    pub(crate) group: u32,
    /// The bridge's address and its network.
    pub(crate) address: InterfaceAddress,
    /// Whether containers reach each other without an exception.
    pub(crate) communicate: bool,
    /// Whether outbound connections take the host's address.
    pub(crate) masquerade: bool,
    /// Whether its containers reach only each other.
    pub(crate) internal: bool,
    /// Whether ports that are not published are reached from outside.
    pub(crate) unprotected: bool,
}

/// Elements of the tables' sets and maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) networks: Vec<Layout>,
    /// Links beside the bridges.
    pub(crate) links: Vec<Beside>,
    /// Ports of the bridges and who is behind them.
    pub(crate) stations: Vec<Station>,
    /// Published ports and the addresses of their containers.
    pub(crate) ports: Vec<(PublishedPort, Ipv4Addr)>,
    pub(crate) exceptions: Vec<LinkException>,
}

/// A link beside its bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) link: String,
    /// The container's.
    pub(crate) address: Ipv4Addr,
    /// The host's on this network.
    pub(crate) gateway: Ipv4Addr,
    pub(crate) internal: bool,
}

/// A container behind a port of the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Station {
    pub(crate) link: String,
    pub(crate) mac: MacAddress,
    pub(crate) address: Ipv4Addr,
    pub(crate) check: SourceCheck,
}

/// Where a container's link ends on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At a port of the bridge.
    Port,
    /// Beside the bridge.
    Beside,
}

impl Content {
    /// What one endpoint needs, but its link exceptions.
    pub(crate) fn of(endpoint: &Endpoint, place: Place) -> Self {
        let Endpoint { link, mac, address, gateway, source_check, internal, .. } = endpoint;
        let mut content = Self::default();
        match place {
            Place::Port => content.stations.push(Station {
                link: link.clone(),
                mac: *mac,
                address: *address,
                check: *source_check,
            }),
            Place::Beside => content.links.push(Beside {
                link: link.clone(),
                address: *address,
                gateway: *gateway,
                internal: *internal,
            }),
        }
        content.ports = endpoint.ports.iter().map(|port| (*port, *address)).collect();
        content
    }

    /// Adds what one endpoint needs.
    pub(crate) fn add(&mut self, endpoint: &Endpoint, place: Place) {
        self.append(Self::of(endpoint, place));
        self.exceptions.extend(endpoint.exceptions.iter().copied());
    }

    /// Adds other content.
    pub(crate) fn append(&mut self, other: Self) {
        self.networks.extend(other.networks);
        self.links.extend(other.links);
        self.stations.extend(other.stations);
        self.ports.extend(other.ports);
        self.exceptions.extend(other.exceptions);
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each element by itself.
    pub(super) fn single(&self) -> impl Iterator<Item = Self> + '_ {
        let empty = Self::default;
        let networks = self.networks.iter().map(move |it| Self { networks: vec![it.clone()], ..empty() });
        let links = self.links.iter().map(move |link| Self { links: vec![link.clone()], ..empty() });
        let stations = self.stations.iter().map(move |it| Self { stations: vec![it.clone()], ..empty() });
        let ports = self.ports.iter().map(move |port| Self { ports: vec![*port], ..empty() });
        let exceptions =
            self.exceptions.iter().map(move |exception| Self { exceptions: vec![*exception], ..empty() });
        networks.chain(links).chain(stations).chain(ports).chain(exceptions)
    }
}

/// The engine's tables.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) ip: Table,
    /// `None` where the kernel has no tables for bridges.
    pub(super) bridge: Option<Table>,
}

impl Tables {
    /// The tables of the engine whose default network has this bridge.
    pub(super) fn of(bridge: &str) -> Self {
        let name = if bridge == DEFAULT_BRIDGE { "berth".to_owned() } else { format!("berth-{bridge}") };
        let table = |family| Table { family, name: name.clone() };
        Self { ip: table(transaction::IPV4), bridge: Some(table(transaction::BRIDGE)) }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Table> {
        std::iter::once(&self.ip).chain(&self.bridge)
    }
}
