//! The differences between the tables of IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::transaction::{IPV4, IPV6};

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    /// Its number, `NFPROTO_IPV4` or `NFPROTO_IPV6`.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Ipv4 => IPV4,
            Self::Ipv6 => IPV6,
        }
    }

    /// The family of an address.
    pub(super) const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// How many words of registers an address takes.
    pub(super) const fn address_words(self) -> u32 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 4,
        }
    }

    /// The addresses of the host's loopback, and the length of their prefix.
    pub(super) const fn loopback(self) -> (IpAddr, u8) {
        match self {
            Self::Ipv4 => (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
            Self::Ipv6 => (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        }
    }
}
