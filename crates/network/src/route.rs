//! Interfaces, addresses and routes through rtnetlink(7): one function a request.

mod address;
mod interface;
mod list;
mod neighbour;
mod port;
mod retired;
mod socket;
mod upper;

use std::net::{IpAddr, Ipv6Addr};

use rustix::io::Errno;
use sys::netlink::{self, Message, RequestError};

pub(crate) use interface::{Attachment, PROXY_ARP, Pair, ROUTE_LOCALNET};
pub(crate) use list::Route;
pub(crate) use retired::Presence;
use socket::{
    ADDRESS_LOCAL, ADDRESS_PEER, BY_ADMINISTRATOR, BY_BOOT, DELETE_LINK, DELETE_ROUTE, FAMILY_IPV4,
    GET_ADDRESS, GET_LINK, GET_ROUTE, LOCAL, NEW_LINK, NEW_ROUTE, ROUTE_DESTINATION, ROUTE_GATEWAY,
    ROUTE_OUT, ROUTE_PREFERRED_SOURCE, ROUTE_PRIORITY, ROUTE_TABLE, SCOPE_LINK, SCOPE_NOWHERE,
    SCOPE_UNIVERSE, TABLE_LOCAL, TABLE_MAIN, UNICAST,
};
pub(crate) use socket::{Interface, Routing};
pub(crate) use upper::Upper;

use crate::error::Error;
use crate::family::{Address, number_of, octets};
use crate::subnet::Subnet;

/// Behind the kernel's own routes to the loopback's address. Each interface adds its number: of routes to one address with
/// the same priority there is one.
const AFTER_ALL_OTHERS: u32 = 4096;

impl Routing {
    /// Makes the host reach one address through one interface, speaking as `source`. The route goes
    /// with the interface.
    pub(crate) fn add_host_route(
        &mut self,
        interface: &Interface,
        address: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<(), Error> {
        let octets_of_address = octets(address);
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let header = [number_of(address), bits, 0, 0, TABLE_MAIN, BY_ADMINISTRATOR, SCOPE_LINK, UNICAST];
        let mut message = Message::new(NEW_ROUTE, REPLACING)
            .fixed(&header)
            .fixed(&[0; 4])
            .attribute(ROUTE_DESTINATION, &octets_of_address)
            .native_u32(ROUTE_OUT, interface.index);
        if let Some(source) = source {
            message = message.attribute(ROUTE_PREFERRED_SOURCE, &octets(source));
        }
        self.acknowledged(message).map_err(|source| route_error("route to", interface, source))
    }

    /// Leads packets for a network through the interface to the gateway.
    pub(crate) fn add_route<A: Address>(
        &mut self,
        interface: &Interface,
        subnet: Subnet<A>,
        gateway: A,
    ) -> Result<(), Error> {
        let header =
            [A::FAMILY, subnet.prefix_length(), 0, 0, TABLE_MAIN, BY_ADMINISTRATOR, SCOPE_UNIVERSE, UNICAST];
        let message = Message::new(NEW_ROUTE, REPLACING)
            .fixed(&header)
            .fixed(&[0; 4])
            .attribute(ROUTE_DESTINATION, &octets(subnet.base().into()))
            .attribute(ROUTE_GATEWAY, &octets(gateway.into()))
            .native_u32(ROUTE_OUT, interface.index);
        self.acknowledged(message)
            .map_err(|source| route_error("route to a network through", interface, source))
    }

    /// Lets answers to `::1` come in through the interface: the kernel looks that address up only on the interface by
    /// which a packet came in.
    pub(crate) fn accept_ipv6_loopback(&mut self, interface: &Interface) -> Result<(), Error> {
        let header =
            [Ipv6Addr::FAMILY, <Ipv6Addr as Address>::BITS, 0, 0, TABLE_LOCAL, BY_ADMINISTRATOR, 0, LOCAL];
        let message = Message::new(NEW_ROUTE, REPLACING)
            .fixed(&header)
            .fixed(&[0; 4])
            .attribute(ROUTE_DESTINATION, &Ipv6Addr::LOCALHOST.octets())
            .native_u32(ROUTE_OUT, interface.index)
            .native_u32(ROUTE_PRIORITY, AFTER_ALL_OTHERS + interface.index);
        self.acknowledged(message).map_err(|source| route_error("accept ::1 on", interface, source))
    }
}

const REPLACING: u16 = netlink::ACKNOWLEDGE | netlink::CREATE | netlink::REPLACE;

impl Routing {
    /// Leads what has no other route through the interface to the gateway, in place of what was there. The unspecified
    /// address is no gateway: the interface itself leads there.
    pub(crate) fn replace_default_route(
        &mut self,
        interface: &Interface,
        gateway: IpAddr,
    ) -> Result<(), Error> {
        let scope = if gateway.is_unspecified() { SCOPE_LINK } else { SCOPE_UNIVERSE };
        let mut message = Message::new(NEW_ROUTE, REPLACING)
            .fixed(&default_route(number_of(gateway), scope))
            .fixed(&[0; 4])
            .native_u32(ROUTE_OUT, interface.index);
        if !gateway.is_unspecified() {
            message = message.attribute(ROUTE_GATEWAY, &octets(gateway));
        }
        self.acknowledged(message)
            .map_err(|source| route_error("lead the default route through", interface, source))
    }

    /// Removes the default route of a family. A missing route is not an error.
    pub(crate) fn delete_default_route<A: Address>(&mut self) -> Result<(), Error> {
        let message = Message::new(DELETE_ROUTE, netlink::ACKNOWLEDGE)
            .fixed(&default_route(A::FAMILY, SCOPE_NOWHERE))
            .fixed(&[0; 4]);
        match self.acknowledged(message) {
            Err(source) if !source.is(Errno::SRCH) => {
                Err(Error::List { act: "remove the default route", source })
            }
            _ => Ok(()),
        }
    }
}

/// `rtmsg` of a default route, up to its flags.
const fn default_route(family: u8, scope: u8) -> [u8; 8] {
    [family, 0, 0, 0, TABLE_MAIN, BY_BOOT, scope, UNICAST]
}

fn route_error(act: &'static str, interface: &Interface, source: RequestError) -> Error {
    Error::Interface { act, name: interface.name.clone(), source }
}
