//! Adds neighbour entries, so that the kernel need not resolve addresses.
//!
//! The kernel's table of neighbours is one for all network namespaces and holds 1,024 that it resolved
//! itself; some hundred containers that speak to their gateway would fill it. Entries that are marked as
//! learned elsewhere do not count, but must be removed by the program that added them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;
use sys::netlink::{self, Message, attributes};

use super::interface::interface_error;
use super::{Interface, Routing};
use crate::error::Error;
use crate::family::{Address, from_octets, number_of, octets};
use model::MacAddress;

/// `RTM_NEWNEIGH` and its like of linux/rtnetlink.h, and attributes of linux/neighbour.h.
const NEW_NEIGHBOUR: u16 = 28;
const DELETE_NEIGHBOUR: u16 = 29;
const GET_NEIGHBOUR: u16 = 30;
const DESTINATION: u16 = 1;
const HARDWARE_ADDRESS: u16 = 2;
const INTERFACE: u16 = 8;
/// `NUD_REACHABLE`: as if it had just answered; it is resolved again in due time.
const REACHABLE: u16 = 2;
/// `NTF_MASTER`: the bridge's table, not the port's.
const OF_THE_BRIDGE: u8 = 4;
/// `NTF_PROXY`.
const PROXY: u8 = 8;
/// `NTF_EXT_LEARNED`.
const LEARNED_ELSEWHERE: u8 = 0x10;
const FAMILY_BRIDGE: u8 = 7;
const CREATION: u16 = netlink::ACKNOWLEDGE | netlink::CREATE | netlink::REPLACE;
const HEADER: usize = 12;

impl Routing {
    /// Notes the hardware address of a neighbour on the interface, as if it had answered.
    pub(crate) fn add_neighbour(
        &mut self,
        interface: &Interface,
        address: IpAddr,
        mac: MacAddress,
    ) -> Result<(), Error> {
        let message = Message::new(NEW_NEIGHBOUR, CREATION)
            .fixed(&header(number_of(address), interface.index, LEARNED_ELSEWHERE))
            .attribute(DESTINATION, &octets(address))
            .attribute(HARDWARE_ADDRESS, &mac.bytes());
        self.acknowledged(message)
            .map_err(|source| interface_error("add a neighbour to", &interface.name, source))
    }

    /// Removes a neighbour of the interface of this index. One that is gone already is no error.
    pub(crate) fn delete_neighbour(&mut self, name: &str, index: u32, address: IpAddr) -> Result<(), Error> {
        let message = Message::new(DELETE_NEIGHBOUR, netlink::ACKNOWLEDGE)
            .fixed(&header(number_of(address), index, 0))
            .attribute(DESTINATION, &octets(address));
        match self.acknowledged(message) {
            Err(error) if !error.is(Errno::NOENT) && !error.is(Errno::NODEV) => {
                Err(interface_error("remove a neighbour of", name, error))
            }
            _ => Ok(()),
        }
    }

    /// Lists the neighbours of the interface of this index that were added here.
    pub(crate) fn added_neighbours(&mut self, index: u32) -> Result<Vec<IpAddr>, Error> {
        let mut all = self.marked_neighbours::<Ipv4Addr>(index, 0, LEARNED_ELSEWHERE)?;
        all.extend(self.marked_neighbours::<Ipv6Addr>(index, 0, LEARNED_ELSEWHERE)?);
        Ok(all)
    }

    /// Lists the addresses of IPv6 for which the interface of this index answers in their place.
    pub(crate) fn proxied(&mut self, index: u32) -> Result<Vec<Ipv6Addr>, Error> {
        let all = self.marked_neighbours::<Ipv6Addr>(index, PROXY, PROXY)?;
        let of_ipv6 = |address| match address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        };
        Ok(all.into_iter().filter_map(of_ipv6).collect())
    }

    fn marked_neighbours<A: Address>(
        &mut self,
        index: u32,
        asked: u8,
        mark: u8,
    ) -> Result<Vec<IpAddr>, Error> {
        let message = Message::new(GET_NEIGHBOUR, netlink::DUMP)
            .fixed(&header(A::FAMILY, 0, asked))
            .native_u32(INTERFACE, index);
        let parse = |payload: &[u8]| {
            let of_the_interface = payload.get(4..8)? == index.to_ne_bytes();
            let ours = of_the_interface && payload.get(10)? & mark != 0;
            let (_, value) = attributes(payload.get(HEADER..)?).find(|(kind, _)| *kind == DESTINATION)?;
            let address: A = from_octets(value)?;
            ours.then(|| address.into())
        };
        self.list("list neighbours", message, parse)
    }

    /// Lets the interface answer for an address of IPv6 that the host reaches by another.
    pub(crate) fn add_proxied(&mut self, interface: &Interface, address: Ipv6Addr) -> Result<(), Error> {
        let message = Message::new(NEW_NEIGHBOUR, CREATION)
            .fixed(&header(Ipv6Addr::FAMILY, interface.index, PROXY))
            .attribute(DESTINATION, &address.octets());
        self.acknowledged(message)
            .map_err(|source| interface_error("answer for others on", &interface.name, source))
    }

    /// Ends that. That it does not is no error.
    pub(crate) fn delete_proxied(&mut self, name: &str, index: u32, address: Ipv6Addr) -> Result<(), Error> {
        let message = Message::new(DELETE_NEIGHBOUR, netlink::ACKNOWLEDGE)
            .fixed(&header(Ipv6Addr::FAMILY, index, PROXY))
            .attribute(DESTINATION, &address.octets());
        match self.acknowledged(message) {
            Err(error) if !error.is(Errno::NOENT) && !error.is(Errno::NODEV) => {
                Err(interface_error("no longer answer for others on", name, error))
            }
            _ => Ok(()),
        }
    }

    /// Adds the port of a hardware address to the bridge's forwarding table, as if it had sent something. A
    /// port that does not forward yet accepts no entry: then the bridge learns it from the first packet.
    pub(crate) fn add_station(&mut self, port: &Interface, mac: MacAddress) -> Result<(), Error> {
        let message = Message::new(NEW_NEIGHBOUR, CREATION)
            .fixed(&header(FAMILY_BRIDGE, port.index, OF_THE_BRIDGE))
            .attribute(HARDWARE_ADDRESS, &mac.bytes());
        match self.acknowledged(message) {
            Err(error) if !error.is(Errno::PERM) => {
                Err(interface_error("add a station to", &port.name, error))
            }
            _ => Ok(()),
        }
    }
}

/// `ndmsg`; without an interface it selects all.
fn header(family: u8, interface: u32, flags: u8) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = family;
    header[4..8].copy_from_slice(&interface.to_ne_bytes());
    if interface != 0 {
        header[8..10].copy_from_slice(&REACHABLE.to_ne_bytes());
    }
    header[10] = flags;
    header
}
