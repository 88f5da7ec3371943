//! The adoption of existing addresses and interfaces when a network opens.

use std::net::{IpAddr, Ipv4Addr};

use super::Bridge;
use super::group::{GOING, LIVING, group_of};
use crate::addresses::AddressPool;
use crate::endpoint::{AddressLease, Endpoint, is_host_interface_name};
use crate::error::Error;
use crate::family::Address;
use crate::route::{Interface, Routing};
use crate::subnet::InterfaceAddress;

/// The addresses of a network that containers cannot have: the gateway's, the host's, and those in use elsewhere.
pub(super) fn taken<A: Address>(
    gateway: InterfaceAddress<A>,
    of_host: impl IntoIterator<Item = A>,
    reserved: &[A],
) -> Vec<A> {
    let whole = gateway.subnet();
    let of_host = of_host.into_iter().filter(|address| whole.contains(*address));
    of_host.chain([gateway.address]).chain(reserved.iter().copied()).collect()
}

/// Takes the address that a saved endpoint has; returns it back where another one has it.
pub(super) fn adopt_address<A: Address>(
    pool: Option<&mut AddressPool<A>>,
    lease: Option<AddressLease<A>>,
) -> Result<(), IpAddr> {
    let (Some(pool), Some(lease)) = (pool, lease) else { return Ok(()) };
    match pool.adopt(lease.address) {
        true => Ok(()),
        false => Err(lease.address.into()),
    }
}

/// Whether the host has a route to this very address through the interface.
pub(super) fn leads_through<A: Address>(
    routing: &mut Routing,
    interface: &Interface,
    lease: Option<AddressLease<A>>,
) -> Result<bool, Error> {
    let Some(lease) = lease else { return Ok(false) };
    Ok(routing.routes::<A>()?.iter().any(|route| {
        route.out == Some(interface.index)
            && route.destination.prefix_length() == A::BITS
            && route.destination.contains(lease.address)
    }))
}

pub(super) fn running_elsewhere(endpoint: &Endpoint) -> Error {
    let address = endpoint.addresses().next().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Error::RunningElsewhere { address }
}

/// Finds the interfaces of known endpoints among those that are present, and removes those of others that this engine
/// left.
pub(super) fn collect_interfaces(
    routing: &mut Routing,
    bridge: &Bridge,
    known: &[Endpoint],
    present: &[Interface],
) -> Result<Vec<Interface>, Error> {
    let groups = [LIVING, GOING].map(|state| group_of(state, &bridge.name));
    let is_ours = |interface: &Interface| {
        is_host_interface_name(&interface.name)
            && (groups.contains(&interface.group) || interface.master == Some(bridge.index()))
    };
    let ours = present.iter().filter(|interface| is_ours(interface)).cloned();
    let is_known =
        |interface: &Interface| known.iter().any(|endpoint| endpoint.host_interface == interface.name);
    let (living, left): (Vec<_>, Vec<_>) = ours.partition(is_known);
    let left: Vec<String> = left.into_iter().map(|interface| interface.name).collect();
    if !left.is_empty() {
        routing.delete_interfaces(&left, groups[1])?;
    }
    for address in routing.added_neighbours(bridge.index())? {
        if !known.iter().any(|endpoint| endpoint.addresses().any(|own| own == address)) {
            routing.delete_neighbour(&bridge.name, bridge.index(), address)?;
        }
    }
    for address in routing.proxied(bridge.index())? {
        if !known.iter().any(|endpoint| endpoint.ipv6.is_some_and(|lease| lease.address == address)) {
            routing.delete_proxied(&bridge.name, bridge.index(), address)?;
        }
    }
    Ok(living)
}

/// Whether the bridge is on the networks of the endpoint.
pub(super) fn leads_to(bridge: &Bridge, endpoint: &Endpoint) -> bool {
    let ipv4 = endpoint
        .ipv4
        .is_none_or(|lease| bridge.ipv4.is_some_and(|host| host.subnet().contains(lease.address)));
    let ipv6 = endpoint
        .ipv6
        .is_none_or(|lease| bridge.ipv6.is_some_and(|host| host.subnet().contains(lease.address)));
    ipv4 && ipv6
}
