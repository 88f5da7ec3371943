//! The host's interfaces and addresses when networks open: listed once for all of them, since each list is as long as
//! there are networks.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::Error;
use crate::family::Address;
use crate::route::{Interface, Routing};
use crate::subnet::InterfaceAddress;

use super::Bridge;

/// The interfaces of the host and its addresses.
#[derive(Debug, Clone, Default)]
pub struct HostListing {
    pub(super) interfaces: Vec<Interface>,
    ipv4: Listed<Ipv4Addr>,
    ipv6: Listed<Ipv6Addr>,
}

/// Addresses, each with the index of its interface.
type Listed<A> = Vec<(u32, InterfaceAddress<A>)>;

impl HostListing {
    /// Reads the lists from the kernel.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn read() -> Result<Self, Error> {
        Self::read_by(&mut Routing::open()?)
    }

    pub(super) fn read_by(routing: &mut Routing) -> Result<Self, Error> {
        Ok(Self { interfaces: routing.interfaces()?, ipv4: routing.addresses()?, ipv6: routing.addresses()? })
    }
}

/// The host's addresses of a family.
pub(super) fn addresses<A: Address>(routing: &mut Routing) -> Result<Vec<A>, Error> {
    Ok(routing.addresses()?.into_iter().map(|(_, address)| address.address).collect())
}

/// The state of the host when a network opens.
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
    /// The host's addresses of IPv4 that may be the network's, which has this bridge.
    pub(super) fn ipv4(self, routing: &mut Routing, bridge: &Bridge) -> Result<Vec<Ipv4Addr>, Error> {
        self.addresses(routing, bridge, |listing| &listing.ipv4)
    }

    /// The same of IPv6.
    pub(super) fn ipv6(self, routing: &mut Routing, bridge: &Bridge) -> Result<Vec<Ipv6Addr>, Error> {
        self.addresses(routing, bridge, |listing| &listing.ipv6)
    }

    fn addresses<A: Address>(
        self,
        routing: &mut Routing,
        bridge: &Bridge,
        of: impl Fn(&HostListing) -> &Listed<A>,
    ) -> Result<Vec<A>, Error> {
        let listing = match self {
            Self::Listed(listing) => listing,
            Self::New => return addresses(routing),
            Self::NewAndFree => return Ok(Vec::new()),
        };
        // The bridge may have been recreated since, or have got other addresses.
        let is_bridge = |index: u32| {
            let mut interfaces = listing.interfaces.iter();
            index == bridge.index()
                || interfaces.any(|known| known.index == index && known.name == bridge.name)
        };
        let others = of(listing).iter().filter(|(index, _)| !is_bridge(*index));
        let others = others.map(|(_, address)| address.address);
        let own = routing.addresses_of(&bridge.interface())?;
        Ok(others.chain(own.into_iter().map(|address| address.address)).collect())
    }
}
