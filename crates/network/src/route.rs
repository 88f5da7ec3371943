//! Links, addresses and routes through rtnetlink(7): one function a request.

mod link;
mod list;
mod neighbour;

use std::net::Ipv4Addr;

use sys::netlink::{self, Message, Protocol, RequestError, Socket};

pub(crate) use link::{Attachment, PROXY_ARP, Pair, ROUTE_LOCALNET};
pub(crate) use list::Link;

use crate::error::Error;
use crate::subnet::InterfaceAddress;

// Message types of linux/rtnetlink.h.
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

const FAMILY_IPV4: u8 = 2;

// Attributes of addresses, linux/if_addr.h, and of routes, linux/rtnetlink.h.
const ADDRESS_PEER: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;
const ADDRESS_BROADCAST: u16 = 4;
const ROUTE_DESTINATION: u16 = 1;
const ROUTE_OUT: u16 = 4;
const ROUTE_PREFERRED_SOURCE: u16 = 7;
const ROUTE_TABLE: u16 = 15;

/// `RT_TABLE_MAIN`, `RTPROT_STATIC`, `RT_SCOPE_LINK`, `RTN_UNICAST`.
const TABLE_MAIN: u8 = 254;
const BY_ADMINISTRATOR: u8 = 4;
const SCOPE_LINK: u8 = 253;
const UNICAST: u8 = 1;

/// The socket through which links, addresses and routes are changed.
#[derive(Debug)]
pub(crate) struct Routing {
    socket: Socket,
}

impl Routing {
    /// Opens the socket in the network namespace of the calling thread.
    pub(crate) fn open() -> Result<Self, Error> {
        let socket = Socket::open(Protocol::Route).map_err(|source| Error::Socket { source })?;
        Ok(Self { socket })
    }

    fn acknowledged(&mut self, message: Message) -> Result<(), RequestError> {
        self.socket.request(&[message]).map(drop)
    }

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
