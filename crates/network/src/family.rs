//! The common interface of IPv4 and IPv6, and their differences.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address of IPv4 or IPv6.
pub trait Address: Copy + Eq + Ord + Hash + Debug + Display + FromStr + Into<IpAddr> + Send + Sync {
    /// The length of an address in bits.
    const BITS: u8;
    /// The number of the family in messages of netlink(7), `AF_INET` or `AF_INET6`.
    const FAMILY: u8;
    /// Whether the last address of a network is for broadcasts.
    const HAS_BROADCAST: bool;

    /// The address as a number.
    fn number(self) -> u128;

    /// The address of this number; bits beyond the length of an address do not count.
    fn from_number(number: u128) -> Self;
}

impl Address for Ipv4Addr {
    const BITS: u8 = 32;
    const FAMILY: u8 = 2;
    const HAS_BROADCAST: bool = true;

    fn number(self) -> u128 {
        u32::from(self).into()
    }

    fn from_number(number: u128) -> Self {
        let [.., a, b, c, d] = number.to_be_bytes();
        Self::new(a, b, c, d)
    }
}

impl Address for Ipv6Addr {
    const BITS: u8 = 128;
    const FAMILY: u8 = 10;
    const HAS_BROADCAST: bool = false;

    fn number(self) -> u128 {
        self.into()
    }

    fn from_number(number: u128) -> Self {
        number.into()
    }
}

/// The family of an address, as [`Address::FAMILY`].
pub(crate) const fn number_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::FAMILY,
        IpAddr::V6(_) => Ipv6Addr::FAMILY,
    }
}

/// An address as messages of netlink(7) have it.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The address of an attribute, if it has the length of one of the family.
pub(crate) fn from_octets<A: Address>(octets: &[u8]) -> Option<A> {
    let number = octets.iter().fold(0, |number: u128, octet| number << 8 | u128::from(*octet));
    (octets.len() * 8 == usize::from(A::BITS)).then(|| A::from_number(number))
}
