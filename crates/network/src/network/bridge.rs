//! The bridge: found, made, addressed and set up when the network opens.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::endpoint::{self, Endpoint};
use crate::error::Error;
use crate::family::Address;
use crate::fault::{Faults, Step};
use crate::names;
use crate::options::{BridgeChoice, Ipv6Address, Options};
use crate::route::{Interface, PROXY_ARP, ROUTE_LOCALNET, Routing};
use crate::subnet::{InterfaceAddress, Subnet, choose_free};
use model::MacAddress;

use super::state::{BridgeAddresses, BridgeOwner};
use super::{Bridge, switches};

/// The default MTU of Ethernet, for a host without a default route.
const ETHERNET_MTU: u32 = 1500;

/// Finds or makes the bridge. What was made is unmade where a later step fails.
pub(super) fn prepare(
    routing: &mut Routing,
    options: &Options,
    known: &[Endpoint],
    mtu: u32,
    faults: &Faults,
) -> Result<Option<(Bridge, Made)>, Error> {
    match &options.bridge {
        BridgeChoice::None => Ok(None),
        BridgeChoice::Existing(name) => {
            let bridge = existing(routing, name, options, known)?;
            Ok(Some((bridge, Made::Nothing)))
        }
        BridgeChoice::Shared { name, address, kept } => {
            let mut added = BridgeAddresses::default();
            let shared = share(routing, (name, *address), (options, known), &mut added);
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
            let bridge = Bridge { name, index, ipv4, ipv6, owner: BridgeOwner::SomebodyElse(own) };
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
                    routing.create_bridge(name, mac)?;
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

/// What opening the network has made of the bridge.
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
    let default =
        routing.routes::<Ipv4Addr>()?.into_iter().find(|route| route.destination.prefix_length() == 0);
    let Some(out) = default.and_then(|route| route.out) else { return Ok(ETHERNET_MTU) };
    let interface = routing.interfaces()?.into_iter().find(|interface| interface.index == out);
    // A loopback or tunnel of 64 KiB says nothing of what the way out carries.
    Ok(interface.map_or(ETHERNET_MTU, |interface| interface.mtu.clamp(68, 9000)))
}

/// A bridge of somebody else, with the address of IPv4 that it has; that of IPv6 is added where it is missing.
fn existing(
    routing: &mut Routing,
    name: &str,
    options: &Options,
    known: &[Endpoint],
) -> Result<Bridge, Error> {
    let interface = routing.interface(name)?.ok_or_else(|| Error::NoBridge(name.to_owned()))?;
    require_bridge(&interface)?;
    let ipv4 = match options.ipv4 {
        true => {
            let present = address_of(routing, &interface)?;
            Some(present.ok_or_else(|| Error::BridgeWithoutAddress(name.to_owned()))?)
        }
        false => None,
    };
    routing.set_up(&interface, None)?;
    let ipv6 = wanted_ipv6_address(routing, Some(&interface), options, known)?;
    if let Some(address) = ipv6 {
        add_missing_ipv6(routing, &interface, address)?;
    }
    Ok(Bridge {
        name: interface.name,
        index: interface.index,
        ipv4,
        ipv6,
        owner: BridgeOwner::SomebodyElse(BridgeAddresses::default()),
    })
}

/// Gives a bridge of somebody else the network's addresses that it lacks, and notes these; all else on it stays as it is.
/// Gives the network's addresses.
fn share(
    routing: &mut Routing,
    (name, asked): (&str, Option<InterfaceAddress>),
    (options, known): (&Options, &[Endpoint]),
    added: &mut BridgeAddresses,
) -> Result<(Interface, BridgeAddresses), Error> {
    let interface = routing.interface(name)?.ok_or_else(|| Error::NoBridge(name.to_owned()))?;
    require_bridge(&interface)?;
    routing.set_up(&interface, None)?;
    let ipv4 = match options.ipv4 {
        true => Some(wanted_address(routing, name, asked, (options, known))?),
        false => None,
    };
    if let Some(address) = ipv4.filter(|_| options.has_host_ipv4)
        && !routing.addresses()?.contains(&(interface.index, address))
    {
        routing.add_address(&interface, address)?;
        added.ipv4 = Some(address);
    }
    let ipv6 = wanted_ipv6_address(routing, None, options, known)?;
    if let Some(address) = ipv6.filter(|_| options.has_host_ipv6())
        && add_missing_ipv6(routing, &interface, address)?
    {
        added.ipv6 = Some(address);
    }
    Ok((interface, BridgeAddresses { ipv4, ipv6 }))
}

/// Adds an address of IPv6 to a bridge of somebody else that lacks it; says whether it did.
fn add_missing_ipv6(
    routing: &mut Routing,
    interface: &Interface,
    address: InterfaceAddress<Ipv6Addr>,
) -> Result<bool, Error> {
    if routing.addresses()?.contains(&(interface.index, address)) {
        return Ok(false);
    }
    switches::allow_ipv6(&interface.name)?;
    routing.add_address(interface, address)?;
    Ok(true)
}

impl BridgeAddresses {
    /// Takes the addresses from the bridge again.
    pub(super) fn undo(&self, bridge: &Interface, routing: &mut Routing) -> Vec<Error> {
        let ipv4 = self.ipv4.and_then(|address| routing.delete_address(bridge, address).err());
        let ipv6 = self.ipv6.and_then(|address| routing.delete_address(bridge, address).err());
        ipv4.into_iter().chain(ipv6).collect()
    }
}

fn require_bridge(interface: &Interface) -> Result<(), Error> {
    if interface.kind == "bridge" { Ok(()) } else { Err(Error::NotABridge(interface.name.clone())) }
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
    faults.pass(Step::AddressBridge)?;
    routing.set_up(&interface, Some(mtu))?;
    faults.pass(Step::SetBridgeUp)?;
    Ok(Bridge { name: interface.name, index: interface.index, ipv4, ipv6, owner: BridgeOwner::Engine })
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

/// The address of IPv6 that a bridge gets, if any: the one asked for, the one that it has or that running
/// containers know, or the one that is free.
fn wanted_ipv6_address(
    routing: &mut Routing,
    interface: Option<&Interface>,
    options: &Options,
    known: &[Endpoint],
) -> Result<Option<InterfaceAddress<Ipv6Addr>>, Error> {
    let Some(ipv6) = &options.ipv6 else { return Ok(None) };
    let free = match ipv6.address {
        Ipv6Address::Exactly(address) => return Ok(Some(address)),
        Ipv6Address::PresentOr(address) => address,
    };
    if let Some(lease) = known.iter().find_map(|endpoint| endpoint.ipv6) {
        let (address, prefix_length) = (lease.gateway, lease.prefix_length);
        return Ok(Some(InterfaceAddress { address, prefix_length }));
    }
    let present = match interface {
        Some(interface) => global_addresses(routing, interface)?.into_iter().next(),
        None => None,
    };
    Ok(Some(present.unwrap_or(free)))
}

/// The addresses of IPv6 of an interface that are not of the interface alone.
fn global_addresses(
    routing: &mut Routing,
    interface: &Interface,
) -> Result<Vec<InterfaceAddress<Ipv6Addr>>, Error> {
    let of_interface =
        routing.addresses::<Ipv6Addr>()?.into_iter().filter(|(index, _)| *index == interface.index);
    let addresses = of_interface.map(|(_, address)| address);
    Ok(addresses.filter(|address| !address.address.is_unicast_link_local()).collect())
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

/// Lets the host speak to containers as 127.0.0.1 and as ::1, which published ports need.
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
        Interface { index: self.index, name: self.name.clone(), ..Interface::default() }
    }
}

fn address_of(routing: &mut Routing, interface: &Interface) -> Result<Option<InterfaceAddress>, Error> {
    let addresses = routing.addresses::<Ipv4Addr>()?;
    Ok(addresses.into_iter().find(|(index, _)| *index == interface.index).map(|(_, address)| address))
}

/// The address that the bridge gets: the one asked for, the one that running containers know, or
/// one of a network that the host does not reach otherwise.
fn wanted_address(
    routing: &mut Routing,
    name: &str,
    asked: Option<InterfaceAddress>,
    (options, known): (&Options, &[Endpoint]),
) -> Result<InterfaceAddress, Error> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    if let Some(lease) = known.iter().find_map(|endpoint| endpoint.ipv4) {
        return Ok(InterfaceAddress { address: lease.gateway, prefix_length: lease.prefix_length });
    }
    let mut taken = taken_by_host(routing)?;
    taken.extend(options.others.iter().copied());
    choose_free(&taken).ok_or_else(|| Error::NoFreeNetwork(name.to_owned()))
}

/// What the host reaches already.
pub(super) fn taken_by_host<A: Address>(routing: &mut Routing) -> Result<Vec<Subnet<A>>, Error> {
    let mut taken: Vec<Subnet<A>> = routing.routes()?.into_iter().map(|route| route.destination).collect();
    // The default route leads everywhere and forbids nothing.
    taken.retain(|subnet| subnet.prefix_length() > 0);
    taken.extend(routing.addresses()?.into_iter().map(|(_, address)| address.subnet()));
    taken.extend(name_servers().into_iter().map(|address| Subnet::containing(address, A::BITS)));
    Ok(taken)
}

/// The host's name servers, which containers must be able to reach. A host without any is fine.
fn name_servers<A: Address>() -> Vec<A> {
    let content = names::host_resolv_conf("/etc/resolv.conf".as_ref()).unwrap_or_default();
    let servers = content.lines().filter_map(|line| line.strip_prefix("nameserver"));
    servers.filter_map(|server| server.trim().parse().ok()).collect()
}
