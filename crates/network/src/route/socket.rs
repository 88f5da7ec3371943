//! The routing socket, the numbers of rtnetlink(7), and an interface as it is listed.

use sys::netlink::{Message, Protocol, RequestError, Socket};

use crate::error::Error;
use model::MacAddress;

// Message types of linux/rtnetlink.h.
pub(super) const NEW_LINK: u16 = 16;
pub(super) const DELETE_LINK: u16 = 17;
pub(super) const GET_LINK: u16 = 18;
pub(super) const NEW_ADDRESS: u16 = 20;
pub(super) const DELETE_ADDRESS: u16 = 21;
pub(super) const GET_ADDRESS: u16 = 22;
pub(super) const NEW_ROUTE: u16 = 24;
pub(super) const DELETE_ROUTE: u16 = 25;
pub(super) const GET_ROUTE: u16 = 26;

pub(super) const FAMILY_IPV4: u8 = 2;

// Attributes of addresses, linux/if_addr.h, and of routes, linux/rtnetlink.h.
pub(super) const ADDRESS_PEER: u16 = 1;
pub(super) const ADDRESS_LOCAL: u16 = 2;
pub(super) const ADDRESS_BROADCAST: u16 = 4;
pub(super) const ADDRESS_FLAGS: u16 = 8;
/// `IFA_F_NODAD`.
pub(super) const NO_DUPLICATE_DETECTION: u32 = 2;
pub(super) const ROUTE_DESTINATION: u16 = 1;
pub(super) const ROUTE_OUT: u16 = 4;
pub(super) const ROUTE_GATEWAY: u16 = 5;
pub(super) const ROUTE_PRIORITY: u16 = 6;
pub(super) const ROUTE_PREFERRED_SOURCE: u16 = 7;
pub(super) const ROUTE_TABLE: u16 = 15;

/// `RT_SCOPE_UNIVERSE`, and `RT_SCOPE_NOWHERE`, which a removal does not compare.
pub(super) const SCOPE_UNIVERSE: u8 = 0;
pub(super) const SCOPE_NOWHERE: u8 = 255;
/// `RTPROT_BOOT`, which a container's init gives its default route too.
pub(super) const BY_BOOT: u8 = 3;
/// `RT_TABLE_MAIN`, `RTPROT_STATIC`, `RT_SCOPE_LINK`, `RTN_UNICAST`.
pub(super) const TABLE_MAIN: u8 = 254;
pub(super) const BY_ADMINISTRATOR: u8 = 4;
pub(super) const SCOPE_LINK: u8 = 253;
pub(super) const UNICAST: u8 = 1;
/// `RT_TABLE_LOCAL`, `RTN_LOCAL`.
pub(super) const TABLE_LOCAL: u8 = 255;
pub(super) const LOCAL: u8 = 2;

/// The socket through which interfaces, addresses and routes are changed.
#[derive(Debug)]
pub(crate) struct Routing {
    pub(super) socket: Socket,
}

impl Routing {
    /// Opens the socket in the network namespace of the calling thread.
    pub(crate) fn open() -> Result<Self, Error> {
        let socket = Socket::open(Protocol::Route).map_err(|source| Error::Socket { source })?;
        Ok(Self { socket })
    }

    pub(super) fn acknowledged(&mut self, message: Message) -> Result<(), RequestError> {
        self.socket.request(&[message]).map(drop)
    }
}

/// A network interface of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) mac: Option<MacAddress>,
    /// `bridge`, `veth`…; empty for hardware.
    pub(crate) kind: String,
    /// The bridge it is a port of.
    pub(crate) master: Option<u32>,
    /// The interface that it stands on, or its other end.
    pub(crate) lower: Option<u32>,
    pub(crate) mtu: u32,
    pub(crate) group: u32,
    pub(crate) is_up: bool,
    /// Whether it has the settings that a port of a bridge is given.
    pub(crate) has_port_settings: bool,
    /// Whether it takes nothing of IPv6.
    pub(crate) refuses_ipv6: bool,
}
