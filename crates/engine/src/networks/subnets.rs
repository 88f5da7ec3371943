//! Addresses of networks: free ones, and what the host reaches already.

use std::sync::Arc;

use model::Cidr;
use network::{InterfaceAddress, Subnet};

use super::entry::NetworkEntry;
use super::registry::NetworkRegistry;
use crate::error::Error;

/// Where networks that name no addresses get theirs, unless the daemon is told otherwise: what other
/// engines use, which clients know, in this order.
#[must_use]
pub fn default_pools() -> Vec<(Subnet, u8)> {
    let large = (17..=31).map(|second| (Subnet::containing([172, second, 0, 0].into(), 16), 16));
    large.chain([(Subnet::containing([192, 168, 0, 0].into(), 16), 20)]).collect()
}

/// An address of IPv4 as a network of the kernel has it; `None` for one of IPv6.
pub(super) fn interface_address(cidr: Cidr) -> Option<InterfaceAddress> {
    match cidr.address {
        std::net::IpAddr::V4(address) => {
            Some(InterfaceAddress { address, prefix_length: cidr.prefix_length })
        }
        std::net::IpAddr::V6(_) => None,
    }
}

/// The network that addresses of IPv4 are of.
pub(super) fn subnet(cidr: Cidr) -> Option<Subnet> {
    interface_address(cidr).map(InterfaceAddress::subnet)
}

/// The addresses of all networks, but of those that are only a configuration.
pub(super) fn in_use(registry: &NetworkRegistry) -> Vec<Subnet> {
    let own = |entry: &Arc<NetworkEntry>| {
        let definition = &entry.record.definition;
        let pools = definition.pools.iter().filter(|_| !definition.config_only);
        pools.filter_map(|pool| subnet(pool.subnet?)).collect::<Vec<_>>()
    };
    let bridge = registry.default.bridge().map(|(_, address)| address.subnet());
    registry.all().iter().flat_map(own).chain(bridge).collect()
}

/// Chooses addresses that neither another network nor the host has.
///
/// # Errors
/// A bad parameter when all are in use.
pub(super) fn choose(registry: &NetworkRegistry, pools: &[(Subnet, u8)]) -> Result<Subnet, Error> {
    let mut taken = in_use(registry);
    taken.extend(network::Network::taken_by_host().map_err(Error::Network)?);
    let free = pools.iter().find_map(|(base, length)| network::lowest_free(*base, *length, &taken));
    free.ok_or_else(|| Error::refused("all predefined address pools have been fully subnetted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_pools_are_private_and_do_not_overlap() {
        let pools = default_pools();
        let count: usize = pools.iter().map(|(base, length)| 1 << (length - base.prefix_length())).sum();
        assert_eq!(count, 31);
        for (index, (pool, _)) in pools.iter().enumerate() {
            assert!(pools[..index].iter().all(|(other, _)| !pool.overlaps(*other)), "{pool:?}");
        }
    }
}
