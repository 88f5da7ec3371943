//! Forgetting tracked connections, so that those of a container that is gone do not catch the
//! packets meant for its successor.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;
use sys::netlink::{self, Message, RequestError, Socket, attributes};

use super::family::Family;
use crate::error::Error;
use crate::family::octets;
use crate::port::Protocol;

/// `NFNL_SUBSYS_CTNETLINK` and its messages, linux/netfilter/nfnetlink_conntrack.h.
const CONNECTIONS: u16 = 1 << 8;
const GET: u16 = 1;
const DELETE: u16 = 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const FILTER: u16 = 25;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
const TUPLE_ADDRESSES: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
/// The sources of IPv4 and of IPv6.
const ADDRESS_SOURCE: u16 = 1;
const IPV6_ADDRESS_SOURCE: u16 = 3;
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_DESTINATION: u16 = 3;
// Which parts of a tuple count, CTA_FILTER_F_… of the kernel.
const COUNTS_SOURCE: u32 = 1 << 0;
const COUNTS_PROTOCOL: u32 = 1 << 3;
const COUNTS_DESTINATION_PORT: u32 = 1 << 5;

/// Drops all connections from a container, and all that were translated to it, which is then the source of
/// their replies.
pub(super) fn forget_address(socket: &mut Socket, address: IpAddr) -> Result<(), Error> {
    let source = match address {
        IpAddr::V4(_) => ADDRESS_SOURCE,
        IpAddr::V6(_) => IPV6_ADDRESS_SOURCE,
    };
    for direction in [TUPLE_ORIGINAL, TUPLE_REPLY] {
        let filter = |message: Message| {
            let message = message.nested(direction, |tuple| {
                tuple.nested(TUPLE_ADDRESSES, |ip| ip.attribute(source, &octets(address)))
            });
            counting(message, direction, COUNTS_SOURCE)
        };
        forget(socket, Family::of(address), filter).map_err(|source| Error::Conntrack { address, source })?;
    }
    Ok(())
}

/// Drops all connections of a family to a port of any address.
pub(super) fn forget_port(
    socket: &mut Socket,
    family: Family,
    protocol: Protocol,
    port: u16,
) -> Result<(), Error> {
    let filter = |message: Message| {
        let message = message.nested(TUPLE_ORIGINAL, |tuple| {
            tuple.nested(TUPLE_PROTOCOL, |part| {
                part.attribute(PROTOCOL_NUMBER, &[protocol.number()])
                    .attribute(PROTOCOL_DESTINATION, &port.to_be_bytes())
            })
        });
        counting(message, TUPLE_ORIGINAL, COUNTS_PROTOCOL | COUNTS_DESTINATION_PORT)
    };
    let address = match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    forget(socket, family, filter).map_err(|source| Error::Conntrack { address, source })
}

fn counting(message: Message, direction: u16, parts: u32) -> Message {
    message.nested(FILTER, |filter| {
        let (original, reply) = if direction == TUPLE_ORIGINAL { (parts, 0) } else { (0, parts) };
        filter.native_u32(FILTER_ORIGINAL, original).native_u32(FILTER_REPLY, reply)
    })
}

/// Lets the kernel delete what the filter selects; one older than 6.11 only lists it.
fn forget(
    socket: &mut Socket,
    family: Family,
    filter: impl Fn(Message) -> Message,
) -> Result<(), RequestError> {
    match socket.request(&[filter(message(family, DELETE, netlink::ACKNOWLEDGE))]) {
        // It takes the parts of a tuple for one that is not whole.
        Err(error) if error.is(Errno::OPNOTSUPP) || error.is(Errno::INVAL) => {
            forget_each(socket, family, filter)
        }
        // Nothing was selected.
        Err(error) if error.is(Errno::NOENT) => Ok(()),
        result => result.map(drop),
    }
}

fn forget_each(
    socket: &mut Socket,
    family: Family,
    filter: impl Fn(Message) -> Message,
) -> Result<(), RequestError> {
    for connection in socket.request(&[filter(message(family, GET, netlink::DUMP))])? {
        let Some(payload) = connection.payload.get(4..) else { continue };
        let tuple = attributes(payload).find(|(kind, _)| *kind == TUPLE_ORIGINAL);
        let Some((_, tuple)) = tuple else { continue };
        let delete = message(family, DELETE, netlink::ACKNOWLEDGE)
            .nested(TUPLE_ORIGINAL, |nested| nested.fixed(tuple));
        match socket.request(&[delete]) {
            Err(error) if !error.is(Errno::NOENT) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Begins a message about connections of a family. Version 1 of the header makes the family count.
fn message(family: Family, kind: u16, flags: u16) -> Message {
    Message::new(CONNECTIONS | kind, flags).fixed(&[family.number(), 1, 0, 0])
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use sys::netlink::Protocol as Subsystem;

    use super::*;

    fn tracked(port: u16) -> usize {
        let table = std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").expect("the table");
        table.lines().filter(|line| line.contains(&format!("dport={port} "))).count()
    }

    /// Needs root. Connections over the loopback of a namespace of the thread's own are tracked as soon as
    /// some table uses their state.
    #[test]
    fn only_connections_of_the_port_are_forgotten_one_by_one_or_at_once() {
        let run = || {
            sys::network_namespace::unshare().expect("root may unshare");
            let mut socket = Socket::open(Subsystem::Netfilter).expect("a socket");
            super::super::tests::track_loopback(&mut socket);
            let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let send = || {
                for port in [5001, 5002] {
                    // It has no listener: the refusal is returned by the next call.
                    let _ = client.send_to(b"x", ("127.0.0.1", port));
                    let _ = client.send_to(b"x", ("127.0.0.1", port));
                }
            };
            send();
            assert_eq!((tracked(5001), tracked(5002)), (1, 1));
            forget_port(&mut socket, Family::Ipv4, Protocol::Udp, 5001).expect("forgotten");
            assert_eq!((tracked(5001), tracked(5002)), (0, 1));
            send();
            let filter = |message: Message| {
                let message = message.nested(TUPLE_ORIGINAL, |tuple| {
                    tuple.nested(TUPLE_PROTOCOL, |part| {
                        part.attribute(PROTOCOL_NUMBER, &[17])
                            .attribute(PROTOCOL_DESTINATION, &5002u16.to_be_bytes())
                    })
                });
                counting(message, TUPLE_ORIGINAL, COUNTS_PROTOCOL | COUNTS_DESTINATION_PORT)
            };
            forget_each(&mut socket, Family::Ipv4, filter).expect("forgotten");
            assert_eq!((tracked(5001), tracked(5002)), (1, 0));
            forget_address(&mut socket, Ipv4Addr::LOCALHOST.into()).expect("forgotten");
            assert_eq!((tracked(5001), tracked(5002)), (0, 0));
        };
        std::thread::spawn(run).join().expect("the thread ends well");
    }
}
