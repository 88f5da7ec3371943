//! The bridge: found, made, addressed and set up when the network opens.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::endpoint::{self, Endpoint};
use crate::error::Error;
use crate::fault::{Faults, Step};
use crate::options::{BridgeChoice, Options};
use crate::route::{Interface, PROXY_ARP, ROUTE_LOCALNET, Routing};
use crate::subnet::InterfaceAddress;
use model::MacAddress;

use super::bridge_addresses::{
    address_of, global_addresses, require_bridge, wanted_address, wanted_ipv6_address,
};
use super::group::BRIDGES;
use super::spare_bridges::SpareBridges;
use super::state::{BridgeAddresses, BridgeOwner};
use super::{Bridge, shared_bridge, switches};

/// The default MTU of Ethernet, for a host without a default route.
const ETHERNET_MTU: u32 = 1500;

/// Finds or makes the bridge. What was made is unmade where a later step fails.
pub(super) fn prepare(
    routing: &mut Routing,
    (options, known): (&Options, &[Endpoint]),
    mtu: u32,
    faults: &Faults,
    spares: Option<&SpareBridges>,
) -> Result<Option<(Bridge, Made)>, Error> {
    match &options.bridge {
        BridgeChoice::None => Ok(None),
        BridgeChoice::Existing(name) => {
            let bridge = shared_bridge::existing(routing, name, options, known)?;
            Ok(Some((bridge, Made::Nothing)))
        }
        BridgeChoice::Shared { name, address, kept } => {
            let mut added = BridgeAddresses::default();
            let shared = shared_bridge::share(routing, (name, *address), (options, known), &mut added);
            let (interface, BridgeAddresses { ipv4, ipv6 }) = match shared {
                Ok(shared) => shared,
                Err(error) => {
                    let bridge = routing.interface(name)?.unwrap_or_default();
                    return Err(error.with(added.undo(&bridge, routing)));
                }
            };
            // What an earlier daemon has added is this network's too.
            let of_host = (options.has_host_ipv4, options.has_host_ipv6());
            let own = BridgeAddresses {
                ipv4: ipv4.filter(|own| of_host.0 && !kept.contains(&own.address.into())),
                ipv6: ipv6.filter(|own| of_host.1 && !kept.contains(&own.address.into())),
            };
            let Interface { name, index, .. } = interface.clone();
            let index = Arc::new(AtomicU32::new(index));
            let owner = BridgeOwner::SomebodyElse(own);
            let bridge = Bridge { name, index, ipv4, ipv6, owner, settings: None };
            Ok(Some((bridge, Made::Addresses(interface, added))))
        }
        BridgeChoice::Own { name, address } => {
            let made = match routing.interface(name)? {
                Some(interface) => {
                    require_bridge(&interface)?;
                    Made::Nothing
                }
                None => {
                    let mac = hardware_address(routing, name, *address, options, known)?;
                    make(routing, name, mac, spares)?;
                    Made::Bridge(name.clone())
                }
            };
            let result = (|| {
                faults.pass(Step::CreateBridge)?;
                configure(routing, (name, *address), options, known, mtu, faults)
            })();
            match result {
                Ok(bridge) => Ok(Some((bridge, made))),
                Err(error) => Err(error.with(made.undo(routing))),
            }
        }
    }
}

/// Takes a bridge that waits for a network, or makes one.
fn make(
    routing: &mut Routing,
    name: &str,
    mac: MacAddress,
    spares: Option<&SpareBridges>,
) -> Result<(), Error> {
    let Some((spares, spare)) = spares.and_then(|spares| Some((spares, spares.take()?))) else {
        return routing.create_bridge(name, mac, BRIDGES);
    };
    routing.reuse_bridge(spare.bridge.index, name, mac, BRIDGES).or_else(|error| {
        tracing::warn!(%error, "cannot use the bridge of a network that is gone");
        spares.give_up(spare);
        routing.create_bridge(name, mac, BRIDGES)
    })
}

/// The bridge as opening the network has left it.
#[derive(Debug)]
pub(super) enum Made {
    Nothing,
    Bridge(String),
    Addresses(Interface, BridgeAddresses),
}

impl Made {
    pub(super) fn undo(self, routing: &mut Routing) -> Vec<Error> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Bridge(name) => routing.delete_interface(&name).err().into_iter().collect(),
            Self::Addresses(bridge, added) => added.undo(&bridge, routing),
        }
    }
}

/// The MTU of the interface through which the default route leads.
pub(super) fn default_mtu(routing: &mut Routing) -> Result<u32, Error> {
    let Some(out) = switches::interface_of_default_route() else { return Ok(ETHERNET_MTU) };
    let interface = routing.interface(&out)?;
    // The MTU of a loopback or tunnel of 64 KiB does not show what the route out carries.
    Ok(interface.map_or(ETHERNET_MTU, |interface| interface.mtu.clamp(68, 9000)))
}

fn configure(
    routing: &mut Routing,
    (name, asked): (&str, Option<InterfaceAddress>),
    options: &Options,
    known: &[Endpoint],
    mtu: u32,
    faults: &Faults,
) -> Result<Bridge, Error> {
    let interface = routing.interface(name)?.ok_or_else(|| Error::NoBridge(name.to_owned()))?;
    let ipv4 = match options.ipv4 {
        true => Some(configure_ipv4(routing, &interface, asked, options, known)?),
        false => None,
    };
    let ipv6 = configure_ipv6(routing, &interface, options, known)?;
    // Bridges of earlier releases have no group.
    if interface.group != BRIDGES {
        routing.set_group(&interface, BRIDGES)?;
    }
    faults.pass(Step::AddressBridge)?;
    routing.set_up(&interface, Some(mtu))?;
    faults.pass(Step::SetBridgeUp)?;
    Ok(Bridge {
        name: interface.name,
        index: Arc::new(AtomicU32::new(interface.index)),
        ipv4,
        ipv6,
        owner: BridgeOwner::Engine,
        settings: None,
    })
}

fn configure_ipv4(
    routing: &mut Routing,
    interface: &Interface,
    asked: Option<InterfaceAddress>,
    options: &Options,
    known: &[Endpoint],
) -> Result<InterfaceAddress, Error> {
    let present = address_of(routing, interface)?;
    if !options.has_host_ipv4 {
        if let Some(present) = present {
            routing.delete_address(interface, present)?;
        }
        return wanted_address(routing, &interface.name, asked, (options, known));
    }
    match (present, asked) {
        (Some(present), None) => Ok(present),
        (Some(present), Some(asked)) if present == asked => Ok(present),
        (Some(present), Some(asked)) => {
            if known.iter().any(|endpoint| endpoint.ipv4.is_some()) {
                let (present, asked) = (present.to_string(), asked.to_string());
                return Err(Error::BridgeInUse { name: interface.name.clone(), present, asked });
            }
            routing.delete_address(interface, present)?;
            routing.add_address(interface, asked)?;
            Ok(asked)
        }
        (None, asked) => {
            let address = wanted_address(routing, &interface.name, asked, (options, known))?;
            routing.add_address(interface, address)?;
            Ok(address)
        }
    }
}

/// Gives the bridge its address of IPv6 and no other; without one IPv6 is disabled on it.
fn configure_ipv6(
    routing: &mut Routing,
    interface: &Interface,
    options: &Options,
    known: &[Endpoint],
) -> Result<Option<InterfaceAddress<Ipv6Addr>>, Error> {
    let asked = wanted_ipv6_address(routing, Some(interface), options, known)?;
    let Some(asked) = asked else {
        switches::refuse_ipv6(&interface.name)?;
        return Ok(None);
    };
    let wanted = Some(asked).filter(|_| options.has_host_ipv6());
    if wanted.is_some() {
        switches::allow_ipv6(&interface.name)?;
    } else {
        switches::refuse_ipv6(&interface.name)?;
    }
    let present = global_addresses(routing, interface)?;
    for other in present.iter().filter(|present| Some(**present) != wanted) {
        if known.iter().any(|endpoint| endpoint.ipv6.is_some_and(|lease| lease.gateway != asked.address)) {
            let (present, asked) = (other.to_string(), asked.to_string());
            return Err(Error::BridgeInUse { name: interface.name.clone(), present, asked });
        }
        routing.delete_address(interface, *other)?;
    }
    if let Some(address) = wanted.filter(|wanted| !present.contains(wanted)) {
        routing.add_address(interface, address)?;
    }
    Ok(Some(asked))
}

/// A new bridge's hardware address, which follows from its addresses.
fn hardware_address(
    routing: &mut Routing,
    name: &str,
    asked: Option<InterfaceAddress>,
    options: &Options,
    known: &[Endpoint],
) -> Result<MacAddress, Error> {
    let ipv4 = match options.ipv4 {
        true => Some(wanted_address(routing, name, asked, (options, known))?),
        false => None,
    };
    let ipv6 = wanted_ipv6_address(routing, None, options, known)?;
    Ok(endpoint::hardware_address(ipv4.map(|host| host.address), ipv6.map(|host| host.address)))
}

/// Lets the host reach containers as 127.0.0.1 and as ::1, which published ports need.
pub(super) fn allow_loopback(routing: &mut Routing, bridge: &Bridge, options: &Options) -> Result<(), Error> {
    if options.has_host_ipv6() && options.ipv6_firewall {
        routing.accept_ipv6_loopback(&bridge.interface())?;
    }
    routing.configure(&bridge.interface(), &[(ROUTE_LOCALNET, 1)])
}

/// Lets the bridge answer for addresses of containers whose interfaces are beside it.
pub(super) fn answer_for_interfaces(routing: &mut Routing, bridge: &Bridge) -> Result<(), Error> {
    if bridge.ipv6.is_some() {
        switches::answer_for_others_by_ipv6(&bridge.name)?;
        routing.answer_at_once_by_ipv6(&bridge.interface())?;
    }
    routing.configure(&bridge.interface(), &[(PROXY_ARP, 1)])?;
    routing.answer_at_once(&bridge.interface())
}

impl Bridge {
    /// The interface, as far as requests name it.
    pub(super) fn interface(&self) -> Interface {
        Interface { index: self.index(), name: self.name.clone(), ..Interface::default() }
    }

    /// The kernel's number of the interface.
    pub(super) fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }
}
