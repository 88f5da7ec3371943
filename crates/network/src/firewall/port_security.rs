//! The packets that ports of the bridge accept from their containers: those from their own addresses.
//!
//! A container with NET_RAW, which it has by default, can send any frame. Without a check it could announce
//! itself as a router of IPv6 (CVE-2020-13401), answer ARP for others (CVE-2020-14370's kind), or make the
//! bridge learn another's hardware address, and get its packets. The rules of this table see a frame before
//! the bridge learns from it:
//!
//! ```text
//! set senders          port . hardware address . address     what each port may send from, of IPv4
//! set ipv6_senders     the same of IPv6
//! set ports            port                                  all that are checked
//! set loose            port . hardware address               ports of containers that may be routers of IPv4
//! set ipv6_loose       the same of IPv6
//! set addresses        address                               the gateways and all containers, of IPv4
//! set ipv6_addresses   the same of IPv6
//!
//! chain prerouting     IPv4 and ARP from the port's own addresses passes; from a checked port
//!                      nothing else of them does, unless its container may be a router
//! chain loose          with its own hardware address, a router sends from any address that is not in use
//! chain ipv6           the same of IPv6, without what only routers and DHCP servers send
//! chain neighbours     solicitations and advertisements of neighbours that carry the port's own hardware
//!                      address, and advertisements of the port's own addresses
//! ```
//! A port whose container has no address of IPv4 or of IPv6 sends nothing of it. Containers behind ports cannot
//! announce themselves as routers, redirect others, query multicast listeners, or hand out addresses. 0.0.0.0 is
//! allowed to all, for DHCP clients and ARP probes (RFC 2131, RFC 5227), and so is the unspecified address of
//! IPv6, for the detection of duplicate addresses (RFC 4862). The neighbours' options are checked where they
//! stand in messages of one option; messages with more are dropped. Linux ignores fragmented messages of
//! neighbours (RFC 6980). Ports that other programs added to the bridge are not checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Content;
use super::expression::{Expressions, Field, IP, IPV6, Verdict};
use super::sets::interface_key;
use super::transaction::{
    Element, HARDWARE_ADDRESS_LENGTH, Hook, INTERFACE_NAME_LENGTH, Part, Set, Transaction,
};
use crate::endpoint::{SourceCheck, link_local};
use crate::family::octets;

/// The words of a key at which its second and third part begin.
const SECOND: u32 = INTERFACE_NAME_LENGTH / 4;
const THIRD: u32 = SECOND + HARDWARE_ADDRESS_LENGTH / 4;

const SENDERS: Set = Set::of("senders", 6, &[Part::InterfaceName, Part::HardwareAddress, Part::Address]);
const PORTS: Set = Set::of("ports", 7, &[Part::InterfaceName]);
const LOOSE: Set = Set::of("loose", 8, &[Part::InterfaceName, Part::HardwareAddress]);
const ADDRESSES: Set = Set::of("addresses", 9, &[Part::Address]);
const IPV6_SENDERS: Set =
    Set::of("ipv6_senders", 20, &[Part::InterfaceName, Part::HardwareAddress, Part::Ipv6Address]);
const IPV6_LOOSE: Set = Set::of("ipv6_loose", 21, &[Part::InterfaceName, Part::HardwareAddress]);
const IPV6_ADDRESSES: Set = Set::of("ipv6_addresses", 22, &[Part::Ipv6Address]);
const ALL: [Set; 7] = [SENDERS, PORTS, LOOSE, ADDRESSES, IPV6_SENDERS, IPV6_LOOSE, IPV6_ADDRESSES];

// Numbers of protocols, and of ICMPv6's messages that only routers send: multicast listener queries (RFC
// 2710), solicitations and advertisements of routers, redirections (RFC 4861), and those of multicast routers
// (RFC 4286).
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const OF_ROUTERS: [u8; 7] = [130, 133, 134, 137, 151, 152, 153];
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// A message about a neighbour without an option, with one of eight bytes, and no header before it.
const WITHOUT_OPTION: [u8; 3] = [0, 24, ICMPV6];
const WITH_OPTION: [u8; 3] = [0, 32, ICMPV6];
/// Type and length of the options that carry the sender's and the target's hardware address.
const SENDERS_ADDRESS: [u8; 2] = [1, 1];
const TARGETS_ADDRESS: [u8; 2] = [2, 1];
/// The port of servers of DHCPv6, RFC 8415.
const DHCPV6_SERVER: u16 = 547;

/// `NF_BR_PRE_ROUTING`, before the host's own rules and before bridged packets go to IPv4's
/// (`NF_BR_PRI_NAT_DST_BRIDGED` of linux/netfilter_bridge.h).
const PREROUTING: Hook = Hook { kind: "filter", number: 0, priority: -300 };

/// Adds the table's rebuild to a transaction.
pub(super) fn rebuild(transaction: Transaction) -> Transaction {
    let transaction = transaction.table().delete_table().table();
    let transaction = ALL.iter().fold(transaction, |transaction, set| transaction.set(set));
    let transaction = transaction
        .chain("loose", None)
        .chain("neighbours", None)
        .chain("ipv6", None)
        .chain("prerouting", Some(PREROUTING));
    neighbours(ipv6(loose(prerouting(transaction))))
}

fn prerouting(transaction: Transaction) -> Transaction {
    transaction
        // Decides about nearly all packets, with one look-up.
        .rule("prerouting", |rule| {
            rule.carries(IP)
                .load(Field::InputInterface, 0)
                .load(Field::LinkSource, SECOND)
                .load(Field::Source, THIRD)
                .in_set(SENDERS.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("prerouting", |rule| rule.input(PORTS.name, true).verdict(Verdict::Accept))
        .rule("prerouting", |rule| rule.carries(IPV6).verdict(Verdict::Goto("ipv6")))
        .rule("prerouting", |rule| {
            rule.plain_arp()
                .load(Field::InputInterface, 0)
                .load(Field::LinkSource, SECOND)
                .load(Field::ArpSenderAddress, THIRD)
                .in_set(SENDERS.name, false)
                .load(Field::ArpSender, SECOND)
                .in_set(SENDERS.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("prerouting", |rule| {
            rule.load(Field::InputInterface, 0)
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
                .load(Field::InputInterface, 0)
                .load(Field::ArpSender, SECOND)
                .in_set(LOOSE.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("loose", |rule| rule.verdict(Verdict::Drop))
}

fn ipv6(transaction: Transaction) -> Transaction {
    let own = |rule: sys::netlink::Message, field| {
        rule.load(Field::InputInterface, 0)
            .load(Field::LinkSource, SECOND)
            .load(field, THIRD)
            .in_set(IPV6_SENDERS.name, false)
    };
    let transaction = OF_ROUTERS.iter().fold(transaction, |transaction, kind| {
        transaction.rule("ipv6", |rule| rule.message(ICMPV6, *kind).verdict(Verdict::Drop))
    });
    transaction
        .rule("ipv6", |rule| {
            rule.load(Field::TransportProtocol, 0)
                .equals(&[UDP])
                .load(Field::SourcePort, 0)
                .equals(&DHCPV6_SERVER.to_be_bytes())
                .verdict(Verdict::Drop)
        })
        .rule("ipv6", |rule| {
            rule.message(ICMPV6, NEIGHBOUR_SOLICITATION).verdict(Verdict::Goto("neighbours"))
        })
        .rule("ipv6", |rule| {
            rule.message(ICMPV6, NEIGHBOUR_ADVERTISEMENT).verdict(Verdict::Goto("neighbours"))
        })
        .rule("ipv6", |rule| own(rule, Field::Ipv6Source).verdict(Verdict::Accept))
        .rule("ipv6", |rule| {
            rule.load(Field::Ipv6Source, 0)
                .in_set(IPV6_ADDRESSES.name, true)
                .load(Field::InputInterface, 0)
                .load(Field::LinkSource, SECOND)
                .in_set(IPV6_LOOSE.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("ipv6", |rule| rule.verdict(Verdict::Drop))
}

fn neighbours(transaction: Transaction) -> Transaction {
    let own = |rule: sys::netlink::Message, mac, address| {
        rule.load(Field::InputInterface, 0)
            .load(mac, SECOND)
            .load(address, THIRD)
            .in_set(IPV6_SENDERS.name, false)
    };
    let unspecified = Ipv6Addr::UNSPECIFIED.octets();
    transaction
        // A solicitation and an advertisement come from an address of the port.
        .rule("neighbours", |rule| {
            rule.load(Field::InputInterface, 0)
                .load(Field::LinkSource, SECOND)
                .load(Field::Ipv6Source, THIRD)
                .in_set(IPV6_SENDERS.name, true)
                .verdict(Verdict::Drop)
        })
        .rule("neighbours", |rule| {
            let rule = rule.message(ICMPV6, NEIGHBOUR_SOLICITATION).payload_is(WITHOUT_OPTION);
            rule.verdict(Verdict::Accept)
        })
        .rule("neighbours", |rule| {
            let rule = rule.message(ICMPV6, NEIGHBOUR_SOLICITATION).payload_is(WITH_OPTION);
            let rule = rule.load(Field::NeighbourOption, 0).equals(&SENDERS_ADDRESS);
            own(rule, Field::NeighbourHardwareAddress, Field::Ipv6Source).verdict(Verdict::Accept)
        })
        // A probe whether an address is free has no hardware address, only a nonce (RFC 7527).
        .rule("neighbours", |rule| {
            let rule = rule.message(ICMPV6, NEIGHBOUR_SOLICITATION).payload_is(WITH_OPTION);
            let rule = rule.load(Field::Ipv6Source, 0).equals(&unspecified);
            rule.verdict(Verdict::Accept)
        })
        .rule("neighbours", |rule| {
            let rule = rule.message(ICMPV6, NEIGHBOUR_ADVERTISEMENT).payload_is(WITHOUT_OPTION);
            own(rule, Field::LinkSource, Field::NeighbourTarget).verdict(Verdict::Accept)
        })
        .rule("neighbours", |rule| {
            let rule = rule.message(ICMPV6, NEIGHBOUR_ADVERTISEMENT).payload_is(WITH_OPTION);
            let rule = rule.load(Field::NeighbourOption, 0).equals(&TARGETS_ADDRESS);
            own(rule, Field::NeighbourHardwareAddress, Field::NeighbourTarget).verdict(Verdict::Accept)
        })
        .rule("neighbours", |rule| rule.verdict(Verdict::Drop))
}

/// The elements that this content needs, a set each.
pub(super) fn elements(content: &Content) -> [(Set, Vec<Element>); 7] {
    let stations = &content.stations;
    let mut elements = ALL.each_ref().map(|set| (*set, Vec::new()));
    let [senders, ports, loose, addresses, ipv6_senders, ipv6_loose, ipv6_addresses] = &mut elements;
    for station in stations {
        let port = interface_key(&station.interface);
        let mut mac = station.mac.bytes().to_vec();
        mac.resize(HARDWARE_ADDRESS_LENGTH as usize, 0);
        ports.1.push(Element::key(&[&port]));
        let send_from = |set: &mut (Set, Vec<Element>), address: IpAddr| {
            set.1.push(Element::key(&[&port, &mac, &octets(address)]));
        };
        for address in &station.addresses {
            let (senders, loose) = match address {
                IpAddr::V4(_) => {
                    send_from(senders, Ipv4Addr::UNSPECIFIED.into());
                    (&mut *senders, &mut *loose)
                }
                IpAddr::V6(_) => {
                    send_from(ipv6_senders, Ipv6Addr::UNSPECIFIED.into());
                    send_from(ipv6_senders, link_local(station.mac).into());
                    (&mut *ipv6_senders, &mut *ipv6_loose)
                }
            };
            send_from(senders, *address);
            if station.check == SourceCheck::Loose {
                loose.1.push(Element::key(&[&port, &mac]));
            }
        }
    }
    let gateways = content.networks.iter().flat_map(|network| &network.places).map(|place| place.address);
    for address in gateways.chain(stations.iter().flat_map(|station| station.addresses.iter().copied())) {
        let element = Element::key(&[&octets(address)]);
        match address {
            IpAddr::V4(_) => addresses.1.push(element),
            IpAddr::V6(_) => ipv6_addresses.1.push(element),
        }
    }
    elements
}
