//! Makes a new interface carry packets at once.
//!
//! By itself the kernel lets ends of interfaces and the bridge carry packets a moment after they are set up,
//! or on a busy host much later, and until then drops what is sent: the first packet would cost a second. And
//! hardware addresses are resolved by queries to all ports, which with many containers costs more than the
//! rest of a start. So the container's end is set up here and the kernel finishes the device, and host and
//! container get each other's neighbour entries.

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use super::inside::{Configurer, configure, within};
use super::{Active, InterfaceState, switches};
use crate::endpoint::{AddressLease, Endpoint, link_local};
use crate::error::Error;
use crate::fault::Step;
use crate::publishing::GatewayMode;
use crate::route::{Interface, Routing};
use crate::subnet::{InterfaceAddress, Subnet};
use model::MacAddress;

/// The length of the prefix of addresses of an interface alone, RFC 4291, section 2.5.6.
const LINK_LOCAL_PREFIX: u8 = 64;

impl Active {
    /// Sets the container's end up and sees to it that it, the host's end and the bridge carry
    /// packets between host and container.
    pub(super) fn carry(
        &self,
        endpoint: &Endpoint,
        state: InterfaceState,
        namespace: BorrowedFd<'_>,
        configurer: Configurer,
    ) -> Result<(), Error> {
        self.host.faults.pass(Step::CreateInterface)?;
        let (interface, bridge) = {
            let mut routing = self.host.routing();
            let bridge = routing.existing_interface(&self.bridge.name)?;
            let interface = routing.existing_interface(&endpoint.host_interface)?;
            if state == InterfaceState::Port || endpoint.ipv6.is_none() {
                // Behind a question that has waited for its turn: the switch does not wait for others that change interfaces,
                // it is tried again and again until none does. So no other thread of the engine may do so either.
                switches::refuse_ipv6(&endpoint.host_interface)?;
            }
            (interface, bridge)
        };
        let gateway = if state == InterfaceState::Port { bridge.mac } else { interface.mac };
        within(namespace, |routing| {
            let inside = set_up_inside(routing, endpoint, state, gateway)?;
            match configurer {
                Configurer::Init => Ok(()),
                Configurer::Engine => configure(routing, endpoint, &inside),
            }
        })?;
        let mut routing = self.host.routing();
        routing.existing_interface(&interface.name)?;
        if state == InterfaceState::Port {
            // The bridge itself carries packets only since its first port does.
            routing.existing_interface(&bridge.name)?;
        }
        self.add_neighbours(&mut routing, endpoint, state, (&interface, &bridge))?;
        Ok(self.host.faults.pass(Step::CarryPackets)?)
    }

    /// Adds the container's addresses to the host's neighbours, and its port to the bridge's forwarding
    /// table.
    pub(super) fn add_neighbours(
        &self,
        routing: &mut Routing,
        endpoint: &Endpoint,
        state: InterfaceState,
        (interface, bridge): (&Interface, &Interface),
    ) -> Result<(), Error> {
        let neighbours_at = if state == InterfaceState::Port { bridge } else { interface };
        if state == InterfaceState::Port {
            routing.add_station(interface, endpoint.mac)?;
        }
        let mut addresses = endpoint.addresses().filter(|address| self.speaks(*address));
        addresses.try_for_each(|address| routing.add_neighbour(neighbours_at, address, endpoint.mac))
    }

    /// Whether the host itself communicates with containers in the family of the address.
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
    state: InterfaceState,
    gateway: Option<MacAddress>,
) -> Result<Interface, Error> {
    let interface = routing.existing_interface(&endpoint.interface_name)?;
    if endpoint.ipv6.is_some() {
        switches::allow_ipv6(&interface.name)?;
    }
    routing.set_up_without_ipv6(&interface)?;
    // Reading an interface makes the kernel finish its pending work for it first (since 6.8).
    routing.existing_interface(&endpoint.interface_name)?;
    if let Some(lease) = endpoint.ipv6 {
        add_ipv6(routing, &interface, endpoint, lease, state)?;
    }
    if let Some(mac) = gateway {
        endpoint.places().try_for_each(|(_, gateway)| routing.add_neighbour(&interface, gateway, mac))?;
    }
    Ok(interface)
}

/// Adds the interface's addresses of IPv6 before the container's process begins. Beside the bridge the route to
/// the others on the network leads over the host, since the interface answers only for its own addresses.
fn add_ipv6(
    routing: &mut Routing,
    interface: &Interface,
    endpoint: &Endpoint,
    lease: AddressLease<Ipv6Addr>,
    state: InterfaceState,
) -> Result<(), Error> {
    let of_interface = link_local(endpoint.mac);
    routing.add_address(
        interface,
        InterfaceAddress { address: of_interface, prefix_length: LINK_LOCAL_PREFIX },
    )?;
    let AddressLease { address, prefix_length, gateway } = lease;
    if state == InterfaceState::Port {
        return routing.add_address(interface, InterfaceAddress { address, prefix_length });
    }
    routing.add_address(interface, InterfaceAddress { address, prefix_length: 128 })?;
    routing.add_host_route(interface, gateway.into(), None)?;
    routing.add_route(interface, Subnet::containing(address, prefix_length), gateway)
}
