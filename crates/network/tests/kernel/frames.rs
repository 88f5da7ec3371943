//! Ethernet frames as a hostile container makes them, sent and seen through packet(7) sockets.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Child, ChildStdout, Command, Stdio};

use berth_network::MacAddress;

use crate::world::*;

/// The port from and to which frames of UDP go.
pub(crate) const PORT: u16 = 4747;

const END: &[u8; 4] = b"end!";
const BROADCAST: [u8; 6] = [0xff; 6];
const ALL_NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// A frame and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) name: &'static str,
    bytes: Vec<u8>,
}

impl Frame {
    /// The same with a tag of a VLAN.
    pub(crate) fn with_vlan(&self, name: &'static str, id: u16) -> Self {
        let (addresses, rest) = self.bytes.split_at(12);
        Self { name, bytes: [addresses, &[0x81, 0], &id.to_be_bytes(), rest].concat() }
    }

    /// The same to another hardware address.
    pub(crate) fn sent_to(&self, to: [u8; 6]) -> Self {
        Self { name: self.name, bytes: [&to, &self.bytes[6..]].concat() }
    }
}

fn frame(name: &'static str, to: [u8; 6], from: MacAddress, kind: u16, content: &[u8]) -> Frame {
    Frame { name, bytes: [to.as_slice(), &from.bytes(), &kind.to_be_bytes(), content].concat() }
}

/// Any protocol.
pub(crate) fn ether(name: &'static str, from: MacAddress, kind: u16, content: &[u8]) -> Frame {
    frame(name, BROADCAST, from, kind, content)
}

/// An answer of ARP to all: `address` is at `sender` (RFC 826).
pub(crate) fn arp(name: &'static str, from: MacAddress, sender: MacAddress, address: Ipv4Addr) -> Frame {
    let head: &[u8] = &[0, 1, 8, 0, 6, 4, 0, 2];
    let to_itself = [sender.bytes().as_slice(), &address.octets()].concat();
    ether(name, from, 0x0806, &[head, &to_itself, &to_itself].concat())
}

/// UDP over IPv4, with checksums (RFC 791, RFC 768: none is 0).
pub(crate) fn udp(name: &'static str, mac: MacAddress, from: Ipv4Addr, to: Ipv4Addr) -> Frame {
    datagram(name, mac, from, to, b"data")
}

/// What comes last.
pub(crate) fn end(mac: MacAddress, from: Ipv4Addr, to: Ipv4Addr) -> Frame {
    datagram("end", mac, from, to, END)
}

fn datagram(name: &'static str, mac: MacAddress, from: Ipv4Addr, to: Ipv4Addr, data: &[u8; 4]) -> Frame {
    let datagram = [&PORT.to_be_bytes()[..], &PORT.to_be_bytes(), &[0, 12, 0, 0], data].concat();
    let mut head = [&[0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0][..], &from.octets(), &to.octets()].concat();
    let sum = checksum(&head);
    head[10..12].copy_from_slice(&sum.to_be_bytes());
    ether(name, mac, 0x0800, &[head, datagram].concat())
}

/// IPv6 to all nodes of the interface, from the sender's address of the interface.
fn ipv6(name: &'static str, from: MacAddress, protocol: u8, content: &mut [u8], sum_at: usize) -> Frame {
    let [a, b, c, d, e, f] = from.bytes();
    let source = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    ipv6_from(name, from, source.into(), protocol, content, sum_at)
}

/// The same from any address.
fn ipv6_from(
    name: &'static str,
    from: MacAddress,
    source: Ipv6Addr,
    protocol: u8,
    content: &mut [u8],
    sum_at: usize,
) -> Frame {
    let source = source.octets();
    let target = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let length = u8::try_from(content.len()).expect("a short packet");
    let pseudo = [&source[..], &target, &[0, 0, 0, length, 0, 0, 0, protocol], content].concat();
    content[sum_at..sum_at + 2].copy_from_slice(&checksum(&pseudo).to_be_bytes());
    let head = [0x60, 0, 0, 0, 0, length, protocol, 255];
    frame(name, ALL_NODES, from, 0x86dd, &[&head[..], &source, &target, content].concat())
}

/// RFC 4861: a router for half an hour, and a prefix for addresses.
pub(crate) fn router_advertisement(name: &'static str, from: MacAddress) -> Frame {
    let mut message = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([3, 4, 64, 0xc0, 0, 0, 7, 8, 0, 0, 7, 8, 0, 0, 0, 0]);
    message.extend([0x20, 1, 0x0d, 0xb8, 0x0b, 0xad, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    ipv6(name, from, 58, &mut message, 2)
}

/// RFC 4861: an address is at the sender.
pub(crate) fn neighbour_advertisement(name: &'static str, from: MacAddress) -> Frame {
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0, 0xfe, 0x80];
    message.extend([0; 13]);
    message.extend([1, 2, 1]);
    message.extend(from.bytes());
    ipv6(name, from, 58, &mut message, 2)
}

/// RFC 4861: an address is at this hardware address.
pub(crate) fn advertisement(
    name: &'static str,
    from: MacAddress,
    source: Ipv6Addr,
    (target, at): (Ipv6Addr, MacAddress),
) -> Frame {
    about_neighbour(name, from, source, (136, 2), (target, at))
}

/// RFC 4861: a query for an address by a sender with this hardware address.
pub(crate) fn solicitation(
    name: &'static str,
    from: MacAddress,
    source: Ipv6Addr,
    (target, at): (Ipv6Addr, MacAddress),
) -> Frame {
    about_neighbour(name, from, source, (135, 1), (target, at))
}

fn about_neighbour(
    name: &'static str,
    from: MacAddress,
    source: Ipv6Addr,
    (kind, option): (u8, u8),
    (target, at): (Ipv6Addr, MacAddress),
) -> Frame {
    let flags = if kind == 136 { 0x20 } else { 0 };
    let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    message.extend([option, 1]);
    message.extend(at.bytes());
    ipv6_from(name, from, source, 58, &mut message, 2)
}

/// RFC 8415: from the server's port to the client's.
pub(crate) fn dhcpv6_advertise(name: &'static str, from: MacAddress) -> Frame {
    let mut message = vec![2, 0x23, 2, 0x22, 0, 12, 0, 0, 2, 1, 2, 3];
    ipv6(name, from, 17, &mut message, 6)
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("sixteen bits")
}

/// One processor sends all, so that they stay in order.
const SEND: &str = "
import os, socket, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    raw.send(bytes.fromhex(frame))
";

/// Prints each frame that comes in from elsewhere.
const SEE: &str = "
import socket, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.bind((sys.argv[1], 3))
raw.settimeout(60)
print('ready', flush=True)
while True:
    frame, origin = raw.recvfrom(2048)
    if origin[2] != socket.PACKET_OUTGOING:
        print(frame.hex(), flush=True)
";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sends frames by an interface of the namespace, one after the other.
pub(crate) fn send(namespace: &Namespace, interface: &str, frames: &[Frame], end: Frame) {
    let words = frames.iter().chain([&end]).map(|frame| hex(&frame.bytes));
    let words: Vec<String> =
        ["-c".to_owned(), SEND.to_owned(), interface.to_owned()].into_iter().chain(words).collect();
    let output =
        namespace.run(|| Command::new("python3").args(&words).output().expect("these tests need python3"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Sees what comes in by an interface.
pub(crate) struct Sniffer {
    program: Child,
    lines: BufReader<ChildStdout>,
}

impl Sniffer {
    /// Returns when it sees.
    pub(crate) fn start(namespace: &Namespace, interface: &str) -> Self {
        let mut program = namespace.run(|| {
            let mut command = Command::new("python3");
            command
                .args(["-c", SEE, interface])
                .stdout(Stdio::piped())
                .spawn()
                .expect("these tests need python3")
        });
        let mut lines = BufReader::new(program.stdout.take().expect("a pipe"));
        let mut ready = String::new();
        lines.read_line(&mut ready).expect("a line");
        assert_eq!(ready, "ready\n");
        Self { program, lines }
    }

    /// The names of the frames that came, until one with another name: the end.
    pub(crate) fn names(mut self, frames: &[Frame]) -> Vec<&'static str> {
        let mut names = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).expect("a line") > 0, "the end came not");
            let seen = line.trim_end();
            match frames.iter().find(|frame| seen.starts_with(&hex(&frame.bytes))) {
                Some(frame) => names.push(frame.name),
                // IPv6 and ARP that the containers send by themselves do not count.
                None if seen.ends_with(&hex(END)) => break,
                None => {}
            }
        }
        names
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.program.kill().expect("killed");
        self.program.wait().expect("ended");
    }
}
