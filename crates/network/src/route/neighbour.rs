//! Telling the kernel who is where, before it asks.

use std::net::Ipv4Addr;

use sys::netlink::{self, Message};

use super::link::link_error;
use super::{FAMILY_IPV4, Link, Routing};
use crate::error::Error;
use crate::mac::MacAddress;

/// `RTM_NEWNEIGH` of linux/rtnetlink.h, and its attributes of linux/neighbour.h.
const NEW_NEIGHBOUR: u16 = 28;
const DESTINATION: u16 = 1;
const HARDWARE_ADDRESS: u16 = 2;
/// `NUD_REACHABLE`: as if it had just answered; it is asked again in due time.
const REACHABLE: u16 = 2;
/// `NTF_MASTER`: the bridge's table, not the port's.
const OF_THE_BRIDGE: u8 = 4;
const FAMILY_BRIDGE: u8 = 7;

impl Routing {
    /// Notes the hardware address of a neighbour on the link, as if it had answered.
    pub(crate) fn add_neighbour(
        &mut self,
        link: &Link,
        address: Ipv4Addr,
        mac: MacAddress,
    ) -> Result<(), Error> {
        let message = neighbour(FAMILY_IPV4, link.index, 0)
            .attribute(DESTINATION, &address.octets())
            .attribute(HARDWARE_ADDRESS, &mac.bytes());
        self.acknowledged(message).map_err(|source| link_error("add a neighbour to", &link.name, source))
    }

    /// Notes behind which port of its bridge a hardware address is, as if it had sent something.
    pub(crate) fn add_station(&mut self, port: &Link, mac: MacAddress) -> Result<(), Error> {
        let message =
            neighbour(FAMILY_BRIDGE, port.index, OF_THE_BRIDGE).attribute(HARDWARE_ADDRESS, &mac.bytes());
        self.acknowledged(message).map_err(|source| link_error("add a station to", &port.name, source))
    }
}

/// `ndmsg`.
fn neighbour(family: u8, link: u32, flags: u8) -> Message {
    let mut header = [0; 12];
    header[0] = family;
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    header[8..10].copy_from_slice(&REACHABLE.to_ne_bytes());
    header[10] = flags;
    Message::new(NEW_NEIGHBOUR, netlink::ACKNOWLEDGE | netlink::CREATE | netlink::REPLACE).fixed(&header)
}
