//! The sets and maps of the tables of IPv4 and IPv6, and the elements that networks and endpoints have in
//! them.

use std::net::IpAddr;

use super::family::Family;
use super::transaction::{Element, INTERFACE_NAME_LENGTH, Part, Set};
use super::{Beside, Content, DirectPort, HostPlace, Layout};
use crate::endpoint::LinkException;
use crate::family::{Address, octets};
use crate::port::{Port, PublishedPort};
use crate::publishing::GatewayMode;
use crate::subnet::Subnet;

pub(super) const INTERFACES: Set = Set::of("interfaces", 1, &[Part::InterfaceName]);
pub(super) const PUBLISHED: Set =
    Set::of("published", 2, &[Part::Protocol, Part::Service]).to(&[Part::Address, Part::Service]);
pub(super) const PUBLISHED_AT: Set =
    Set::of("published_at", 3, &[Part::Address, Part::Protocol, Part::Service])
        .to(&[Part::Address, Part::Service]);
pub(super) const LINK_EXCEPTIONS: Set =
    Set::of("openings", 4, &[Part::Address, Part::Address, Part::Protocol, Part::Service]);
pub(super) const ROUTED: Set = Set::of("routed", 5, &[Part::InterfaceName, Part::Address]);
pub(super) const GATEWAYS: Set = Set::of("gateways", 10, &[Part::InterfaceName]).to(&[Part::Address]);
pub(super) const SUBNETS: Set = Set::of("subnets", 11, &[Part::Address]).of_intervals();
pub(super) const MASQUERADED: Set = Set::of("masqueraded", 12, &[Part::Address]).of_intervals();
pub(super) const BRIDGES: Set = Set::of("bridges", 13, &[Part::InterfaceName, Part::InterfaceName]);
pub(super) const GROUPS: Set = Set::of("groups", 14, &[Part::Group, Part::Group]);
pub(super) const BRIDGE_GROUP: Set = Set::of("bridge_group", 15, &[Part::InterfaceName, Part::Group]);
pub(super) const GROUP_BRIDGE: Set = Set::of("group_bridge", 16, &[Part::Group, Part::InterfaceName]);
pub(super) const INTERNAL: Set = Set::of("internal", 17, &[Part::InterfaceName]);
pub(super) const UNPROTECTED: Set = Set::of("unprotected", 18, &[Part::InterfaceName]);
pub(super) const REACHABLE: Set = Set::of("reachable", 19, &[Part::Address, Part::Protocol, Part::Service]);
pub(super) const BESIDE: Set = Set::of("beside", 22, &[Part::InterfaceName]);
pub(super) const SOURCES: Set = Set::of("sources", 23, &[Part::Address]).of_intervals().to(&[Part::Address]);
pub(super) const RELAYED: Set = Set::of("relayed", 20, &[Part::Protocol, Part::Service]);
pub(super) const DIRECT: Set =
    Set::of("direct", 21, &[Part::InterfaceName, Part::Address, Part::Protocol, Part::Service]);

/// All of them.
pub(super) const ALL: [Set; 19] = [
    BESIDE,
    SOURCES,
    INTERFACES,
    ROUTED,
    GATEWAYS,
    SUBNETS,
    MASQUERADED,
    BRIDGES,
    GROUPS,
    BRIDGE_GROUP,
    GROUP_BRIDGE,
    INTERNAL,
    UNPROTECTED,
    PUBLISHED,
    PUBLISHED_AT,
    REACHABLE,
    RELAYED,
    DIRECT,
    LINK_EXCEPTIONS,
];

/// Published ports with the addresses that they lead to.
type Ports<'p> = Vec<&'p (PublishedPort, IpAddr)>;

/// The elements of the table of one family, a set each.
pub(super) fn elements(content: &Content, family: Family) -> [(&'static Set, Vec<Element>); 19] {
    let of_family = |address: IpAddr| Family::of(address) == family;
    let networks: Vec<_> = content
        .networks
        .iter()
        .flat_map(|network| network.places.iter().map(move |place| (network, place)))
        .filter(|(_, place)| of_family(place.address))
        .collect();
    let beside: Vec<_> = content
        .interfaces
        .iter()
        .filter_map(|interface| Some((interface, interface.place(family)?)))
        .collect();
    let bridges = networks.iter().map(|(network, place)| (&network.bridge, place.address));
    let besides = beside.iter().map(|(beside, place)| (&beside.interface, place.gateway));
    let interfaces: Vec<_> =
        bridges.chain(besides).map(|(interface, gateway)| (interface_key(interface), gateway)).collect();
    let internal =
        networks.iter().filter(|(network, _)| network.internal).map(|(network, _)| &network.bridge);
    let internal = internal.chain(
        beside.iter().filter(|(interface, _)| interface.internal).map(|(beside, _)| &beside.interface),
    );
    let unprotected =
        networks.iter().filter(|(_, place)| place.mode == GatewayMode::Unprotected).map(|(it, _)| &it.bridge);
    let (with_source, masqueraded): (Vec<_>, Vec<_>) =
        networks.iter().filter(|(_, place)| place.masquerade).partition(|(_, place)| place.source.is_some());
    let named = |interface: &String| Element::key(&[&interface_key(interface)]);
    let [bridge, group, bridge_group, group_bridge] =
        communicating(networks.iter().map(|(network, _)| *network));
    let ports = content.ports.iter().filter(|(_, address)| of_family(*address));
    let (reachable, ports): (Ports<'_>, Ports<'_>) = ports.partition(|(port, _)| port.host_port == 0);
    let (anywhere, at_address): (Ports<'_>, Ports<'_>) =
        ports.into_iter().partition(|(port, _)| port.host_ip.is_unspecified());
    let relayed = content.relayed.iter().filter(|port| of_family(port.host_ip));
    let direct = content.direct.iter().filter(|port| of_family(port.address));
    let exceptions = content.exceptions.iter().filter(|exception| of_family(exception.to));
    [
        (&BESIDE, beside.iter().map(|(beside, _)| named(&beside.interface)).collect()),
        (&SOURCES, with_source.into_iter().flat_map(|(_, it)| source(it)).collect()),
        (&INTERFACES, interfaces.iter().map(|(interface, _)| Element::key(&[interface])).collect()),
        (&ROUTED, beside.iter().map(|(beside, place)| routed(beside, place.address)).collect()),
        (
            &GATEWAYS,
            interfaces
                .iter()
                .map(|(interface, gateway)| Element::key(&[interface]).with(&octets(*gateway)))
                .collect(),
        ),
        (&SUBNETS, networks.iter().flat_map(|(_, it)| interval(it.address, it.prefix_length)).collect()),
        (
            &MASQUERADED,
            masqueraded.into_iter().flat_map(|(_, it)| interval(it.address, it.prefix_length)).collect(),
        ),
        (&BRIDGES, bridge),
        (&GROUPS, group),
        (&BRIDGE_GROUP, bridge_group),
        (&GROUP_BRIDGE, group_bridge),
        (&INTERNAL, internal.map(named).collect()),
        (&UNPROTECTED, unprotected.map(named).collect()),
        (&PUBLISHED, anywhere.into_iter().map(published).collect()),
        (&PUBLISHED_AT, at_address.into_iter().map(published_at).collect()),
        (&REACHABLE, reachable.into_iter().map(|(port, at)| place_of(*at, port.container)).collect()),
        (&RELAYED, relayed.map(|port| Element::key(&[&host_port(port)])).collect()),
        (&DIRECT, direct.map(direct_port).collect()),
        (&LINK_EXCEPTIONS, exceptions.map(exception).collect()),
    ]
}

/// By what packets come in and leave that stay within one of these networks, where its containers
/// may reach each other.
fn communicating<'n>(networks: impl Iterator<Item = &'n Layout>) -> [Vec<Element>; 4] {
    let mut elements = [const { Vec::new() }; 4];
    for network in networks.filter(|network| network.communicate) {
        let (bridge, group) = (interface_key(&network.bridge), network.group.to_ne_bytes());
        let keys: [[&[u8]; 2]; 4] =
            [[&bridge, &bridge], [&group, &group], [&bridge, &group], [&group, &bridge]];
        for (elements, key) in elements.iter_mut().zip(keys) {
            elements.push(Element::key(&key));
        }
    }
    elements
}

/// A network's addresses: the first one, and the one behind the last, if there is one.
fn interval(address: IpAddr, prefix_length: u8) -> Vec<Element> {
    fn of<A: Address>(subnet: Subnet<A>) -> Vec<Element> {
        let bytes = |address: A| octets(address.into());
        let behind = subnet.last().number().checked_add(1).filter(|behind| {
            // The last address of all has none behind it.
            A::from_number(*behind).number() == *behind
        });
        let behind = behind.map(|behind| Element {
            key: bytes(A::from_number(behind)),
            ends_interval: true,
            ..Element::default()
        });
        std::iter::once(Element::key(&[&bytes(subnet.base())])).chain(behind).collect()
    }
    match address {
        IpAddr::V4(address) => of(Subnet::containing(address, prefix_length)),
        IpAddr::V6(address) => of(Subnet::containing(address, prefix_length)),
    }
}

/// A network's addresses with that which its outbound connections take.
fn source(place: &HostPlace) -> Vec<Element> {
    let source = place.source.map(octets).unwrap_or_default();
    let with_source = |element: Element| match element.ends_interval {
        true => element,
        false => element.with(&source),
    };
    interval(place.address, place.prefix_length).into_iter().map(with_source).collect()
}

/// The name of an interface as a key has it.
pub(super) fn interface_key(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.resize(INTERFACE_NAME_LENGTH as usize, 0);
    key
}

fn routed(beside: &Beside, address: IpAddr) -> Element {
    Element::key(&[&interface_key(&beside.interface), &octets(address)])
}

/// A protocol or port as a key has it: at the front of four bytes.
fn word(bytes: &[u8]) -> [u8; 4] {
    let mut word = [0; 4];
    word[..bytes.len()].copy_from_slice(bytes);
    word
}

/// The protocol and port that clients come to.
fn host_port(port: &PublishedPort) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&word(&[port.container.protocol.number()]));
    key[4..].copy_from_slice(&word(&port.host_port.to_be_bytes()));
    key
}

fn published((port, address): &(PublishedPort, IpAddr)) -> Element {
    let data = [octets(*address), word(&port.container.number.to_be_bytes()).to_vec()].concat();
    Element::key(&[&host_port(port)]).with(&data)
}

fn direct_port(DirectPort { interface, address, port }: &DirectPort) -> Element {
    Element::key(&[&interface_key(interface), &place_of(*address, *port).key])
}

fn published_at(entry: &(PublishedPort, IpAddr)) -> Element {
    let Element { key, data, .. } = published(entry);
    Element { data, ..Element::key(&[&octets(entry.0.host_ip), &key]) }
}

fn place_of(address: IpAddr, port: Port) -> Element {
    Element::key(&[&octets(address), &word(&[port.protocol.number()]), &word(&port.number.to_be_bytes())])
}

fn exception(exception: &LinkException) -> Element {
    let place = place_of(exception.to, exception.port);
    Element::key(&[&octets(exception.from), &place.key])
}
