//! Addresses of networks of either family, between what clients write and what the kernel has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{Cidr, NetworkDefinition, Pool};
use network::{Address, InterfaceAddress, Subnet};

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

/// The addresses of a network; of one that is only a configuration none.
pub(super) fn of_network<A: Family>(definition: &NetworkDefinition) -> impl Iterator<Item = Subnet<A>> + '_ {
    let pools = definition.pools.iter().filter(|_| !definition.config_only);
    pools.filter_map(|pool| subnet(pool.subnet?))
}
