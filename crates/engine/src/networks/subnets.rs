//! Addresses of networks: free ones, and what the host reaches already.

use std::net::{Ipv4Addr, Ipv6Addr};

use network::{Network, Subnet};

use super::families::{Family, of_network};
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
    /// The pools of other engines, which clients expect.
    fn default() -> Self {
        let large = (17..=31).map(|second| (Subnet::containing([172, second, 0, 0].into(), 16), 16));
        let small = [(Subnet::containing([192, 168, 0, 0].into(), 16), 20)];
        Self { ipv4: large.chain(small).collect(), ipv6: Vec::new() }
    }
}

/// The length of the prefix that all unique local addresses share when the network's own bits follow, RFC 4193, section 3.1.
const UNIQUE_LOCAL_PREFIX: u8 = 8;
/// How many random networks are tried; one in use is met once in 2^40 times.
const ATTEMPTS: usize = 64;

/// The addresses of all networks.
fn in_use<A: Family>(registry: &NetworkRegistry) -> Vec<Subnet<A>> {
    let mut subnets = Vec::new();
    registry.each(|entry| subnets.extend(of_network::<A>(&entry.record.definition)));
    subnets
}

/// Whether a network has any of these addresses.
pub(super) fn meets_network<A: Family>(registry: &NetworkRegistry, subnet: Subnet<A>) -> bool {
    let mut meets = false;
    registry.each(|entry| {
        meets = meets || of_network::<A>(&entry.record.definition).any(|other| other.overlaps(subnet));
    });
    meets
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
    let mut taken = taken(registry)?;
    // A route for all unique local addresses, by which a site keeps them from the outside, forbids as little as a default
    // route.
    taken.retain(|other| other.prefix_length() > UNIQUE_LOCAL_PREFIX);
    let mut chosen = std::iter::repeat_with(unique_local_network).take(ATTEMPTS);
    let free = chosen.find(|subnet| !taken.iter().any(|other| other.overlaps(*subnet)));
    free.ok_or_else(all_in_use)
}

/// The subnets of networks and of the host, sorted by the first addresses.
fn taken<A: Family>(registry: &NetworkRegistry) -> Result<Vec<Subnet<A>>, Error> {
    let mut taken = in_use(registry);
    taken.extend(Network::taken_by_host().map_err(Error::Network)?);
    taken.sort_unstable_by_key(|subnet| subnet.base());
    Ok(taken)
}

fn all_in_use() -> Error {
    Error::refused("all predefined address pools have been fully subnetted")
}

fn choose<A: Family>(registry: &NetworkRegistry, pools: &[(Subnet<A>, u8)]) -> Result<Subnet<A>, Error> {
    let taken = taken(registry)?;
    let free = pools.iter().find_map(|(base, length)| network::lowest_free(*base, *length, &taken));
    free.ok_or_else(all_in_use)
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
