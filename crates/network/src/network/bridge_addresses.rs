//! The addresses that a bridge has, and those that it gets.

use std::net::Ipv6Addr;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::family::Address;
use crate::names;
use crate::options::{Ipv6Address, Options};
use crate::route::{Interface, Routing};
use crate::subnet::{InterfaceAddress, Subnet, choose_free};

pub(super) fn require_bridge(interface: &Interface) -> Result<(), Error> {
    if interface.kind == "bridge" { Ok(()) } else { Err(Error::NotABridge(interface.name.clone())) }
}

/// The address of IPv6 that a bridge gets, if any: the requested one, the one that it has or that running
/// containers use, or the free one.
pub(super) fn wanted_ipv6_address(
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
pub(super) fn global_addresses(
    routing: &mut Routing,
    interface: &Interface,
) -> Result<Vec<InterfaceAddress<Ipv6Addr>>, Error> {
    let addresses = routing.addresses_of::<Ipv6Addr>(interface)?.into_iter();
    Ok(addresses.filter(|address| !address.address.is_unicast_link_local()).collect())
}

pub(super) fn address_of(
    routing: &mut Routing,
    interface: &Interface,
) -> Result<Option<InterfaceAddress>, Error> {
    Ok(routing.addresses_of(interface)?.into_iter().next())
}

/// The address that the bridge gets: the requested one, the one that running containers use, or one of a
/// network that the host does not reach otherwise.
pub(super) fn wanted_address(
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

/// The subnets that the host reaches already.
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
