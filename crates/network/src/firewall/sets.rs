//! The sets and maps of the table of IPv4, and the elements that networks and endpoints have in them.

use super::transaction::{Element, Set};
use super::{Beside, Content, Layout};
use crate::endpoint::LinkException;
use crate::port::PublishedPort;

// nft's numbers of types; those of concatenations are joined by six bits.
pub(super) const ADDRESS: u32 = 7;
pub(super) const HARDWARE_ADDRESS: u32 = 9;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;
/// A group of links, in the machine's byte order.
const GROUP: u32 = 35;
pub(super) const LINK_NAME: u32 = 41;
/// `IFNAMSIZ`.
pub(super) const LINK_NAME_LENGTH: u32 = 16;

pub(super) const LINKS: Set = Set {
    name: "links",
    id: 1,
    key_type: LINK_NAME,
    key_length: LINK_NAME_LENGTH,
    in_host_order: true,
    has_intervals: false,
    data: None,
};
pub(super) const PUBLISHED: Set = Set {
    name: "published",
    id: 2,
    key_type: PROTOCOL << 6 | SERVICE,
    key_length: 8,
    in_host_order: false,
    has_intervals: false,
    data: Some((ADDRESS << 6 | SERVICE, 8)),
};
pub(super) const PUBLISHED_AT: Set = Set {
    name: "published_at",
    id: 3,
    key_type: ADDRESS << 12 | PROTOCOL << 6 | SERVICE,
    key_length: 12,
    in_host_order: false,
    has_intervals: false,
    data: Some((ADDRESS << 6 | SERVICE, 8)),
};
pub(super) const LINK_EXCEPTIONS: Set = Set {
    name: "openings",
    id: 4,
    key_type: ADDRESS << 18 | ADDRESS << 12 | PROTOCOL << 6 | SERVICE,
    key_length: 16,
    in_host_order: false,
    has_intervals: false,
    data: None,
};

pub(super) const ROUTED: Set = Set {
    name: "routed",
    id: 5,
    key_type: LINK_NAME << 6 | ADDRESS,
    key_length: LINK_NAME_LENGTH + 4,
    in_host_order: false,
    has_intervals: false,
    data: None,
};

pub(super) const GATEWAYS: Set = Set {
    name: "gateways",
    id: 10,
    key_type: LINK_NAME,
    key_length: LINK_NAME_LENGTH,
    in_host_order: true,
    has_intervals: false,
    data: Some((ADDRESS, 4)),
};
pub(super) const SUBNETS: Set = Set {
    name: "subnets",
    id: 11,
    key_type: ADDRESS,
    key_length: 4,
    in_host_order: false,
    has_intervals: true,
    data: None,
};
pub(super) const MASQUERADED: Set = Set {
    name: "masqueraded",
    id: 12,
    key_type: ADDRESS,
    key_length: 4,
    in_host_order: false,
    has_intervals: true,
    data: None,
};
pub(super) const BRIDGES: Set = Set {
    name: "bridges",
    id: 13,
    key_type: LINK_NAME << 6 | LINK_NAME,
    key_length: 2 * LINK_NAME_LENGTH,
    in_host_order: false,
    has_intervals: false,
    data: None,
};
pub(super) const GROUPS: Set = Set {
    name: "groups",
    id: 14,
    key_type: GROUP << 6 | GROUP,
    key_length: 8,
    in_host_order: false,
    has_intervals: false,
    data: None,
};
pub(super) const BRIDGE_GROUP: Set = Set {
    name: "bridge_group",
    id: 15,
    key_type: LINK_NAME << 6 | GROUP,
    key_length: LINK_NAME_LENGTH + 4,
    in_host_order: false,
    has_intervals: false,
    data: None,
};
pub(super) const GROUP_BRIDGE: Set = Set {
    name: "group_bridge",
    id: 16,
    key_type: GROUP << 6 | LINK_NAME,
    key_length: 4 + LINK_NAME_LENGTH,
    in_host_order: false,
    has_intervals: false,
    data: None,
};

pub(super) const INTERNAL: Set = Set {
    name: "internal",
    id: 17,
    key_type: LINK_NAME,
    key_length: LINK_NAME_LENGTH,
    in_host_order: true,
    has_intervals: false,
    data: None,
};
pub(super) const UNPROTECTED: Set = Set {
    name: "unprotected",
    id: 18,
    key_type: LINK_NAME,
    key_length: LINK_NAME_LENGTH,
    in_host_order: true,
    has_intervals: false,
    data: None,
};

/// All of them.
pub(super) const ALL: [Set; 14] = [
    LINKS,
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
    LINK_EXCEPTIONS,
];

/// The elements of the table of IPv4, a set each.
pub(super) fn elements(content: &Content) -> [(&'static Set, Vec<Element>); 14] {
    let (anywhere, at_address): (Vec<_>, Vec<_>) =
        content.ports.iter().partition(|(port, _)| port.host_ip.is_unspecified());
    let networks = &content.networks;
    let bridges = networks.iter().map(|network| (network.bridge.as_str(), network.address.address));
    let beside = content.links.iter().map(|beside| (beside.link.as_str(), beside.gateway));
    let links: Vec<_> = bridges.chain(beside).map(|(link, gateway)| (link_key(link), gateway)).collect();
    let internal = networks.iter().filter(|network| network.internal).map(|network| &network.bridge);
    let internal = internal.chain(content.links.iter().filter(|link| link.internal).map(|link| &link.link));
    let unprotected = networks.iter().filter(|network| network.unprotected).map(|network| &network.bridge);
    let named = |link: &String| Element::key(&[&link_key(link)]);
    let [bridge, group, bridge_group, group_bridge] = communicating(networks);
    [
        (&LINKS, links.iter().map(|(link, _)| Element::key(&[link])).collect()),
        (&ROUTED, content.links.iter().map(routed).collect()),
        (
            &GATEWAYS,
            links.iter().map(|(link, gateway)| Element::key(&[link]).with(&gateway.octets())).collect(),
        ),
        (&SUBNETS, networks.iter().flat_map(interval).collect()),
        (&MASQUERADED, networks.iter().filter(|network| network.masquerade).flat_map(interval).collect()),
        (&BRIDGES, bridge),
        (&GROUPS, group),
        (&BRIDGE_GROUP, bridge_group),
        (&GROUP_BRIDGE, group_bridge),
        (&INTERNAL, internal.map(named).collect()),
        (&UNPROTECTED, unprotected.map(named).collect()),
        (&PUBLISHED, anywhere.into_iter().map(published).collect()),
        (&PUBLISHED_AT, at_address.into_iter().map(published_at).collect()),
        (&LINK_EXCEPTIONS, content.exceptions.iter().map(exception).collect()),
    ]
}

/// By what packets come in and leave that stay within one of these networks, where its containers
/// may reach each other.
fn communicating(networks: &[Layout]) -> [Vec<Element>; 4] {
    let mut elements = [const { Vec::new() }; 4];
    for network in networks.iter().filter(|network| network.communicate) {
        let (bridge, group) = (link_key(&network.bridge), network.group.to_ne_bytes());
        let keys: [[&[u8]; 2]; 4] =
            [[&bridge, &bridge], [&group, &group], [&bridge, &group], [&group, &bridge]];
        for (elements, key) in elements.iter_mut().zip(keys) {
            elements.push(Element::key(&key));
        }
    }
    elements
}

/// A network's addresses: the first one, and the one behind the last, if there is one.
fn interval(layout: &Layout) -> Vec<Element> {
    let subnet = layout.address.subnet();
    let behind = u32::from(subnet.last()).checked_add(1).map(|behind| Element {
        key: behind.to_be_bytes().to_vec(),
        ends_interval: true,
        ..Element::default()
    });
    std::iter::once(Element::key(&[&subnet.base().octets()])).chain(behind).collect()
}

/// The name of a link as a key has it.
pub(super) fn link_key(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.resize(LINK_NAME_LENGTH as usize, 0);
    key
}

fn routed(beside: &Beside) -> Element {
    Element::key(&[&link_key(&beside.link), &beside.address.octets()])
}

/// A protocol or port as a key has it: at the front of four bytes.
fn word(bytes: &[u8]) -> [u8; 4] {
    let mut word = [0; 4];
    word[..bytes.len()].copy_from_slice(bytes);
    word
}

fn published((port, address): &(PublishedPort, std::net::Ipv4Addr)) -> Element {
    let protocol = word(&[port.container.protocol.number()]);
    let data = [address.octets(), word(&port.container.number.to_be_bytes())].concat();
    Element::key(&[&protocol, &word(&port.host_port.to_be_bytes())]).with(&data)
}

fn published_at(entry: &(PublishedPort, std::net::Ipv4Addr)) -> Element {
    let Element { key, data, .. } = published(entry);
    Element { data, ..Element::key(&[&entry.0.host_ip.octets(), &key]) }
}

fn exception(exception: &LinkException) -> Element {
    Element::key(&[
        &exception.from.octets(),
        &exception.to.octets(),
        &word(&[exception.port.protocol.number()]),
        &word(&exception.port.number.to_be_bytes()),
    ])
}
