//! Networks in the notation `address/prefix`, and choosing one that meets no other.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::family::Address;

/// A string is no `address/n`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {0}")]
pub struct CidrError(pub String);

/// A network: the bits beyond the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subnet<A = Ipv4Addr> {
    base: A,
    prefix_length: u8,
}

/// An address of an interface and the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InterfaceAddress<A = Ipv4Addr> {
    /// The address itself.
    pub address: A,
    /// The length of its network's prefix, at most that of an address.
    pub prefix_length: u8,
}

impl<A: Address> Subnet<A> {
    /// Makes the network that `address` belongs to; a length above that of an address counts as that.
    #[must_use]
    pub fn containing(address: A, prefix_length: u8) -> Self {
        let prefix_length = prefix_length.min(A::BITS);
        let base = A::from_number(address.number() & !host_bits::<A>(prefix_length));
        Self { base, prefix_length }
    }

    /// The first address, with which the network is named.
    #[must_use]
    pub fn base(self) -> A {
        self.base
    }

    /// The length of the prefix.
    #[must_use]
    pub fn prefix_length(self) -> u8 {
        self.prefix_length
    }

    /// All addresses, first and last included.
    #[must_use]
    pub fn addresses(self) -> RangeInclusive<A> {
        self.base..=self.last()
    }

    /// The addresses that hosts can have: without the network's own (in IPv6 that of any router, RFC 4291,
    /// section 2.6.1) and the broadcast one, except in networks of one or two addresses (RFC 3021, RFC 6164).
    #[must_use]
    pub fn hosts(self) -> RangeInclusive<A> {
        if self.prefix_length + 1 >= A::BITS {
            return self.addresses();
        }
        let broadcast = if A::HAS_BROADCAST { 1 } else { 0 };
        A::from_number(self.base.number() + 1)..=A::from_number(self.last().number() - broadcast)
    }

    /// The last address: the broadcast one, where there is one.
    #[must_use]
    pub fn last(self) -> A {
        A::from_number(self.base.number() | host_bits::<A>(self.prefix_length))
    }

    /// Whether the address belongs to the network.
    #[must_use]
    pub fn contains(self, address: A) -> bool {
        address.number() & !host_bits::<A>(self.prefix_length) == self.base.number()
    }

    /// Whether all of `other` belongs to the network.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        other.prefix_length >= self.prefix_length && self.contains(other.base)
    }

    /// Whether both have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.includes(other) || other.includes(self)
    }
}

impl<A: Address> InterfaceAddress<A> {
    /// The network that the address belongs to.
    #[must_use]
    pub fn subnet(self) -> Subnet<A> {
        Subnet::containing(self.address, self.prefix_length)
    }
}

/// The bits beyond a prefix.
fn host_bits<A: Address>(prefix_length: u8) -> u128 {
    let host = u32::from(A::BITS - prefix_length);
    u128::MAX.checked_shl(host).map_or(u128::MAX, |prefix| !prefix)
}

impl<A: Address> FromStr for InterfaceAddress<A> {
    type Err = CidrError;
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let error = || CidrError(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(error)?;
        let prefix_length = length.parse().ok().filter(|length| *length <= A::BITS).ok_or_else(error)?;
        let address = address.parse().map_err(|_| error())?;
        Ok(Self { address, prefix_length })
    }
}

impl<A: Address> FromStr for Subnet<A> {
    type Err = CidrError;
    fn from_str(text: &str) -> Result<Self, CidrError> {
        Ok(text.parse::<InterfaceAddress<A>>()?.subnet())
    }
}

impl<A: Address> fmt::Display for Subnet<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base, self.prefix_length)
    }
}

impl<A: Address> fmt::Display for InterfaceAddress<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_length)
    }
}

/// Chooses a private network that overlaps none of `taken`: large ones of 172.16.0.0/12 first
/// (from above, since other engines begin below), then parts of 10.0.0.0/8 and 192.168.0.0/16.
/// Gives the address of the gateway in it, its first one.
#[must_use]
pub fn choose_free(taken: &[Subnet]) -> Option<InterfaceAddress> {
    let large = (16..=30).rev().map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
    let private = (0..=255).rev().map(|second| (Ipv4Addr::new(10, second, 0, 0), 16));
    let small = (0..=255).rev().map(|third| (Ipv4Addr::new(192, 168, third, 0), 24));
    large
        .chain(private)
        .chain(small)
        .map(|(base, prefix_length)| Subnet { base, prefix_length })
        .find(|candidate| !taken.iter().any(|other| candidate.overlaps(*other)))
        .map(|subnet| InterfaceAddress {
            address: *subnet.hosts().start(),
            prefix_length: subnet.prefix_length,
        })
}

/// Finds the lowest network of this prefix length within `base` that overlaps none of `taken`, which is sorted by the
/// first addresses.
#[must_use]
pub fn lowest_free<A: Address>(base: Subnet<A>, prefix_length: u8, taken: &[Subnet<A>]) -> Option<Subnet<A>> {
    let last_of = host_bits::<A>(prefix_length.min(A::BITS));
    let (mut first, end) = (base.base().number(), base.last().number());
    for other in taken {
        if first.checked_add(last_of)? < other.base().number() {
            break;
        }
        if other.last().number() >= first {
            // The next one behind what is in the way.
            first = (other.last().number() | last_of).checked_add(1)?;
        }
    }
    let fits = first.checked_add(last_of)? <= end;
    fits.then(|| Subnet::containing(A::from_number(first), prefix_length))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a network")
    }

    #[test]
    fn only_address_and_length_parse() {
        assert_eq!(subnet("10.1.2.3/8"), subnet("10.0.0.0/8"));
        assert_eq!(subnet("1.2.3.4/0").last(), Ipv4Addr::BROADCAST);
        for bad in ["", "10.0.0.1", "10.0.0.1/33", "10.0.0/8", "/8", "10.0.0.1/", "::1/64", "10.0.0.1/-1"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_leave_out_both_ends() {
        assert_eq!(subnet("10.0.0.0/30").hosts(), Ipv4Addr::new(10, 0, 0, 1)..=Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(subnet("10.0.0.0/31").hosts(), subnet("10.0.0.0/31").addresses());
    }

    #[test]
    fn the_lowest_free_network_lies_behind_what_is_taken() {
        let find = |taken: &[Subnet]| {
            let mut taken = taken.to_vec();
            taken.sort_unstable_by_key(|other| other.base());
            lowest_free(subnet("192.168.0.0/16"), 20, &taken)
        };
        assert_eq!(find(&[]), Some(subnet("192.168.0.0/20")));
        assert_eq!(find(&[subnet("192.168.0.7/32"), subnet("10.0.0.0/8")]), Some(subnet("192.168.16.0/20")));
        assert_eq!(find(&[subnet("192.168.0.0/17")]), Some(subnet("192.168.128.0/20")));
        let nested = ["192.168.0.0/18", "192.168.0.0/24", "192.168.16.0/20", "192.168.80.1/32"].map(subnet);
        assert_eq!(find(&nested), Some(subnet("192.168.64.0/20")));
        assert_eq!(find(&[subnet("192.168.0.0/16")]), None);
        assert_eq!(find(&[subnet("0.0.0.0/0")]), None);
        let last = subnet("255.255.255.0/24");
        assert_eq!(lowest_free(last, 25, &[subnet("255.255.255.0/25")]), Some(subnet("255.255.255.128/25")));
    }

    #[test]
    fn networks_of_ipv6_have_no_broadcast_address() {
        let parse = |text: &str| text.parse::<Subnet<Ipv6Addr>>().expect("a network");
        let whole = parse("fd00:1::/64");
        assert_eq!(
            (whole.hosts().start().to_string(), whole.hosts().end().to_string()),
            ("fd00:1::1".into(), "fd00:1::ffff:ffff:ffff:ffff".into())
        );
        assert!(parse("::/0").includes(whole) && !whole.contains("fd00:2::".parse().expect("an address")));
        assert_eq!(
            lowest_free(parse("fd00::/62"), 64, &[parse("fd00::/63")]),
            Some(parse("fd00:0:0:2::/64"))
        );
        assert_eq!(lowest_free(parse("fd00::/64"), 64, &[parse("::/0")]), None);
        for bad in ["fd00::/129", "fd00::", "10.0.0.0/8"] {
            assert!(bad.parse::<Subnet<Ipv6Addr>>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_chosen_network_meets_no_other() {
        assert_eq!(choose_free(&[]).map(InterfaceAddress::subnet), Some(subnet("172.30.0.0/16")));
        let taken = [subnet("172.16.0.0/12"), subnet("10.255.3.0/24")];
        assert_eq!(choose_free(&taken).map(InterfaceAddress::subnet), Some(subnet("10.254.0.0/16")));
        let taken = [subnet("172.16.0.0/12"), subnet("10.0.0.0/8")];
        let chosen = choose_free(&taken).expect("a free network");
        assert_eq!(chosen.to_string(), "192.168.255.1/24");
        assert_eq!(choose_free(&[subnet("0.0.0.0/0")]), None);
    }
}
