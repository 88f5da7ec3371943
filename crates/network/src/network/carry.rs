//! Makes a new link carry packets at once.
//!
//! By itself the kernel lets ends of links and the bridge carry packets a moment after they are
//! set up, or on a busy host much later, and until then drops what is sent: the first packet
//! would cost a second. And who has which hardware address is asked of all ports, which with many
//! containers costs more than the rest of a start. So the container's end is set up here and the
//! kernel finishes the device, and host and container get each other's neighbour entries.

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use super::inside::within;
use super::{Active, LinkState, switches};
use crate::endpoint::{AddressLease, Endpoint, link_local};
use crate::error::Error;
use crate::fault::Step;
use crate::publishing::GatewayMode;
use crate::route::{Link, Routing};
use crate::subnet::{InterfaceAddress, Subnet};
use model::MacAddress;

/// The length of the prefix of addresses of a link alone, RFC 4291, section 2.5.6.
const LINK_LOCAL_PREFIX: u8 = 64;

impl Active {
    /// Sets the container's end up and sees to it that it, the host's end and the bridge carry
    /// packets between host and container.
    pub(super) fn carry(
        &self,
        endpoint: &Endpoint,
        state: LinkState,
        namespace: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        self.host.faults.pass(Step::CreateLink)?;
        if state == LinkState::Port || endpoint.ipv6.is_none() {
            switches::refuse_ipv6(&endpoint.link)?;
        }
        let (link, bridge) = {
            let mut routing = self.host.routing();
            (routing.existing_link(&endpoint.link)?, routing.existing_link(&self.bridge.name)?)
        };
        let gateway = if state == LinkState::Port { bridge.mac } else { link.mac };
        within(namespace, |routing| set_up_inside(routing, endpoint, state, gateway))?;
        let mut routing = self.host.routing();
        routing.existing_link(&link.name)?;
        let neighbours_at = if state == LinkState::Port { &bridge } else { &link };
        if state == LinkState::Port {
            // The bridge itself carries packets only since its first port does.
            routing.existing_link(&bridge.name)?;
            routing.add_station(&link, endpoint.mac)?;
        }
        for address in endpoint.addresses().filter(|address| self.speaks(*address)) {
            routing.add_neighbour(neighbours_at, address, endpoint.mac)?;
        }
        Ok(self.host.faults.pass(Step::CarryPackets)?)
    }

    /// Whether the host itself speaks with containers in the family of the address.
    fn speaks(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.host_ipv4,
            IpAddr::V6(_) => self.publishing.ipv6.is_some_and(|mode| mode != GatewayMode::Isolated),
        }
    }
}

fn set_up_inside(
    routing: &mut Routing,
    endpoint: &Endpoint,
    state: LinkState,
    gateway: Option<MacAddress>,
) -> Result<(), Error> {
    let link = routing.existing_link(&endpoint.interface_name)?;
    if endpoint.ipv6.is_some() {
        switches::allow_ipv6(&link.name)?;
    }
    routing.set_up_without_ipv6(&link)?;
    // Asking for a link lets the kernel first do what is pending for it (since 6.8).
    routing.existing_link(&endpoint.interface_name)?;
    if let Some(lease) = endpoint.ipv6 {
        add_ipv6(routing, &link, endpoint, lease, state)?;
    }
    let Some(mac) = gateway else { return Ok(()) };
    endpoint.places().try_for_each(|(_, gateway)| routing.add_neighbour(&link, gateway, mac))
}

/// Gives the interface its addresses of IPv6, which it then has before the container's process begins. Beside the
/// bridge the way to the others on the network leads over the host, since it answers for no address there but its
/// own.
fn add_ipv6(
    routing: &mut Routing,
    link: &Link,
    endpoint: &Endpoint,
    lease: AddressLease<Ipv6Addr>,
    state: LinkState,
) -> Result<(), Error> {
    let of_link = link_local(endpoint.mac);
    routing.add_address(link, InterfaceAddress { address: of_link, prefix_length: LINK_LOCAL_PREFIX })?;
    let AddressLease { address, prefix_length, gateway } = lease;
    if state == LinkState::Port {
        return routing.add_address(link, InterfaceAddress { address, prefix_length });
    }
    routing.add_address(link, InterfaceAddress { address, prefix_length: 128 })?;
    routing.add_host_route(link, gateway.into(), None)?;
    routing.add_route(link, Subnet::containing(address, prefix_length), gateway)
}
