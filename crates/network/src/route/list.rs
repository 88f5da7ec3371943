//! Reading what links, addresses and routes there are.

use std::net::Ipv4Addr;

use rustix::io::Errno;
use sys::netlink::{self, Message, RequestError, attributes};

use super::link::{GROUP, HARDWARE_ADDRESS, INFO_KIND, LINK_INFO, MASTER, MTU, NAME, header, link_error};
use super::{
    ADDRESS_LOCAL, FAMILY_IPV4, GET_ADDRESS, GET_LINK, GET_ROUTE, Link, ROUTE_DESTINATION, ROUTE_OUT,
    ROUTE_TABLE, Routing, TABLE_MAIN, UNICAST,
};
use crate::error::Error;
use crate::subnet::{InterfaceAddress, Subnet};
use model::MacAddress;

/// The length of `ifinfomsg`, `ifaddrmsg` and `rtmsg`.
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;

/// A route of the host's main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) destination: Subnet,
    /// The index of the link it leads through.
    pub(crate) out: Option<u32>,
}

impl Routing {
    /// Finds a link by its name.
    pub(crate) fn link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        let message = Message::new(GET_LINK, netlink::ACKNOWLEDGE).fixed(&header(0, 0)).string(NAME, name);
        match self.socket.request(&[message]) {
            Ok(replies) => Ok(replies.iter().find_map(|reply| parse_link(&reply.payload))),
            Err(error) if error.is(Errno::NODEV) => Ok(None),
            Err(source) => Err(link_error("find", name, source)),
        }
    }

    /// Finds a link that must be there.
    pub(crate) fn existing_link(&mut self, name: &str) -> Result<Link, Error> {
        let missing = || link_error("find", name, RequestError::from(Errno::NODEV));
        self.link(name)?.ok_or_else(missing)
    }

    /// Lists all links.
    pub(crate) fn links(&mut self) -> Result<Vec<Link>, Error> {
        self.list("list links", Message::new(GET_LINK, netlink::DUMP).fixed(&header(0, 0)), parse_link)
    }

    /// Lists all IPv4 addresses and the indices of their links.
    pub(crate) fn addresses(&mut self) -> Result<Vec<(u32, InterfaceAddress)>, Error> {
        let message = Message::new(GET_ADDRESS, netlink::DUMP).fixed(&[FAMILY_IPV4, 0, 0, 0, 0, 0, 0, 0]);
        self.list("list addresses", message, parse_address)
    }

    /// Lists the IPv4 routes of the main table.
    pub(crate) fn routes(&mut self) -> Result<Vec<Route>, Error> {
        let mut header = [0; ROUTE_HEADER];
        header[0] = FAMILY_IPV4;
        self.list("list routes", Message::new(GET_ROUTE, netlink::DUMP).fixed(&header), parse_route)
    }

    /// Asks again where the list changed while it was read.
    pub(super) fn list<T>(
        &mut self,
        act: &'static str,
        message: Message,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.socket.request(std::slice::from_ref(&message)) {
                Ok(replies) => return Ok(replies.iter().filter_map(|reply| parse(&reply.payload)).collect()),
                Err(error) if error.is(Errno::INTR) && attempts < 100 => {}
                Err(source) => return Err(Error::List { act, source }),
            }
        }
    }
}

fn parse_link(payload: &[u8]) -> Option<Link> {
    let mut link = Link { index: number(payload.get(4..8)?)?, ..Link::default() };
    for (kind, value) in attributes(payload.get(LINK_HEADER..)?) {
        match kind {
            NAME => link.name = text(value),
            HARDWARE_ADDRESS => link.mac = value.try_into().ok().map(MacAddress::from_bytes),
            MASTER => link.master = number(value),
            MTU => link.mtu = number(value)?,
            GROUP => link.group = number(value)?,
            LINK_INFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == INFO_KIND);
                link.kind = kind.map(|(_, value)| text(value)).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}

fn parse_address(payload: &[u8]) -> Option<(u32, InterfaceAddress)> {
    let prefix_length = *payload.get(1)?;
    let index = number(payload.get(4..8)?)?;
    let (_, value) = attributes(payload.get(ADDRESS_HEADER..)?).find(|(kind, _)| *kind == ADDRESS_LOCAL)?;
    Some((index, InterfaceAddress { address: ip(value)?, prefix_length }))
}

fn parse_route(payload: &[u8]) -> Option<Route> {
    let prefix_length = *payload.get(1)?;
    let mut table = u32::from(*payload.get(4)?);
    let kind = *payload.get(7)?;
    let mut destination = Ipv4Addr::UNSPECIFIED;
    let mut out = None;
    for (kind, value) in attributes(payload.get(ROUTE_HEADER..)?) {
        match kind {
            ROUTE_DESTINATION => destination = ip(value)?,
            ROUTE_OUT => out = number(value),
            ROUTE_TABLE => table = number(value)?,
            _ => {}
        }
    }
    let of_interest = table == u32::from(TABLE_MAIN) && kind == UNICAST;
    of_interest.then(|| Route { destination: Subnet::containing(destination, prefix_length), out })
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn ip(bytes: &[u8]) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.try_into().ok()?;
    Some(octets.into())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned()
}
