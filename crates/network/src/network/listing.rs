//! What the host has when networks open: listed once for all of them, since each list is as long as there are networks.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::Error;
use crate::family::Address;
use crate::route::{Interface, Routing};

/// The interfaces of the host and its addresses.
#[derive(Debug, Clone, Default)]
pub struct HostListing {
    pub(super) interfaces: Vec<Interface>,
    ipv4: Vec<Ipv4Addr>,
    ipv6: Vec<Ipv6Addr>,
}

impl HostListing {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn read() -> Result<Self, Error> {
        Self::read_by(&mut Routing::open()?)
    }

    pub(super) fn read_by(routing: &mut Routing) -> Result<Self, Error> {
        Ok(Self { interfaces: routing.interfaces()?, ipv4: addresses(routing)?, ipv6: addresses(routing)? })
    }
}

/// The host's addresses of a family.
pub(super) fn addresses<A: Address>(routing: &mut Routing) -> Result<Vec<A>, Error> {
    Ok(routing.addresses()?.into_iter().map(|(_, address)| address.address).collect())
}

/// What is known of the host when a network opens.
#[derive(Debug, Clone, Copy)]
pub(super) enum KnownHost<'l> {
    /// An earlier daemon may have left something of the network, which is in this list.
    Listed(&'l HostListing),
    /// The network has never been there, so nothing is left of it; the host may have addresses of it.
    New,
    /// The same, and the host has nothing where the network is.
    NewAndFree,
}

impl KnownHost<'_> {
    /// The host's addresses of IPv4 that may be the network's.
    pub(super) fn ipv4(self, routing: &mut Routing) -> Result<Vec<Ipv4Addr>, Error> {
        match self {
            Self::Listed(listing) => Ok(listing.ipv4.clone()),
            Self::New => addresses(routing),
            Self::NewAndFree => Ok(Vec::new()),
        }
    }

    /// The same of IPv6.
    pub(super) fn ipv6(self, routing: &mut Routing) -> Result<Vec<Ipv6Addr>, Error> {
        match self {
            Self::Listed(listing) => Ok(listing.ipv6.clone()),
            Self::New => addresses(routing),
            Self::NewAndFree => Ok(Vec::new()),
        }
    }
}
