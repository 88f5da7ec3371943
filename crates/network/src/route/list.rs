//! Reading what interfaces, addresses and routes there are.

use rustix::io::Errno;
use sys::netlink::{self, Message, RequestError, attributes};

use super::interface::{
    FAMILIES, GROUP, HARDWARE_ADDRESS, INFO_KIND, LINK_INFO, LOWER, LOWER_NAMESPACE, MASTER, MTU, NAME, UP,
    header, interface_error,
};
use super::port;
use super::{
    ADDRESS_LOCAL, ADDRESS_PEER, GET_ADDRESS, GET_LINK, GET_ROUTE, Interface, ROUTE_DESTINATION, ROUTE_OUT,
    ROUTE_TABLE, Routing, TABLE_MAIN, UNICAST,
};
use crate::error::Error;
use crate::family::{Address, from_octets};
use crate::subnet::{InterfaceAddress, Subnet};
use model::MacAddress;

/// The length of `ifinfomsg`, `ifaddrmsg` and `rtmsg`.
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;
/// `IFLA_EXT_MASK` and `RTEXT_FILTER_SKIP_STATS`.
const WANTED: u16 = 29;
const WITHOUT_COUNTS: u32 = 1 << 3;

/// A route of the host's main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route<A = std::net::Ipv4Addr> {
    pub(crate) destination: Subnet<A>,
    /// The index of the interface it leads through.
    pub(crate) out: Option<u32>,
}

impl Routing {
    /// Finds an interface by its name.
    pub(crate) fn interface(&mut self, name: &str) -> Result<Option<Interface>, Error> {
        let message = interface_request(0).string(NAME, name);
        match self.socket.request(&[message]) {
            Ok(replies) => Ok(replies.iter().find_map(|reply| parse_interface(&reply.payload))),
            Err(error) if error.is(Errno::NODEV) => Ok(None),
            Err(source) => Err(interface_error("find", name, source)),
        }
    }

    /// Finds an interface that must be there.
    pub(crate) fn existing_interface(&mut self, name: &str) -> Result<Interface, Error> {
        let missing = || interface_error("find", name, RequestError::from(Errno::NODEV));
        self.interface(name)?.ok_or_else(missing)
    }

    /// Lists all interfaces.
    pub(crate) fn interfaces(&mut self) -> Result<Vec<Interface>, Error> {
        self.list(
            "list interfaces",
            without_counts(Message::new(GET_LINK, netlink::DUMP).fixed(&header(0, 0))),
            parse_interface,
        )
    }

    /// Lists all addresses of a family and the indices of their interfaces.
    pub(crate) fn addresses<A: Address>(&mut self) -> Result<Vec<(u32, InterfaceAddress<A>)>, Error> {
        let message = Message::new(GET_ADDRESS, netlink::DUMP).fixed(&[A::FAMILY, 0, 0, 0, 0, 0, 0, 0]);
        self.list("list addresses", message, parse_address)
    }

    /// Lists the addresses of a family that one interface has.
    pub(crate) fn addresses_of<A: Address>(
        &mut self,
        interface: &Interface,
    ) -> Result<Vec<InterfaceAddress<A>>, Error> {
        let mut header = [A::FAMILY, 0, 0, 0, 0, 0, 0, 0];
        header[4..].copy_from_slice(&interface.index.to_ne_bytes());
        let message = Message::new(GET_ADDRESS, netlink::DUMP).fixed(&header);
        let listed = match self.socket.request(std::slice::from_ref(&message)) {
            Ok(replies) => replies.iter().filter_map(|reply| parse_address(&reply.payload)).collect(),
            // The kernel looks up the interface first.
            Err(error) if error.is(Errno::NODEV) => Vec::new(),
            Err(error) if error.is(Errno::INTR) => self.list("list addresses", message, parse_address)?,
            Err(source) => return Err(Error::List { act: "list addresses", source }),
        };
        // Kernels before 5.0 list those of all interfaces.
        let of_interface = listed.into_iter().filter(|(index, _)| *index == interface.index);
        Ok(of_interface.map(|(_, address)| address).collect())
    }

    /// Lists the routes of a family in the main table.
    pub(crate) fn routes<A: Address>(&mut self) -> Result<Vec<Route<A>>, Error> {
        let mut header = [0; ROUTE_HEADER];
        (header[0], header[4]) = (A::FAMILY, TABLE_MAIN);
        match self.list("list routes", Message::new(GET_ROUTE, netlink::DUMP).fixed(&header), parse_route) {
            // A namespace without a route has no table.
            Err(Error::List { source, .. }) if source.is(Errno::NOENT) => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Repeats the request if the list changed while it was read.
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

/// A request for one interface.
pub(super) fn interface_request(index: u32) -> Message {
    without_counts(Message::new(GET_LINK, netlink::ACKNOWLEDGE).fixed(&header(index, 0)))
}

/// Leaves out what the kernel counts on an interface: half of its answer.
fn without_counts(message: Message) -> Message {
    message.native_u32(WANTED, WITHOUT_COUNTS)
}

fn parse_interface(payload: &[u8]) -> Option<Interface> {
    let flags = number(payload.get(8..12)?)?;
    let index = number(payload.get(4..8)?)?;
    let mut interface = Interface { index, is_up: flags & UP != 0, ..Interface::default() };
    let mut is_lower_elsewhere = false;
    for (kind, value) in attributes(payload.get(LINK_HEADER..)?) {
        match kind {
            NAME => interface.name = text(value),
            HARDWARE_ADDRESS => interface.mac = value.try_into().ok().map(MacAddress::from_bytes),
            MASTER => interface.master = number(value),
            LOWER_NAMESPACE => is_lower_elsewhere = true,
            LOWER => interface.lower = number(value),
            MTU => interface.mtu = number(value)?,
            GROUP => interface.group = number(value)?,
            LINK_INFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == INFO_KIND);
                interface.kind = kind.map(|(_, value)| text(value)).unwrap_or_default();
                interface.has_port_settings = port::has_port_settings(value);
            }
            FAMILIES => interface.refuses_ipv6 = port::refuses_ipv6(value),
            _ => {}
        }
    }
    if is_lower_elsewhere {
        interface.lower = None;
    }
    Some(interface)
}

fn parse_address<A: Address>(payload: &[u8]) -> Option<(u32, InterfaceAddress<A>)> {
    let prefix_length = *payload.get(1)?;
    let index = number(payload.get(4..8)?)?;
    let find = |wanted: u16| {
        let (_, value) = attributes(payload.get(ADDRESS_HEADER..)?).find(|(kind, _)| *kind == wanted)?;
        from_octets(value)
    };
    // In IPv6 the kernel reports an address without a peer as that of the peer.
    let address = find(ADDRESS_LOCAL).or_else(|| find(ADDRESS_PEER))?;
    Some((index, InterfaceAddress { address, prefix_length }))
}

fn parse_route<A: Address>(payload: &[u8]) -> Option<Route<A>> {
    let prefix_length = *payload.get(1)?;
    let mut table = u32::from(*payload.get(4)?);
    let kind = *payload.get(7)?;
    let mut destination = A::from_number(0);
    let mut out = None;
    for (kind, value) in attributes(payload.get(ROUTE_HEADER..)?) {
        match kind {
            ROUTE_DESTINATION => destination = from_octets(value)?,
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned()
}
