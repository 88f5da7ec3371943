//! Makes a new link carry packets at once.
//!
//! By itself the kernel lets ends of links and the bridge carry packets a moment after they are
//! set up, or on a busy host much later, and until then drops what is sent: the first packet
//! would cost a second. And who has which hardware address is asked of all ports, which with many
//! containers costs more than the rest of a start. So the container's end is set up here and the
//! kernel finishes the device, and host and container get each other's neighbour entries.

use std::os::fd::BorrowedFd;

use super::inside::within;
use super::{Active, LinkState, switches};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::fault::Step;
use crate::route::Routing;
use model::MacAddress;

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
        switches::refuse_ipv6(&endpoint.link)?;
        let (link, bridge) = {
            let mut routing = self.host.routing();
            (routing.existing_link(&endpoint.link)?, routing.existing_link(&self.bridge.name)?)
        };
        let gateway = if state == LinkState::Port { bridge.mac } else { link.mac };
        within(namespace, |routing| set_up_inside(routing, endpoint, gateway))?;
        let mut routing = self.host.routing();
        routing.existing_link(&link.name)?;
        if state == LinkState::Port {
            // The bridge itself carries packets only since its first port does.
            routing.existing_link(&bridge.name)?;
            routing.add_station(&link, endpoint.mac)?;
            routing.add_neighbour(&bridge, endpoint.address, endpoint.mac)?;
        } else {
            routing.add_neighbour(&link, endpoint.address, endpoint.mac)?;
        }
        Ok(self.host.faults.pass(Step::CarryPackets)?)
    }
}

fn set_up_inside(
    routing: &mut Routing,
    endpoint: &Endpoint,
    gateway: Option<MacAddress>,
) -> Result<(), Error> {
    let link = routing.existing_link(&endpoint.interface_name)?;
    routing.set_up_without_ipv6(&link)?;
    // Asking for a link lets the kernel first do what is pending for it (since 6.8).
    routing.existing_link(&endpoint.interface_name)?;
    match gateway {
        Some(mac) => routing.add_neighbour(&link, endpoint.gateway, mac),
        None => Ok(()),
    }
}
