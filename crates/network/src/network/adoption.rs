//! What a network takes over when it opens: addresses that are in use, and interfaces that are there.

use std::net::{IpAddr, Ipv4Addr};

use crate::addresses::AddressPool;
use crate::endpoint::{AddressLease, Endpoint};
use crate::error::Error;
use crate::family::Address;
use crate::route::{Interface, Routing};
use crate::subnet::InterfaceAddress;

/// The addresses that containers cannot have: the gateway's, the host's, and those in use elsewhere.
pub(super) fn taken<A: Address>(
    routing: &mut Routing,
    host: InterfaceAddress<A>,
    reserved: &[A],
) -> Result<Vec<A>, Error> {
    let own = routing.addresses()?.into_iter().map(|(_, address)| address.address);
    Ok(own.chain([host.address]).chain(reserved.iter().copied()).collect())
}

/// Takes the address that a saved endpoint has; gives it back where another one has it.
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
