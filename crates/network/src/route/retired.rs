//! Bridges that are taken out of use instead of being removed, which takes the kernel long, and into use again.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::MacAddress;
use rustix::io::Errno;
use sys::netlink::{self, Message, attributes};

use super::address::{address_error, address_message};
use super::interface::{
    FAMILIES, FAMILY_IPV6, GROUP, HARDWARE_ADDRESS, INFO_DATA, LINK_INFO, NAME, UP, header, interface_error,
};
use super::list::interface_request;
use super::port::{IPV6_SETTINGS, of_kind};
use super::socket::{DELETE_ADDRESS, FAMILY_IPV4, Interface, NEW_LINK, Routing};
use crate::error::Error;
use crate::family::Address;

// Attributes of linux/if_link.h that an administrator may change on a bridge.
const QUEUEING: u16 = 6;
const QUEUE_LENGTH: u16 = 13;
const ALIAS: u16 = 20;
const PROMISCUITY: u16 = 30;
const PROGRAMS: u16 = 43;
const OTHER_NAMES: u16 = 52;
/// `IFLA_INET_CONF`.
const IPV4_SETTINGS: u16 = 1;

/// Whether an interface was there when it was to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    There,
    Gone,
}

impl Routing {
    /// Takes a bridge out of use: without addresses, down, in the group and of the new name, so that nothing leads to it
    /// and its own name is free.
    pub(crate) fn retire_bridge(
        &mut self,
        bridge: &Interface,
        name: &str,
        group: u32,
    ) -> Result<Presence, Error> {
        self.delete_addresses::<Ipv4Addr>(bridge)?;
        self.delete_addresses::<Ipv6Addr>(bridge)?;
        let rename = Message::new(NEW_LINK, netlink::ACKNOWLEDGE)
            .fixed(&header(bridge.index, 0))
            .string(NAME, name)
            .native_u32(GROUP, group);
        match self.socket.request(&[set_down(bridge.index), rename]) {
            Ok(_) => Ok(Presence::There),
            Err(error) if error.is(Errno::NODEV) => Ok(Presence::Gone),
            Err(source) => Err(interface_error("retire", &bridge.name, source)),
        }
    }

    /// Takes a retired bridge into use again, as [`Routing::create_bridge`] makes a new one.
    pub(crate) fn reuse_bridge(
        &mut self,
        index: u32,
        name: &str,
        mac: MacAddress,
        group: u32,
    ) -> Result<(), Error> {
        let message = Message::new(NEW_LINK, netlink::ACKNOWLEDGE)
            .fixed(&header(index, 0))
            .string(NAME, name)
            .attribute(HARDWARE_ADDRESS, &mac.bytes())
            .native_u32(GROUP, group);
        self.acknowledged(message).map_err(|source| interface_error("reuse", name, source))
    }

    /// Sets an interface down: its routes go, and its addresses of IPv6. One that is gone is no error.
    pub(crate) fn set_down(&mut self, name: &str) -> Result<(), Error> {
        match self.acknowledged(set_down(0).string(NAME, name)) {
            Err(source) if !source.is(Errno::NODEV) => Err(interface_error("set down", name, source)),
            _ => Ok(()),
        }
    }

    fn delete_addresses<A: Address>(&mut self, interface: &Interface) -> Result<(), Error> {
        for address in self.addresses_of::<A>(interface)? {
            let message = address_message(DELETE_ADDRESS, netlink::ACKNOWLEDGE, interface.index, address);
            match self.acknowledged(message) {
                Err(source) if !source.is(Errno::NODEV) && !source.is(Errno::ADDRNOTAVAIL) => {
                    return Err(address_error("delete", interface, address, source));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// All settings of a bridge that may be changed, to be compared later; `None` of one that is gone.
    pub(crate) fn bridge_settings(&mut self, bridge: &Interface) -> Result<Option<Vec<u8>>, Error> {
        match self.socket.request(&[interface_request(bridge.index)]) {
            Ok(replies) => Ok(replies.first().map(|reply| settings(&reply.payload))),
            Err(error) if error.is(Errno::NODEV) => Ok(None),
            Err(source) => Err(interface_error("find", &bridge.name, source)),
        }
    }
}

fn set_down(index: u32) -> Message {
    let mut header = header(index, 0);
    header[12..].copy_from_slice(&UP.to_ne_bytes());
    Message::new(NEW_LINK, netlink::ACKNOWLEDGE).fixed(&header)
}

/// The settings, without the kernel's counters and measurements.
fn settings(payload: &[u8]) -> Vec<u8> {
    let mut settings = Vec::new();
    for (kind, value) in attributes(payload.get(header(0, 0).len()..).unwrap_or_default()) {
        match kind {
            QUEUEING | QUEUE_LENGTH | ALIAS | PROMISCUITY | PROGRAMS | OTHER_NAMES => {
                append(&mut settings, kind, value);
            }
            LINK_INFO => of_kind(value, INFO_DATA).for_each(|data| {
                let of_bridge = attributes(data).filter(|(kind, _)| is_setting_of_bridge(*kind));
                of_bridge.for_each(|(kind, value)| append(&mut settings, kind, value));
            }),
            FAMILIES => {
                for (family, number) in
                    [(u16::from(FAMILY_IPV4), IPV4_SETTINGS), (FAMILY_IPV6, IPV6_SETTINGS)]
                {
                    let lists = of_kind(value, family).flat_map(|of_family| of_kind(of_family, number));
                    lists.for_each(|list| append(&mut settings, family, list));
                }
            }
            _ => {}
        }
    }
    settings
}

fn append(settings: &mut Vec<u8>, kind: u16, value: &[u8]) {
    settings.extend(kind.to_ne_bytes());
    settings.extend(value);
}

/// Those of `IFLA_BR_*` that are no identifiers, states, timers (10 to 19) or counts (47 and 48).
const fn is_setting_of_bridge(kind: u16) -> bool {
    matches!(kind, 1..=9 | 20..=46 | 49)
}
