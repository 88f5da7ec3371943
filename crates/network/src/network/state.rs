//! What the host has once and what each network has, with references to each other.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, Weak};

use model::ContainerId;

use super::interface_names::InterfaceNames;
use super::reaper::Reaper;
use super::spare_bridges::SpareBridges;
use crate::addresses::AddressPool;
use crate::endpoint::Endpoint;
use crate::fault::Faults;
use crate::firewall::{Firewall, Place};
use crate::held_ports::{Held, PortBook};
use crate::options::Options;
use crate::publishing::Publishing;
use crate::route::Routing;
use crate::subnet::InterfaceAddress;

/// The number of the network that is there first.
pub(super) const DEFAULT_NETWORK: u32 = 1;

/// A network with a bridge.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) host: Arc<Host>,
    /// Distinguishes it from the host's other networks.
    pub(super) number: u32,
    pub(super) bridge: Bridge,
    pub(super) publishing: Publishing,
    pub(super) mtu: u32,
    /// Whether containers reach each other without a link.
    pub(super) communicate: bool,
    /// Whether they reach nothing but each other.
    pub(super) internal: bool,
    /// From which interfaces of the host published ports are reached at the containers' own addresses.
    pub(super) trusted_interfaces: Vec<String>,
    /// Whether the host has its address of IPv4 on the network.
    pub(super) host_ipv4: bool,
    /// The options with which the network was opened.
    pub(super) options: Options,
    /// Held while the bridge is restored.
    pub(super) restoring: Mutex<()>,
    /// Marks this engine's interfaces.
    pub(super) group: u32,
    pub(super) book: Mutex<Book>,
}

/// The bridge that containers are connected to.
#[derive(Debug, Clone)]
pub(super) struct Bridge {
    pub(super) name: String,
    /// Another one once it was restored.
    pub(super) index: Arc<AtomicU32>,
    /// The address that containers have as their gateway; `None` on a network of IPv6 alone.
    pub(super) ipv4: Option<InterfaceAddress>,
    pub(super) ipv6: Option<InterfaceAddress<Ipv6Addr>>,
    pub(super) owner: BridgeOwner,
    /// Its settings when the network was made; `None` of one that no other network can have.
    pub(super) settings: Option<Vec<u8>>,
}

/// The owner of a bridge.
#[derive(Debug, Clone)]
pub(super) enum BridgeOwner {
    /// The engine's, which may remove it.
    Engine,
    /// The bridge was made elsewhere; the engine removes the addresses that it has added.
    SomebodyElse(BridgeAddresses),
}

/// Addresses of the host on a bridge.
#[derive(Debug, Clone, Default)]
pub(super) struct BridgeAddresses {
    pub(super) ipv4: Option<InterfaceAddress>,
    pub(super) ipv6: Option<InterfaceAddress<Ipv6Addr>>,
}

/// The address table.
#[derive(Debug)]
pub(super) struct Book {
    /// `None` on a network of IPv6 alone.
    pub(super) ipv4: Option<AddressPool>,
    pub(super) ipv6: Option<AddressPool<Ipv6Addr>>,
    pub(super) endpoints: HashMap<ContainerId, Entry>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) endpoint: Endpoint,
    pub(super) held: Vec<Held>,
    pub(super) interface: InterfaceState,
}

/// How far an endpoint's interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InterfaceState {
    Missing,
    Port,
    Routed,
}

impl InterfaceState {
    /// Where the interface ends on the host, if it is there.
    pub(super) const fn place(self) -> Option<Place> {
        match self {
            Self::Missing => None,
            Self::Port => Some(Place::Port),
            Self::Routed => Some(Place::Beside),
        }
    }
}

/// The part of an engine's networking that is the host's.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) faults: Faults,
    pub(super) reaper: Reaper,
    pub(super) spare_bridges: SpareBridges,
    pub(super) routing: Mutex<Routing>,
    /// `None` with `--iptables=false`.
    pub(super) firewall: Option<Mutex<Firewall>>,
    pub(super) ports: Mutex<PortBook>,
    pub(super) networks: Mutex<Vec<Weak<Active>>>,
    /// Counts networks.
    pub(super) last_number: AtomicU32,
    pub(super) interface_names: InterfaceNames,
}
