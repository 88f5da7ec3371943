//! The content of the engine's nf_tables tables, and their names.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::family::Family;
use super::transaction::{self, Table};
use crate::endpoint::{Endpoint, LinkException, SourceCheck};
use crate::options::DEFAULT_BRIDGE;
use crate::port::{Port, PublishedPort};
use crate::publishing::GatewayMode;
use model::MacAddress;

/// The elements of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Distinguishes the networks of one host.
    pub(crate) number: u32,
    pub(crate) bridge: String,
    /// The group of its interfaces beside the bridge.
    pub(crate) group: u32,
    /// The host's places on it, one a family.
    pub(crate) places: Vec<HostPlace>,
    /// Whether containers reach each other without an exception.
    pub(crate) communicate: bool,
    /// Whether its containers reach only each other.
    pub(crate) internal: bool,
    /// Whether the engine made the bridge.
    pub(crate) has_own_bridge: bool,
}

/// The host on a network, in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostPlace {
    /// The address that its containers have as their gateway.
    pub(crate) address: IpAddr,
    pub(crate) prefix_length: u8,
    /// Whether outbound connections take the host's address.
    pub(crate) masquerade: bool,
    /// Which they take; `None` for that of the interface by which they leave.
    pub(crate) source: Option<IpAddr>,
    /// How it is reachable from outside.
    pub(crate) mode: GatewayMode,
}

/// Elements of the tables' sets and maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) networks: Vec<Layout>,
    /// Interfaces beside the bridges.
    pub(crate) interfaces: Vec<Beside>,
    /// Ports of the bridges and the containers behind them.
    pub(crate) stations: Vec<Station>,
    /// Published ports and the addresses of their containers.
    pub(crate) ports: Vec<(PublishedPort, IpAddr)>,
    /// Published ports that shims relay.
    pub(crate) relayed: Vec<PublishedPort>,
    /// Ports of containers that are open, as they are, from an interface of the host.
    pub(crate) direct: Vec<DirectPort>,
    pub(crate) exceptions: Vec<LinkException>,
}

/// A port of a container that is reached at its own address from one interface of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectPort {
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
    pub(crate) port: Port,
}

/// An interface beside its bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) interface: String,
    pub(crate) places: Vec<ContainerPlace>,
    pub(crate) internal: bool,
}

impl Beside {
    /// The container's place in this family.
    pub(super) fn place(&self, family: Family) -> Option<ContainerPlace> {
        self.places.iter().find(|place| Family::of(place.address) == family).copied()
    }
}

/// A container on a network, in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContainerPlace {
    pub(crate) address: IpAddr,
    /// The host's on this network.
    pub(crate) gateway: IpAddr,
}

/// A container behind a port of the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Station {
    pub(crate) interface: String,
    pub(crate) mac: MacAddress,
    /// One a family.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) check: SourceCheck,
}

/// Where a container's interface ends on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At a port of the bridge.
    Port,
    /// Beside the bridge.
    Beside,
}

impl Content {
    /// The elements of one endpoint, except its link exceptions.
    pub(crate) fn of(endpoint: &Endpoint, place: Place) -> Self {
        let Endpoint { host_interface, mac, source_check, internal, .. } = endpoint;
        let mut content = Self::published(endpoint);
        match place {
            Place::Port => content.stations.push(Station {
                interface: host_interface.clone(),
                mac: *mac,
                addresses: endpoint.addresses().collect(),
                check: *source_check,
            }),
            Place::Beside => content.interfaces.push(Beside {
                interface: host_interface.clone(),
                places: endpoint
                    .places()
                    .map(|(address, gateway)| ContainerPlace { address, gateway })
                    .collect(),
                internal: *internal,
            }),
        }
        content
    }

    /// The elements of an endpoint's published ports.
    pub(crate) fn published(endpoint: &Endpoint) -> Self {
        let target = |port: &PublishedPort| {
            let same = |address: &IpAddr| address.is_ipv4() == port.host_ip.is_ipv4();
            Some((*port, endpoint.addresses().find(same)?))
        };
        let ports: Vec<_> = endpoint.ports.iter().filter_map(target).collect();
        let direct = |interface: &String| {
            // One that is published twice is one port of the container.
            let places: BTreeSet<_> =
                ports.iter().map(|(port, address)| (*address, port.container)).collect();
            let of = |(address, port)| DirectPort { interface: interface.clone(), address, port };
            places.into_iter().map(of).collect::<Vec<_>>()
        };
        let direct = endpoint.trusted_interfaces.iter().flat_map(direct).collect();
        let is_relayed =
            |port: &&PublishedPort| endpoint.is_relayed(port) || endpoint.is_relayed_at_loopback(port);
        let relayed = endpoint.ports.iter().filter(is_relayed).copied().collect();
        Self { ports, relayed, direct, ..Self::default() }
    }

    /// Adds what one endpoint needs.
    pub(crate) fn add(&mut self, endpoint: &Endpoint, place: Place) {
        self.append(Self::of(endpoint, place));
        self.exceptions.extend(endpoint.exceptions.iter().copied());
    }

    /// Adds other content.
    pub(crate) fn append(&mut self, other: Self) {
        self.networks.extend(other.networks);
        self.interfaces.extend(other.interfaces);
        self.stations.extend(other.stations);
        self.ports.extend(other.ports);
        self.relayed.extend(other.relayed);
        self.direct.extend(other.direct);
        self.exceptions.extend(other.exceptions);
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each element by itself.
    pub(super) fn single(&self) -> impl Iterator<Item = Self> + '_ {
        let empty = Self::default;
        let networks = self.networks.iter().map(move |it| Self { networks: vec![it.clone()], ..empty() });
        let interfaces = self
            .interfaces
            .iter()
            .map(move |interface| Self { interfaces: vec![interface.clone()], ..empty() });
        let stations = self.stations.iter().map(move |it| Self { stations: vec![it.clone()], ..empty() });
        let ports = self.ports.iter().map(move |port| Self { ports: vec![*port], ..empty() });
        let relayed = self.relayed.iter().map(move |port| Self { relayed: vec![*port], ..empty() });
        let direct = self.direct.iter().map(move |port| Self { direct: vec![port.clone()], ..empty() });
        let exceptions =
            self.exceptions.iter().map(move |exception| Self { exceptions: vec![*exception], ..empty() });
        networks.chain(interfaces).chain(stations).chain(ports).chain(relayed).chain(direct).chain(exceptions)
    }
}

/// The engine's tables.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) ip: Table,
    /// `None` where the kernel lacks those of IPv6, and with `--ip6tables=false`.
    pub(super) ipv6: Option<Table>,
    /// `None` where the kernel has no tables for bridges.
    pub(super) bridge: Option<Table>,
}

impl Tables {
    /// The tables of the engine whose default network has this bridge.
    pub(super) fn of(bridge: &str) -> Self {
        let name = if bridge == DEFAULT_BRIDGE { "berth".to_owned() } else { format!("berth-{bridge}") };
        let table = |family| Table { family, name: name.clone() };
        Self {
            ip: table(transaction::IPV4),
            ipv6: Some(table(transaction::IPV6)),
            bridge: Some(table(transaction::BRIDGE)),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Table> {
        std::iter::once(&self.ip).chain(&self.ipv6).chain(&self.bridge)
    }

    /// Those of packets that are routed.
    pub(super) fn routed(&self) -> impl Iterator<Item = (Family, &Table)> {
        let ipv6 = self.ipv6.iter().map(|table| (Family::Ipv6, table));
        std::iter::once((Family::Ipv4, &self.ip)).chain(ipv6)
    }
}
