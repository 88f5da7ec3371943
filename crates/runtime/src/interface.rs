//! Sets up the loopback and the container's interface from within its network namespace.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use model::InterfaceConfig;
use rustix::net::{AddressFamily, SocketType};
use sys::netlink::{ACKNOWLEDGE, CREATE, EXCLUSIVE, Message, Protocol, Socket};

use crate::error::Doing;
use crate::{StartError, sysctl};

/// Values of linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h and linux/if.h.
mod number {
    pub(super) const RTM_NEWLINK: u16 = 16;
    pub(super) const RTM_NEWADDR: u16 = 20;
    pub(super) const RTM_NEWROUTE: u16 = 24;
    pub(super) const IFF_UP: u32 = 1;
    pub(super) const IFA_ADDRESS: u16 = 1;
    pub(super) const IFA_LOCAL: u16 = 2;
    pub(super) const IFA_BROADCAST: u16 = 4;
    pub(super) const RTA_OIF: u16 = 4;
    pub(super) const RTA_GATEWAY: u16 = 5;
    pub(super) const RT_TABLE_MAIN: u8 = 254;
    pub(super) const RTPROT_BOOT: u8 = 3;
    pub(super) const RT_SCOPE_UNIVERSE: u8 = 0;
    pub(super) const RTN_UNICAST: u8 = 1;
    pub(super) const AF_INET: u8 = 2;
    /// The loopback of every network namespace.
    pub(super) const LOOPBACK: u32 = 1;
}

/// Brings the loopback up and, if given, the interface with its address and default route of IPv4. `proc`
/// is a procfs that is surely one.
pub(crate) fn configure(proc: impl AsFd, interface: Option<&InterfaceConfig>) -> Result<(), StartError> {
    let mut socket = Socket::open(Protocol::Route).doing("opening netlink")?;
    let mut messages = vec![link_up(number::LOOPBACK)];
    if let Some(interface) = interface {
        let index = index_of(&interface.name)?;
        if let Some(ipv4) = interface.ipv4 {
            messages.push(address(index, ipv4.address, ipv4.prefix_length));
        }
        messages.push(link_up(index));
        let gateway = interface.ipv4.and_then(|ipv4| ipv4.gateway);
        messages.extend(gateway.map(|gateway| default_route(index, gateway)));
    }
    let name = interface.map_or("lo", |interface| interface.name.as_str());
    socket.request(&messages).map_err(|error| error.source).doing_with(|| format!("configuring {name}"))?;
    match interface.filter(|interface| !interface.has_ipv6) {
        // Behind the messages, which wait for their turn: the switch does not wait for others that change interfaces, it is tried
        // again and again until none does.
        Some(interface) => refuse_ipv6(proc, &interface.name),
        None => Ok(()),
    }
}

/// The network has no IPv6, so router advertisements there are ignored, and routes of earlier ones are removed with the
/// setting. A kernel without IPv6 has nothing to set.
fn refuse_ipv6(proc: impl AsFd, name: &str) -> Result<(), StartError> {
    match sysctl::write(proc, &format!("net/ipv6/conf/{name}/disable_ipv6"), "1") {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        result => result.doing_with(|| format!("disabling IPv6 on {name}")),
    }
}

fn index_of(name: &str) -> Result<u32, StartError> {
    let act = || format!("looking for the interface {name}");
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).doing_with(act)?;
    rustix::net::netdevice::name_to_index(&socket, name).doing_with(act)
}

/// `struct ifinfomsg`: family, pad, type, index, flags, changed flags.
fn link_up(index: u32) -> Message {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&number::IFF_UP.to_ne_bytes());
    fixed[12..16].copy_from_slice(&number::IFF_UP.to_ne_bytes());
    Message::new(number::RTM_NEWLINK, ACKNOWLEDGE).fixed(&fixed)
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index.
fn address(index: u32, address: Ipv4Addr, prefix_length: u8) -> Message {
    let mut fixed = [number::AF_INET, prefix_length, 0, number::RT_SCOPE_UNIVERSE, 0, 0, 0, 0];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    let message = Message::new(number::RTM_NEWADDR, ACKNOWLEDGE | CREATE | EXCLUSIVE)
        .fixed(&fixed)
        .attribute(number::IFA_LOCAL, &address.octets())
        .attribute(number::IFA_ADDRESS, &address.octets());
    match broadcast(address, prefix_length) {
        Some(broadcast) => message.attribute(number::IFA_BROADCAST, &broadcast.octets()),
        None => message,
    }
}

/// Networks of one or two addresses have none.
fn broadcast(address: Ipv4Addr, prefix_length: u8) -> Option<Ipv4Addr> {
    let hosts = u32::MAX.checked_shr(u32::from(prefix_length)).unwrap_or(0);
    (hosts > 1).then(|| Ipv4Addr::from(u32::from(address) | hosts))
}

/// `struct rtmsg`: family, two prefix lengths, tos, table, protocol, scope, type, flags.
fn default_route(index: u32, gateway: Ipv4Addr) -> Message {
    let fixed = [
        number::AF_INET,
        0,
        0,
        0,
        number::RT_TABLE_MAIN,
        number::RTPROT_BOOT,
        number::RT_SCOPE_UNIVERSE,
        number::RTN_UNICAST,
        0,
        0,
        0,
        0,
    ];
    Message::new(number::RTM_NEWROUTE, ACKNOWLEDGE | CREATE | EXCLUSIVE)
        .fixed(&fixed)
        .attribute(number::RTA_GATEWAY, &gateway.octets())
        .native_u32(number::RTA_OIF, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_addresses() {
        let address = Ipv4Addr::new(172, 18, 3, 7);
        assert_eq!(broadcast(address, 16), Some(Ipv4Addr::new(172, 18, 255, 255)));
        assert_eq!(broadcast(address, 24), Some(Ipv4Addr::new(172, 18, 3, 255)));
        assert_eq!(broadcast(address, 31), None);
        assert_eq!(broadcast(address, 32), None);
        assert_eq!(broadcast(address, 0), Some(Ipv4Addr::BROADCAST));
    }
}
