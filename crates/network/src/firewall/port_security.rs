//! What ports of the bridge take from their containers: packets from their own addresses.
//!
//! A container with NET_RAW, which it has by default, can send any frame. Without a check it could
//! announce itself as a router of IPv6 (CVE-2020-13401), answer ARP for others (CVE-2020-14370's
//! kind), or teach the bridge another's hardware address, and get what is meant for them. The rules
//! of this table see a frame before the bridge learns from it:
//!
//! ```text
//! set senders     port . hardware address . address     what each port may send from
//! set ports       port                                  all that are checked
//! set loose       port . hardware address               ports of containers that may be routers
//! set addresses   address                               the gateways and all containers
//!
//! chain prerouting   IPv4 and ARP from the port's own addresses passes; from a checked port
//!                    nothing else does, unless its container may be a router
//! chain loose        with its own hardware address, a router sends from whatever belongs to nobody else
//! ```
//! The network is one of IPv4, so no packet of IPv6 passes from a checked port: no announcement of
//! routers, neighbours or addresses. 0.0.0.0 is everybody's, for DHCP clients and ARP probes (RFC
//! 2131, RFC 5227). Ports that somebody else added to the bridge are not checked.

use super::Content;
use super::expression::{Expressions, Field, IP, Verdict};
use super::sets::{ADDRESS, HARDWARE_ADDRESS, LINK_NAME, LINK_NAME_LENGTH, link_key};
use super::transaction::{Element, Hook, Set, Transaction};
use crate::endpoint::SourceCheck;

/// A hardware address and two bytes that keep what follows at a multiple of four.
const HARDWARE_ADDRESS_LENGTH: u32 = 8;
/// The words of a key at which its second and third part begin.
const SECOND: u32 = LINK_NAME_LENGTH / 4;
const THIRD: u32 = SECOND + HARDWARE_ADDRESS_LENGTH / 4;

const SENDERS: Set = Set {
    name: "senders",
    id: 6,
    key_type: LINK_NAME << 12 | HARDWARE_ADDRESS << 6 | ADDRESS,
    key_length: LINK_NAME_LENGTH + HARDWARE_ADDRESS_LENGTH + 4,
    in_host_order: false,
    has_intervals: false,
    data: None,
};
const PORTS: Set = Set {
    name: "ports",
    id: 7,
    key_type: LINK_NAME,
    key_length: LINK_NAME_LENGTH,
    in_host_order: true,
    has_intervals: false,
    data: None,
};
const LOOSE: Set = Set {
    name: "loose",
    id: 8,
    key_type: LINK_NAME << 6 | HARDWARE_ADDRESS,
    key_length: LINK_NAME_LENGTH + HARDWARE_ADDRESS_LENGTH,
    in_host_order: false,
    has_intervals: false,
    data: None,
};
const ADDRESSES: Set = Set {
    name: "addresses",
    id: 9,
    key_type: ADDRESS,
    key_length: 4,
    in_host_order: false,
    has_intervals: false,
    data: None,
};

/// `NF_BR_PRE_ROUTING`, before the host's own rules and before bridged packets go to IPv4's
/// (`NF_BR_PRI_NAT_DST_BRIDGED` of linux/netfilter_bridge.h).
const PREROUTING: Hook = Hook { kind: "filter", number: 0, priority: -300 };

/// Adds the table anew to a transaction that is about it.
pub(super) fn rebuild(transaction: Transaction) -> Transaction {
    let transaction = transaction
        .table()
        .delete_table()
        .table()
        .set(&SENDERS)
        .set(&PORTS)
        .set(&LOOSE)
        .set(&ADDRESSES)
        .chain("loose", None)
        .chain("prerouting", Some(PREROUTING));
    loose(prerouting(transaction))
}

fn prerouting(transaction: Transaction) -> Transaction {
    transaction
        // Decides about nearly all packets, with one look.
        .rule("prerouting", |rule| {
            rule.carries(IP)
                .load(Field::InputLink, 0)
                .load(Field::LinkSource, SECOND)
                .load(Field::Source, THIRD)
                .in_set(SENDERS.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("prerouting", |rule| rule.input(PORTS.name, true).verdict(Verdict::Accept))
        .rule("prerouting", |rule| {
            rule.plain_arp()
                .load(Field::InputLink, 0)
                .load(Field::LinkSource, SECOND)
                .load(Field::ArpSenderAddress, THIRD)
                .in_set(SENDERS.name, false)
                .load(Field::ArpSender, SECOND)
                .in_set(SENDERS.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("prerouting", |rule| {
            rule.load(Field::InputLink, 0)
                .load(Field::LinkSource, SECOND)
                .in_set(LOOSE.name, false)
                .verdict(Verdict::Goto("loose"))
        })
        .rule("prerouting", |rule| rule.verdict(Verdict::Drop))
}

fn loose(transaction: Transaction) -> Transaction {
    transaction
        .rule("loose", |rule| {
            rule.carries(IP).load(Field::Source, 0).in_set(ADDRESSES.name, true).verdict(Verdict::Accept)
        })
        .rule("loose", |rule| {
            rule.plain_arp()
                .load(Field::ArpSenderAddress, 0)
                .in_set(ADDRESSES.name, true)
                .load(Field::InputLink, 0)
                .load(Field::ArpSender, SECOND)
                .in_set(LOOSE.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("loose", |rule| rule.verdict(Verdict::Drop))
}

/// The elements that this content needs, a set each.
pub(super) fn elements(content: &Content) -> [(&'static Set, Vec<Element>); 4] {
    let stations = &content.stations;
    let mut senders = Vec::with_capacity(2 * stations.len());
    let mut loose = Vec::new();
    for station in stations {
        let port = link_key(&station.link);
        let mut mac = station.mac.bytes().to_vec();
        mac.resize(HARDWARE_ADDRESS_LENGTH as usize, 0);
        senders.push(Element::key(&[&port, &mac, &station.address.octets()]));
        senders.push(Element::key(&[&port, &mac, &[0; 4]]));
        if station.check == SourceCheck::Loose {
            loose.push(Element::key(&[&port, &mac]));
        }
    }
    let ports = stations.iter().map(|station| Element::key(&[&link_key(&station.link)])).collect();
    let gateways = content.networks.iter().map(|network| network.address.address);
    let addresses = gateways.chain(stations.iter().map(|station| station.address));
    let addresses = addresses.map(|address| Element::key(&[&address.octets()])).collect();
    [(&SENDERS, senders), (&PORTS, ports), (&LOOSE, loose), (&ADDRESSES, addresses)]
}
