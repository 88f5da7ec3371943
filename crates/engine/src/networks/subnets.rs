//! Addresses of networks: free ones, and what the host reaches already.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use model::{Cidr, Pool};
use network::{Address, InterfaceAddress, Network, Subnet};

use super::entry::NetworkEntry;
use super::registry::NetworkRegistry;
use crate::error::Error;
use crate::random;

/// Where networks that name no addresses get theirs, with the length of their prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPools {
    /// Those of IPv4, in this order.
    pub ipv4: Vec<(Subnet<Ipv4Addr>, u8)>,
    /// Those of IPv6; without any each network gets a unique local one (RFC 4193).
    pub ipv6: Vec<(Subnet<Ipv6Addr>, u8)>,
}

impl Default for AddressPools {
    /// What other engines use, which clients know.
    fn default() -> Self {
        let large = (17..=31).map(|second| (Subnet::containing([172, second, 0, 0].into(), 16), 16));
        let small = [(Subnet::containing([192, 168, 0, 0].into(), 16), 20)];
        Self { ipv4: large.chain(small).collect(), ipv6: Vec::new() }
    }
}

/// A family of addresses, as definitions of networks have it.
pub(crate) trait Family: Address {
    /// The address, if it is of this family.
    fn of(address: IpAddr) -> Option<Self>;
}

impl Family for Ipv4Addr {
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }
}

impl Family for Ipv6Addr {
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address),
        }
    }
}

/// An address as a network of the kernel has it; `None` for one of another family.
pub(super) fn interface_address<A: Family>(cidr: Cidr) -> Option<InterfaceAddress<A>> {
    Some(InterfaceAddress { address: A::of(cidr.address)?, prefix_length: cidr.prefix_length })
}

/// The network that addresses of a family are of.
pub(super) fn subnet<A: Family>(cidr: Cidr) -> Option<Subnet<A>> {
    interface_address(cidr).map(InterfaceAddress::subnet)
}

/// The network that is written so.
pub(super) fn cidr<A: Address>(subnet: Subnet<A>) -> Cidr {
    Cidr { address: subnet.base().into(), prefix_length: subnet.prefix_length() }
}

/// The pool of a family among those of a network.
pub(super) fn pool_of<A: Family>(pools: &[Pool]) -> Option<&Pool> {
    pools.iter().find(|pool| pool.subnet.is_some_and(|subnet| A::of(subnet.address).is_some()))
}

/// The addresses of all networks, but of those that are only a configuration.
pub(super) fn in_use<A: Family>(registry: &NetworkRegistry) -> Vec<Subnet<A>> {
    let own = |entry: &Arc<NetworkEntry>| {
        let definition = &entry.record.definition;
        let pools = definition.pools.iter().filter(|_| !definition.config_only);
        pools.filter_map(|pool| subnet(pool.subnet?)).collect::<Vec<_>>()
    };
    registry.unordered().iter().flat_map(own).collect()
}

/// Chooses addresses of IPv4 that neither another network nor the host has.
///
/// # Errors
/// A bad parameter when all are in use.
pub(super) fn choose_ipv4(registry: &NetworkRegistry, pools: &AddressPools) -> Result<Subnet, Error> {
    choose(registry, &pools.ipv4)
}

/// Chooses addresses of IPv6 that neither another network nor the host has.
///
/// # Errors
/// A bad parameter when all are in use.
pub(super) fn choose_ipv6(
    registry: &NetworkRegistry,
    pools: &AddressPools,
) -> Result<Subnet<Ipv6Addr>, Error> {
    if !pools.ipv6.is_empty() {
        return choose(registry, &pools.ipv6);
    }
    let taken = taken(registry)?;
    loop {
        let subnet = unique_local_network();
        if !taken.iter().any(|other| other.overlaps(subnet)) {
            return Ok(subnet);
        }
    }
}

fn taken<A: Family>(registry: &NetworkRegistry) -> Result<Vec<Subnet<A>>, Error> {
    let mut taken = in_use(registry);
    taken.extend(Network::taken_by_host().map_err(Error::Network)?);
    Ok(taken)
}

fn choose<A: Family>(registry: &NetworkRegistry, pools: &[(Subnet<A>, u8)]) -> Result<Subnet<A>, Error> {
    let taken = taken(registry)?;
    let free = pools.iter().find_map(|(base, length)| network::lowest_free(*base, *length, &taken));
    free.ok_or_else(|| Error::refused("all predefined address pools have been fully subnetted"))
}

/// A network of the length 64 with a random global id (RFC 4193, section 3.2.2).
#[must_use]
pub fn unique_local_network() -> Subnet<Ipv6Addr> {
    const PREFIX: u8 = 0xfd;
    let random: [u8; 32] = random::bytes();
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&random[..8]);
    octets[0] = PREFIX;
    Subnet::containing(octets.into(), 64)
}
