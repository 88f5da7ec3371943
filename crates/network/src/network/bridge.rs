//! The bridge: found, made, addressed and set up when the network opens.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::endpoint::{self, Endpoint};
use crate::error::Error;
use crate::family::Address;
use crate::fault::{Faults, Step};
use crate::names;
use crate::options::{BridgeChoice, Ipv6Address, Options};
use crate::publishing::GatewayMode;
use crate::route::{Link, PROXY_ARP, ROUTE_LOCALNET, Routing};
use crate::subnet::{InterfaceAddress, Subnet, choose_free};
use model::MacAddress;

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
        BridgeChoice::Own { name, address } => {
            let made = match routing.link(name)? {
                Some(link) => {
                    require_bridge(&link)?;
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
}

impl Made {
    pub(super) fn undo(self, routing: &mut Routing) -> Vec<Error> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Bridge(name) => routing.delete_link(&name).err().into_iter().collect(),
        }
    }
}

/// The MTU of the link through which the default route leads.
pub(super) fn default_mtu(routing: &mut Routing) -> Result<u32, Error> {
    let default =
        routing.routes::<Ipv4Addr>()?.into_iter().find(|route| route.destination.prefix_length() == 0);
    let Some(out) = default.and_then(|route| route.out) else { return Ok(ETHERNET_MTU) };
    let link = routing.links()?.into_iter().find(|link| link.index == out);
    // A loopback or tunnel of 64 KiB says nothing of what the way out carries.
    Ok(link.map_or(ETHERNET_MTU, |link| link.mtu.clamp(68, 9000)))
}

/// A bridge of somebody else, with the address of IPv4 that it has; that of IPv6 is added where it is missing.
fn existing(
    routing: &mut Routing,
    name: &str,
    options: &Options,
    known: &[Endpoint],
) -> Result<Bridge, Error> {
    let link = routing.link(name)?.ok_or_else(|| Error::NoBridge(name.to_owned()))?;
    require_bridge(&link)?;
    let ipv4 = match options.ipv4 {
        true => {
            let present = address_of(routing, &link)?;
            Some(present.ok_or_else(|| Error::BridgeWithoutAddress(name.to_owned()))?)
        }
        false => None,
    };
    routing.set_up(&link, None)?;
    let ipv6 = wanted_ipv6_address(routing, Some(&link), options, known)?;
    if let Some(address) = ipv6 {
        let present = routing.addresses()?;
        if !present.contains(&(link.index, address)) {
            switches::allow_ipv6(name)?;
            routing.add_address(&link, address)?;
        }
    }
    Ok(Bridge { name: link.name, index: link.index, ipv4, ipv6, own: false })
}

fn require_bridge(link: &Link) -> Result<(), Error> {
    if link.kind == "bridge" { Ok(()) } else { Err(Error::NotABridge(link.name.clone())) }
}

fn configure(
    routing: &mut Routing,
    (name, asked): (&str, Option<InterfaceAddress>),
    options: &Options,
    known: &[Endpoint],
    mtu: u32,
    faults: &Faults,
) -> Result<Bridge, Error> {
    let link = routing.link(name)?.ok_or_else(|| Error::NoBridge(name.to_owned()))?;
    let ipv4 = match options.ipv4 {
        true => Some(configure_ipv4(routing, &link, asked, options, known)?),
        false => None,
    };
    let ipv6 = configure_ipv6(routing, &link, options, known)?;
    faults.pass(Step::AddressBridge)?;
    routing.set_up(&link, Some(mtu))?;
    faults.pass(Step::SetBridgeUp)?;
    Ok(Bridge { name: link.name, index: link.index, ipv4, ipv6, own: true })
}

fn configure_ipv4(
    routing: &mut Routing,
    link: &Link,
    asked: Option<InterfaceAddress>,
    options: &Options,
    known: &[Endpoint],
) -> Result<InterfaceAddress, Error> {
    let present = address_of(routing, link)?;
    if !options.has_host_ipv4 {
        if let Some(present) = present {
            routing.delete_address(link, present)?;
        }
        return wanted_address(routing, &link.name, asked, known);
    }
    match (present, asked) {
        (Some(present), None) => Ok(present),
        (Some(present), Some(asked)) if present == asked => Ok(present),
        (Some(present), Some(asked)) => {
            if known.iter().any(|endpoint| endpoint.ipv4.is_some()) {
                let (present, asked) = (present.to_string(), asked.to_string());
                return Err(Error::BridgeInUse { name: link.name.clone(), present, asked });
            }
            routing.delete_address(link, present)?;
            routing.add_address(link, asked)?;
            Ok(asked)
        }
        (None, asked) => {
            let address = wanted_address(routing, &link.name, asked, known)?;
            routing.add_address(link, address)?;
            Ok(address)
        }
    }
}

/// Gives the bridge its address of IPv6 and no other; without one IPv6 is disabled on it.
fn configure_ipv6(
    routing: &mut Routing,
    link: &Link,
    options: &Options,
    known: &[Endpoint],
) -> Result<Option<InterfaceAddress<Ipv6Addr>>, Error> {
    let asked = wanted_ipv6_address(routing, Some(link), options, known)?;
    let (Some(ipv6), Some(asked)) = (&options.ipv6, asked) else {
        switches::refuse_ipv6(&link.name)?;
        return Ok(None);
    };
    let wanted = Some(asked).filter(|_| ipv6.gateway_mode != GatewayMode::Isolated);
    if wanted.is_some() {
        switches::allow_ipv6(&link.name)?;
    } else {
        switches::refuse_ipv6(&link.name)?;
    }
    let present = global_addresses(routing, link)?;
    for other in present.iter().filter(|present| Some(**present) != wanted) {
        if known.iter().any(|endpoint| endpoint.ipv6.is_some_and(|lease| lease.gateway != asked.address)) {
            let (present, asked) = (other.to_string(), asked.to_string());
            return Err(Error::BridgeInUse { name: link.name.clone(), present, asked });
        }
        routing.delete_address(link, *other)?;
    }
    if let Some(address) = wanted.filter(|wanted| !present.contains(wanted)) {
        routing.add_address(link, address)?;
    }
    Ok(Some(asked))
}

/// The address of IPv6 that a bridge gets, if any: the one asked for, the one that it has or that running
/// containers know, or the one that is free.
fn wanted_ipv6_address(
    routing: &mut Routing,
    link: Option<&Link>,
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
    let present = match link {
        Some(link) => global_addresses(routing, link)?.into_iter().next(),
        None => None,
    };
    Ok(Some(present.unwrap_or(free)))
}

/// The addresses of IPv6 of a link that are not of the link alone.
fn global_addresses(routing: &mut Routing, link: &Link) -> Result<Vec<InterfaceAddress<Ipv6Addr>>, Error> {
    let of_link = routing.addresses::<Ipv6Addr>()?.into_iter().filter(|(index, _)| *index == link.index);
    let addresses = of_link.map(|(_, address)| address);
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
        true => Some(wanted_address(routing, name, asked, known)?),
        false => None,
    };
    let ipv6 = wanted_ipv6_address(routing, None, options, known)?;
    Ok(endpoint::hardware_address(ipv4.map(|host| host.address), ipv6.map(|host| host.address)))
}

/// Lets the host speak to containers as 127.0.0.1 and as ::1, which published ports need.
pub(super) fn allow_loopback(routing: &mut Routing, bridge: &Bridge, options: &Options) -> Result<(), Error> {
    let speaks_ipv6 = options.ipv6.as_ref().is_some_and(|ipv6| ipv6.gateway_mode != GatewayMode::Isolated);
    if speaks_ipv6 && options.ipv6_firewall {
        routing.accept_ipv6_loopback(&bridge.link())?;
    }
    routing.configure(&bridge.link(), &[(ROUTE_LOCALNET, 1)])
}

/// Lets the bridge answer for addresses of containers whose links are beside it.
pub(super) fn answer_for_links(routing: &mut Routing, bridge: &Bridge) -> Result<(), Error> {
    if bridge.ipv6.is_some() {
        switches::answer_for_others_by_ipv6(&bridge.name)?;
        routing.answer_at_once_by_ipv6(&bridge.link())?;
    }
    routing.configure(&bridge.link(), &[(PROXY_ARP, 1)])?;
    routing.answer_at_once(&bridge.link())
}

impl Bridge {
    /// The link, as far as requests name it.
    pub(super) fn link(&self) -> Link {
        Link { index: self.index, name: self.name.clone(), ..Link::default() }
    }
}

fn address_of(routing: &mut Routing, link: &Link) -> Result<Option<InterfaceAddress>, Error> {
    let addresses = routing.addresses::<Ipv4Addr>()?;
    Ok(addresses.into_iter().find(|(index, _)| *index == link.index).map(|(_, address)| address))
}

/// The address that the bridge gets: the one asked for, the one that running containers know, or
/// one of a network that the host does not reach otherwise.
fn wanted_address(
    routing: &mut Routing,
    name: &str,
    asked: Option<InterfaceAddress>,
    known: &[Endpoint],
) -> Result<InterfaceAddress, Error> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    if let Some(lease) = known.iter().find_map(|endpoint| endpoint.ipv4) {
        return Ok(InterfaceAddress { address: lease.gateway, prefix_length: lease.prefix_length });
    }
    choose_free(&taken_by_host(routing)?).ok_or_else(|| Error::NoFreeNetwork(name.to_owned()))
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
