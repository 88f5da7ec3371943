//! Leads the container's packets for port 53 of 127.0.0.11 to the ports at which the name service listens.
//!
//! In the container's network namespace there is a table of nf_tables that changes the port in each packet
//! (decision 0112). It tracks no connections, so a flood of queries fills no table of the kernel:
//!
//! ```text
//! table ip berth-names {
//!   chain queries {                          # before connection tracking
//!     type filter hook output priority -300; policy accept;
//!     meta oif != 1 accept                   # what does not leave by the loopback is done with at once
//!     meta l4proto udp ip daddr 127.0.0.11 th dport 53 th dport set UDP_PORT
//!     meta l4proto tcp ip daddr 127.0.0.11 th dport 53 th dport set TCP_PORT
//!   }
//!   chain answers {                          # behind connection tracking, should the container use it
//!     type filter hook output priority -150; policy accept;
//!     meta oif != 1 accept
//!     meta l4proto udp ip saddr 127.0.0.11 th sport UDP_PORT th sport set 53
//!     meta l4proto tcp ip saddr 127.0.0.11 th sport TCP_PORT th sport set 53
//!   }
//! }
//! ```

use std::io;
use std::net::Ipv4Addr;

use sys::netlink::{ACKNOWLEDGE, APPEND, CREATE, EXCLUSIVE, Message, Protocol, RequestError, Socket};

/// The address of the name server in the container's resolv.conf.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

const TABLE: &str = "berth-names";
const QUERIES: &str = "queries";
const ANSWERS: &str = "answers";

/// The port that the container's resolv.conf means.
const DOMAIN: u16 = 53;

/// The loopback's number in every network namespace.
const LOOPBACK: u32 = 1;

/// Numbers of linux/netfilter/nfnetlink.h and nf_tables.h.
mod number {
    pub(super) const NF_TABLES: u16 = 10;
    pub(super) const BATCH_BEGIN: u16 = 0x10;
    pub(super) const BATCH_END: u16 = 0x11;
    pub(super) const IPV4: u8 = 2;
    pub(super) const NEW_TABLE: u16 = 0;
    pub(super) const GET_TABLE: u16 = 1;
    pub(super) const DELETE_TABLE: u16 = 2;
    pub(super) const NEW_CHAIN: u16 = 3;
    pub(super) const NEW_RULE: u16 = 6;
    /// `NF_INET_LOCAL_OUT`.
    pub(super) const OUTPUT: u32 = 3;
    pub(super) const ACCEPT: u32 = 1;
    pub(super) const REGISTER: u32 = 1;
    pub(super) const REGISTER_VERDICT: u32 = 0;
    pub(super) const META_OUTPUT_LINK: u32 = 5;
    pub(super) const META_TRANSPORT: u32 = 16;
    pub(super) const NETWORK_HEADER: u32 = 1;
    pub(super) const TRANSPORT_HEADER: u32 = 2;
    pub(super) const EQUAL: u32 = 0;
    pub(super) const NOT_EQUAL: u32 = 1;
    /// `NFT_PAYLOAD_CSUM_INET`.
    pub(super) const INTERNET_CHECKSUM: u32 = 1;
}

/// Where the name service listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) datagrams: u16,
    pub(super) connections: u16,
}

/// A transport protocol: its number and where its header has a checksum, RFC 768 and RFC 9293.
#[derive(Clone, Copy)]
struct Transport {
    number: u8,
    checksum: u32,
}

const UDP: Transport = Transport { number: 17, checksum: 6 };
const TCP: Transport = Transport { number: 6, checksum: 16 };

/// Where headers have an address, RFC 791, and a port.
#[derive(Clone, Copy)]
struct Side {
    address: u32,
    port: u32,
}

const SOURCE: Side = Side { address: 12, port: 0 };
const DESTINATION: Side = Side { address: 16, port: 2 };

/// Makes the table in the network namespace of the calling thread, in place of one that an earlier shim left
/// in a namespace which others hold.
pub(super) fn make(ports: Ports) -> io::Result<()> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    // The kernel waits for a grace period wherever a table is deleted, which is some milliseconds of a start.
    let made = match commit(&mut socket, table(ports)) {
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
            let mut changes = vec![deletion()];
            changes.extend(table(ports));
            commit(&mut socket, changes)
        }
        made => made,
    };
    made.map_err(failed)
}

/// Recreates the table where the container has removed it. The kernel waits for a grace period wherever it refuses a
/// change of nf_tables, so the table is queried first.
pub(super) fn restore(ports: Ports) -> io::Result<()> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    if is_there(&mut socket).map_err(failed)? {
        return Ok(());
    }
    match commit(&mut socket, table(ports)) {
        // Another shim in the namespace was faster.
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        restored => restored.map_err(failed),
    }
}

fn is_there(socket: &mut Socket) -> Result<bool, RequestError> {
    match socket.request(&[message(number::GET_TABLE, 0).string(1, TABLE)]) {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true),
    }
}

/// Removes the table from the network namespace of the calling thread.
pub(super) fn remove() -> io::Result<()> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    commit(&mut socket, vec![deletion()]).map_err(failed)
}

fn table(ports: Ports) -> Vec<Message> {
    vec![
        message(number::NEW_TABLE, CREATE | EXCLUSIVE).string(1, TABLE),
        chain(QUERIES, -300),
        rule(QUERIES, others_pass),
        rule(QUERIES, |list| rewrite(list, UDP, DESTINATION, DOMAIN, ports.datagrams)),
        rule(QUERIES, |list| rewrite(list, TCP, DESTINATION, DOMAIN, ports.connections)),
        chain(ANSWERS, -150),
        rule(ANSWERS, others_pass),
        rule(ANSWERS, |list| rewrite(list, UDP, SOURCE, ports.datagrams, DOMAIN)),
        rule(ANSWERS, |list| rewrite(list, TCP, SOURCE, ports.connections, DOMAIN)),
    ]
}

fn deletion() -> Message {
    message(number::DELETE_TABLE, 0).string(1, TABLE)
}

/// All of it takes effect, or nothing.
fn commit(socket: &mut Socket, changes: Vec<Message>) -> Result<(), RequestError> {
    let batch = |kind| {
        let [high, low] = number::NF_TABLES.to_be_bytes();
        Message::new(kind, 0).fixed(&[0, 0, high, low])
    };
    let mut messages = vec![batch(number::BATCH_BEGIN)];
    messages.extend(changes);
    messages.push(batch(number::BATCH_END));
    socket.request(&messages).map(drop)
}

fn failed(error: RequestError) -> io::Error {
    let text = format!("changing the rules that lead to the name service: {error}");
    io::Error::new(error.source.kind(), text)
}

fn message(kind: u16, flags: u16) -> Message {
    Message::new((number::NF_TABLES << 8) | kind, flags | ACKNOWLEDGE).fixed(&[number::IPV4, 0, 0, 0])
}

fn chain(name: &str, priority: i32) -> Message {
    message(number::NEW_CHAIN, CREATE)
        .string(1, TABLE)
        .string(3, name)
        .nested(4, |hook| hook.network_u32(1, number::OUTPUT).network_u32(2, priority.cast_unsigned()))
        .network_u32(5, number::ACCEPT)
        .string(7, "filter")
}

fn rule(chain: &str, build: impl FnOnce(Message) -> Message) -> Message {
    message(number::NEW_RULE, CREATE | APPEND).string(1, TABLE).string(2, chain).nested(4, build)
}

/// Accepts what does not leave by the loopback.
fn others_pass(list: Message) -> Message {
    let list = expression(list, "meta", |data| {
        data.network_u32(1, number::REGISTER).network_u32(2, number::META_OUTPUT_LINK)
    });
    let list = compare(list, number::NOT_EQUAL, &LOOPBACK.to_ne_bytes());
    expression(list, "immediate", |data| {
        data.network_u32(1, number::REGISTER_VERDICT)
            .nested(2, |value| value.nested(2, |verdict| verdict.network_u32(1, number::ACCEPT)))
    })
}

/// Writes another port into packets of the name service's address and of this port.
fn rewrite(list: Message, transport: Transport, side: Side, from: u16, to: u16) -> Message {
    let list = expression(list, "meta", |data| {
        data.network_u32(1, number::REGISTER).network_u32(2, number::META_TRANSPORT)
    });
    let list = compare(list, number::EQUAL, &[transport.number]);
    let list = load(list, number::NETWORK_HEADER, side.address, 4);
    let list = compare(list, number::EQUAL, &ADDRESS.octets());
    let list = load(list, number::TRANSPORT_HEADER, side.port, 2);
    let list = compare(list, number::EQUAL, &from.to_be_bytes());
    let list = expression(list, "immediate", |data| {
        data.network_u32(1, number::REGISTER).nested(2, |value| value.attribute(1, &to.to_be_bytes()))
    });
    expression(list, "payload", |data| {
        data.network_u32(5, number::REGISTER)
            .network_u32(2, number::TRANSPORT_HEADER)
            .network_u32(3, side.port)
            .network_u32(4, 2)
            .network_u32(6, number::INTERNET_CHECKSUM)
            .network_u32(7, transport.checksum)
    })
}

fn load(list: Message, header: u32, offset: u32, length: u32) -> Message {
    expression(list, "payload", |data| {
        data.network_u32(1, number::REGISTER)
            .network_u32(2, header)
            .network_u32(3, offset)
            .network_u32(4, length)
    })
}

fn compare(list: Message, operator: u32, value: &[u8]) -> Message {
    expression(list, "cmp", |data| {
        data.network_u32(1, number::REGISTER)
            .network_u32(2, operator)
            .nested(3, |data| data.attribute(1, value))
    })
}

fn expression(list: Message, name: &str, build: impl FnOnce(Message) -> Message) -> Message {
    list.nested(1, |element| element.string(1, name).nested(2, build))
}
