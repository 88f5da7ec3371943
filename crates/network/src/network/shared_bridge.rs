//! Bridges that were made elsewhere, to which a network adds what they lack.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use rustix::io::Errno;

use super::bridge_addresses::{address_of, require_bridge, wanted_address, wanted_ipv6_address};
use super::state::{BridgeAddresses, BridgeOwner};
use super::{Bridge, switches};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::options::Options;
use crate::route::{Interface, Routing};
use crate::subnet::InterfaceAddress;

/// An existing bridge of another owner, with its address of IPv4; that of IPv6 is added where it is missing.
pub(super) fn existing(
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
        index: Arc::new(AtomicU32::new(interface.index)),
        ipv4,
        ipv6,
        owner: BridgeOwner::SomebodyElse(BridgeAddresses::default()),
        settings: None,
    })
}

/// Adds the network's addresses that such a bridge lacks, and records these; all else on it stays as it is. Returns
/// the network's addresses.
pub(super) fn share(
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
        && !routing.addresses_of(&interface)?.contains(&address)
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

/// Adds an address of IPv6 to such a bridge if it lacks it; returns whether it did.
fn add_missing_ipv6(
    routing: &mut Routing,
    interface: &Interface,
    address: InterfaceAddress<Ipv6Addr>,
) -> Result<bool, Error> {
    if routing.addresses_of(interface)?.contains(&address) {
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

    /// The reverse for a network that is removed. Addresses that the bridge's owner has removed meanwhile, or the bridge
    /// itself, are no longer the network's.
    pub(super) fn give_back(&self, bridge: &Interface, routing: &mut Routing) -> Result<(), Error> {
        let of_others = |error: &Error| match error {
            Error::Address { source, .. } => source.is(Errno::NODEV) || source.is(Errno::ADDRNOTAVAIL),
            _ => false,
        };
        self.undo(bridge, routing).into_iter().find(|error| !of_others(error)).map_or(Ok(()), Err)
    }
}
