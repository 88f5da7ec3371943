//! Making, changing and removing interfaces.

use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use sys::netlink::{self, Message, RequestError};

use super::{DELETE_LINK, FAMILY_IPV4, Interface, NEW_LINK, Routing};
use crate::error::Error;
use crate::family::Address;
use model::MacAddress;

// Attributes of linux/if_link.h.
pub(super) const HARDWARE_ADDRESS: u16 = 1;
pub(super) const NAME: u16 = 3;
pub(super) const MTU: u16 = 4;
pub(super) const LOWER: u16 = 5;
pub(super) const MASTER: u16 = 10;
pub(super) const LINK_INFO: u16 = 18;
pub(super) const GROUP: u16 = 27;
pub(super) const FAMILIES: u16 = 26;
pub(super) const NAMESPACE_DESCRIPTOR: u16 = 28;
const TRANSMIT_QUEUES: u16 = 31;
const RECEIVE_QUEUES: u16 = 32;
pub(super) const INFO_KIND: u16 = 1;
pub(super) const INFO_DATA: u16 = 2;
/// The interface of `LOWER` is in the network namespace of this number.
pub(super) const LOWER_NAMESPACE: u16 = 37;
const INFO_SLAVE_KIND: u16 = 4;
pub(super) const INFO_SLAVE_DATA: u16 = 5;
const VETH_PEER: u16 = 1;
const BRIDGE_FORWARD_DELAY: u16 = 1;
const BRIDGE_SPANNING_TREE: u16 = 5;
pub(super) const PORT_HAIRPIN: u16 = 4;
pub(super) const PORT_GROUP_FORWARD: u16 = 31;
/// All addresses of the interface itself (01:80:c2:00:00:00 to 0f, IEEE 802.1Q, table 8-1) but that of PAUSE frames, which
/// the bridge drops.
pub(super) const ALL_GROUPS: u16 = 0xfffd;
const IPV6_ADDRESS_MODE: u16 = 8;
/// `IN6_ADDR_GEN_MODE_NONE`.
const NO_ADDRESS: u8 = 1;
pub(super) const FAMILY_IPV6: u16 = 10;
/// `IFF_UP`.
pub(super) const UP: u32 = 1;

/// `IFLA_INET_CONF`: settings of /proc/sys/net/ipv4/conf/<interface>, numbered as in linux/ip.h.
const IPV4_SETTINGS: u16 = 1;
/// Number and value of one such setting.
pub(crate) type Setting = (u16, u32);
/// The interface answers for addresses that the host reaches by other interfaces.
pub(crate) const PROXY_ARP: u16 = 3;
/// Addresses of 127.0.0.0/8 may be spoken to through the interface.
pub(crate) const ROUTE_LOCALNET: u16 = 26;
const ROUTED: [Setting; 2] = [(PROXY_ARP, 1), (ROUTE_LOCALNET, 1)];
/// `RTM_SETNEIGHTBL` of linux/rtnetlink.h and its attributes of linux/neighbour.h.
const SET_NEIGHBOUR_TABLE: u16 = 67;
const TABLE_NAME: u16 = 1;
const TABLE_PARAMETERS: u16 = 6;
const PARAMETER_LINK: u16 = 1;
const PARAMETER_PROXY_DELAY: u16 = 13;

/// How a container's interface joins the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attachment {
    /// As a port of the bridge of this index.
    Bridge(u32),
    /// By a route of its own beside the bridge.
    Routed,
}

/// A pair of interfaces of which one end is born in a container's network namespace.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    /// The name of the host's end.
    pub(crate) name: &'a str,
    /// The name of the container's end.
    pub(crate) inside: &'a str,
    /// The hardware address of the container's end.
    pub(crate) mac: MacAddress,
    pub(crate) mtu: u32,
    /// Marks the host's end as this engine's.
    pub(crate) group: u32,
    pub(crate) attachment: Attachment,
    pub(crate) namespace: BorrowedFd<'a>,
}

impl Routing {
    /// Makes the pair, joins it to the bridge and sets the host's end up: two messages in one
    /// datagram, since a port's settings can only be changed once there is the port.
    pub(crate) fn create_pair(&mut self, pair: &Pair<'_>) -> Result<(), Error> {
        let messages = [creation(pair), configuration(pair)];
        self.socket
            .request(&messages)
            .map(drop)
            .map_err(|source| interface_error("create", pair.name, source))
    }

    /// Makes a bridge that forwards at once, with a hardware address that stays, in the group.
    pub(crate) fn create_bridge(&mut self, name: &str, mac: MacAddress, group: u32) -> Result<(), Error> {
        let create = Message::new(NEW_LINK, netlink::ACKNOWLEDGE | netlink::CREATE | netlink::EXCLUSIVE)
            .fixed(&header(0, 0))
            .string(NAME, name)
            .native_u32(GROUP, group)
            .attribute(HARDWARE_ADDRESS, &mac.bytes())
            .nested(LINK_INFO, |info| {
                info.string(INFO_KIND, "bridge").nested(INFO_DATA, |data| {
                    data.native_u32(BRIDGE_FORWARD_DELAY, 0).native_u32(BRIDGE_SPANNING_TREE, 0)
                })
            });
        let configure = Message::new(NEW_LINK, netlink::ACKNOWLEDGE).fixed(&header(0, 0)).string(NAME, name);
        self.socket
            .request(&[create, families(configure, &[])])
            .map(drop)
            .map_err(|source| interface_error("create", name, source))
    }

    /// Sets the interface up and its MTU.
    pub(crate) fn set_up(&mut self, interface: &Interface, mtu: Option<u32>) -> Result<(), Error> {
        let mut message = Message::new(NEW_LINK, netlink::ACKNOWLEDGE).fixed(&header(interface.index, UP));
        if let Some(mtu) = mtu {
            message = message.native_u32(MTU, mtu);
        }
        self.acknowledged(message).map_err(|source| interface_error("set up", &interface.name, source))
    }

    /// Puts the interface into the group.
    pub(crate) fn set_group(&mut self, interface: &Interface, group: u32) -> Result<(), Error> {
        let message = Message::new(NEW_LINK, netlink::ACKNOWLEDGE)
            .fixed(&header(interface.index, 0))
            .native_u32(GROUP, group);
        self.acknowledged(message).map_err(|source| interface_error("mark", &interface.name, source))
    }

    /// Sets the interface up after seeing to it that it takes no address of IPv6, with which it would
    /// announce itself to all other containers. Through /proc/sys it would cost the more the more
    /// namespaces have an interface of the same name.
    pub(crate) fn set_up_without_ipv6(&mut self, interface: &Interface) -> Result<(), Error> {
        let message =
            |flags| Message::new(NEW_LINK, netlink::ACKNOWLEDGE).fixed(&header(interface.index, flags));
        self.socket
            .request(&[families(message(0), &[]), message(UP)])
            .map(drop)
            .map_err(|source| interface_error("set up", &interface.name, source))
    }

    /// Changes settings of /proc/sys/net/ipv4/conf/<interface>.
    pub(crate) fn configure(&mut self, interface: &Interface, settings: &[Setting]) -> Result<(), Error> {
        let message = Message::new(NEW_LINK, netlink::ACKNOWLEDGE)
            .fixed(&header(interface.index, 0))
            .nested(FAMILIES, |families| ipv4_settings(families, settings));
        self.acknowledged(message).map_err(|source| interface_error("configure", &interface.name, source))
    }

    /// Lets the interface answer for others at once; by default the kernel waits up to 0.8 s.
    pub(crate) fn answer_at_once(&mut self, interface: &Interface) -> Result<(), Error> {
        self.answer_without_delay(interface, FAMILY_IPV4, "arp_cache")
    }

    /// The same for addresses of IPv6.
    pub(crate) fn answer_at_once_by_ipv6(&mut self, interface: &Interface) -> Result<(), Error> {
        self.answer_without_delay(interface, <Ipv6Addr as Address>::FAMILY, "ndisc_cache")
    }

    fn answer_without_delay(&mut self, interface: &Interface, family: u8, table: &str) -> Result<(), Error> {
        let message = Message::new(SET_NEIGHBOUR_TABLE, netlink::ACKNOWLEDGE | netlink::REPLACE)
            .fixed(&[family, 0, 0, 0])
            .string(TABLE_NAME, table)
            .nested(TABLE_PARAMETERS, |parameters| {
                parameters
                    .native_u32(PARAMETER_LINK, interface.index)
                    .attribute(PARAMETER_PROXY_DELAY, &0u64.to_ne_bytes())
            });
        self.acknowledged(message).map_err(|source| interface_error("configure", &interface.name, source))
    }

    /// Makes an existing interface a port of the bridge again, with the settings of a port.
    pub(crate) fn attach(&mut self, interface: &Interface, bridge: u32) -> Result<(), Error> {
        let join = Message::new(NEW_LINK, netlink::ACKNOWLEDGE)
            .fixed(&header(interface.index, UP))
            .native_u32(MASTER, bridge);
        let settings =
            port_settings(Message::new(NEW_LINK, netlink::ACKNOWLEDGE).fixed(&header(interface.index, 0)));
        self.socket
            .request(&[join, settings])
            .map(drop)
            .map_err(|source| interface_error("attach", &interface.name, source))
    }

    /// Removes an interface, its other end with it. One that is gone already is no error.
    pub(crate) fn delete_interface(&mut self, name: &str) -> Result<(), Error> {
        let message = Message::new(DELETE_LINK, netlink::ACKNOWLEDGE).fixed(&header(0, 0)).string(NAME, name);
        match self.acknowledged(message) {
            Err(error) if !error.is(Errno::NODEV) => Err(interface_error("delete", name, error)),
            _ => Ok(()),
        }
    }
}

impl Routing {
    /// Removes interfaces in one go, which costs the kernel hardly more than one: they are put into
    /// the group and the group is removed. Those that are gone already are no error.
    pub(crate) fn delete_interfaces(&mut self, names: &[String], group: u32) -> Result<(), Error> {
        for name in names {
            let message = Message::new(NEW_LINK, netlink::ACKNOWLEDGE)
                .fixed(&header(0, 0))
                .string(NAME, name)
                .native_u32(GROUP, group);
            match self.acknowledged(message) {
                Err(error) if !error.is(Errno::NODEV) => return Err(interface_error("mark", name, error)),
                _ => {}
            }
        }
        let message =
            Message::new(DELETE_LINK, netlink::ACKNOWLEDGE).fixed(&header(0, 0)).native_u32(GROUP, group);
        match self.acknowledged(message) {
            Err(error) if !error.is(Errno::NODEV) => Err(interface_error("delete", &names.join(", "), error)),
            _ => Ok(()),
        }
    }
}

fn creation(pair: &Pair<'_>) -> Message {
    let descriptor = u32::try_from(pair.namespace.as_raw_fd()).unwrap_or(u32::MAX);
    let message = Message::new(NEW_LINK, netlink::ACKNOWLEDGE | netlink::CREATE | netlink::EXCLUSIVE)
        .fixed(&header(0, UP))
        .string(NAME, pair.name)
        .native_u32(MTU, pair.mtu)
        .native_u32(GROUP, pair.group)
        .native_u32(TRANSMIT_QUEUES, 1)
        .native_u32(RECEIVE_QUEUES, 1);
    let message = match pair.attachment {
        Attachment::Bridge(index) => message.native_u32(MASTER, index),
        Attachment::Routed => message,
    };
    message.nested(LINK_INFO, |info| {
        info.string(INFO_KIND, "veth").nested(INFO_DATA, |data| {
            data.nested(VETH_PEER, |peer| {
                peer.fixed(&header(0, 0))
                    .string(NAME, pair.inside)
                    .native_u32(NAMESPACE_DESCRIPTOR, descriptor)
                    .attribute(HARDWARE_ADDRESS, &pair.mac.bytes())
                    .native_u32(MTU, pair.mtu)
                    .native_u32(TRANSMIT_QUEUES, 1)
                    .native_u32(RECEIVE_QUEUES, 1)
            })
        })
    })
}

/// A port gets hairpin mode; a routed interface answers for the addresses of the whole network. The
/// host's end needs no address of IPv6, and without one sends nothing by itself.
fn configuration(pair: &Pair<'_>) -> Message {
    let message = Message::new(NEW_LINK, netlink::ACKNOWLEDGE).fixed(&header(0, 0)).string(NAME, pair.name);
    match pair.attachment {
        Attachment::Bridge(_) => families(port_settings(message), &[]),
        Attachment::Routed => families(message, &ROUTED),
    }
}

/// Hairpin mode, for hosts that pass bridged packets through the firewall (bridge-nf-call-iptables): there a packet may
/// have to leave by the port by which it came. And frames to the addresses of the interface itself go like all others
/// through the check of what a port may send: by itself the bridge learns from them and passes them to the host as the
/// port's own, past every check.
fn port_settings(message: Message) -> Message {
    message.nested(LINK_INFO, |info| {
        info.string(INFO_SLAVE_KIND, "bridge").nested(INFO_SLAVE_DATA, |data| {
            data.attribute(PORT_HAIRPIN, &[1]).attribute(PORT_GROUP_FORWARD, &ALL_GROUPS.to_ne_bytes())
        })
    })
}

/// Settings of /proc/sys/net/ipv4/conf and no address of IPv6.
fn families(message: Message, settings: &[Setting]) -> Message {
    message.nested(FAMILIES, |families| {
        let families =
            families.nested(FAMILY_IPV6, |family| family.attribute(IPV6_ADDRESS_MODE, &[NO_ADDRESS]));
        if settings.is_empty() { families } else { ipv4_settings(families, settings) }
    })
}

fn ipv4_settings(families: Message, settings: &[Setting]) -> Message {
    families.nested(u16::from(FAMILY_IPV4), |family| {
        family.nested(IPV4_SETTINGS, |list| {
            settings.iter().fold(list, |list, (setting, value)| list.native_u32(*setting, *value))
        })
    })
}

/// `ifinfomsg`: the interface of this index (0: named by an attribute), and the flags that are set.
pub(super) fn header(index: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&flags.to_ne_bytes());
    header
}

pub(super) fn interface_error(act: &'static str, name: &str, source: RequestError) -> Error {
    Error::Interface { act, name: name.to_owned(), source }
}
