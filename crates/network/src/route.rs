//! Links, addresses and routes through rtnetlink(7): one function a request.

mod link;
mod list;
mod neighbour;
mod socket;

use std::net::Ipv4Addr;

use rustix::io::Errno;
use sys::netlink::{self, Message, RequestError};

pub(crate) use link::{Attachment, PROXY_ARP, Pair, ROUTE_LOCALNET};
use socket::{
    ADDRESS_BROADCAST, ADDRESS_LOCAL, ADDRESS_PEER, BY_ADMINISTRATOR, BY_BOOT, DELETE_ADDRESS, DELETE_LINK,
    DELETE_ROUTE, FAMILY_IPV4, GET_ADDRESS, GET_LINK, GET_ROUTE, NEW_ADDRESS, NEW_LINK, NEW_ROUTE,
    ROUTE_DESTINATION, ROUTE_GATEWAY, ROUTE_OUT, ROUTE_PREFERRED_SOURCE, ROUTE_TABLE, SCOPE_LINK,
    SCOPE_NOWHERE, SCOPE_UNIVERSE, TABLE_MAIN, UNICAST,
};
pub(crate) use socket::{Link, Routing};

use crate::error::Error;
use crate::subnet::InterfaceAddress;

impl Routing {
    /// Gives the interface an address.
    pub(crate) fn add_address(&mut self, link: &Link, address: InterfaceAddress) -> Result<(), Error> {
        let flags = netlink::ACKNOWLEDGE | netlink::CREATE | netlink::EXCLUSIVE;
        self.acknowledged(address_message(NEW_ADDRESS, flags, link.index, address))
            .map_err(|source| address_error("add", link, address, source))
    }

    /// Takes an address from the interface.
    pub(crate) fn delete_address(&mut self, link: &Link, address: InterfaceAddress) -> Result<(), Error> {
        self.acknowledged(address_message(DELETE_ADDRESS, netlink::ACKNOWLEDGE, link.index, address))
            .map_err(|source| address_error("delete", link, address, source))
    }

    /// Makes the host reach one address through one link, speaking as `source`. The route goes
    /// with the link.
    pub(crate) fn add_host_route(
        &mut self,
        link: &Link,
        address: Ipv4Addr,
        source: Ipv4Addr,
    ) -> Result<(), Error> {
        let header = [FAMILY_IPV4, 32, 0, 0, TABLE_MAIN, BY_ADMINISTRATOR, SCOPE_LINK, UNICAST];
        let flags = netlink::ACKNOWLEDGE | netlink::CREATE | netlink::REPLACE;
        let message = Message::new(NEW_ROUTE, flags)
            .fixed(&header)
            .fixed(&[0; 4])
            .attribute(ROUTE_DESTINATION, &address.octets())
            .native_u32(ROUTE_OUT, link.index)
            .attribute(ROUTE_PREFERRED_SOURCE, &source.octets());
        self.acknowledged(message).map_err(|source| Error::Link {
            act: "route to",
            name: link.name.clone(),
            source,
        })
    }
}

impl Routing {
    /// Leads what has no other route through the link to the gateway, in place of what was there.
    pub(crate) fn replace_default_route(&mut self, link: &Link, gateway: Ipv4Addr) -> Result<(), Error> {
        let flags = netlink::ACKNOWLEDGE | netlink::CREATE | netlink::REPLACE;
        let message = Message::new(NEW_ROUTE, flags)
            .fixed(&default_route(SCOPE_UNIVERSE))
            .fixed(&[0; 4])
            .attribute(ROUTE_GATEWAY, &gateway.octets())
            .native_u32(ROUTE_OUT, link.index);
        self.acknowledged(message).map_err(|source| Error::Link {
            act: "lead the default route through",
            name: link.name.clone(),
            source,
        })
    }

    /// Removes the default route. That there is none is no error.
    pub(crate) fn delete_default_route(&mut self) -> Result<(), Error> {
        let message = Message::new(DELETE_ROUTE, netlink::ACKNOWLEDGE)
            .fixed(&default_route(SCOPE_NOWHERE))
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
const fn default_route(scope: u8) -> [u8; 8] {
    [FAMILY_IPV4, 0, 0, 0, TABLE_MAIN, BY_BOOT, scope, UNICAST]
}

/// `ifaddrmsg` and its attributes.
fn address_message(kind: u16, flags: u16, index: u32, address: InterfaceAddress) -> Message {
    let mut header = [FAMILY_IPV4, address.prefix_length, 0, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&index.to_ne_bytes());
    let octets = address.address.octets();
    let message = Message::new(kind, flags)
        .fixed(&header)
        .attribute(ADDRESS_LOCAL, &octets)
        .attribute(ADDRESS_PEER, &octets);
    if address.prefix_length >= 31 {
        return message;
    }
    message.attribute(ADDRESS_BROADCAST, &address.subnet().last().octets())
}

fn address_error(act: &'static str, link: &Link, address: InterfaceAddress, source: RequestError) -> Error {
    Error::Address { act, address, name: link.name.clone(), source }
}
