//! What the engine's table says.
//!
//! ```text
//! set links                          the bridge, and links beside it
//! map published                      protocol . port           : address . port
//! map published_at                   address . protocol . port : address . port
//! set openings                       from . to . protocol . port, for --icc=false
//! set routed                         a link beside the bridge . its container's address
//!
//! chain publish                      to where a published port leads
//! chain prerouting, output (nat)     -> publish; nothing from outside to 127.0.0.0/8
//! chain postrouting (nat)            who gets the host's address as its source
//! chain forward (filter)             what may pass to and from containers
//! chain guard (filter, raw)          containers do not reach, or pretend to be, 127.0.0.0/8, and
//!                                    links beside the bridge take only their own address
//! ```
//! What ports of the bridge take is in the table of the bridge's family, [`port_security`].
//!
//! Source addresses stay as they are, but where the answer would miss the host: a client on
//! 127.0.0.1, and a container that comes through the host's address to another or to itself.
//! Both come from the bridge's address then.
//! What comes from outside passes to a container only by a published port or as an answer, also
//! when somebody routes to containers' addresses through this host.

use super::expression::{ESTABLISHED_OR_RELATED, Expressions, Field, Verdict};
use super::transaction::{Element, Hook, Set, Transaction};
use super::{Content, Layout, Tables, port_security};
use crate::endpoint::{LINK_PREFIX, Opening};
use crate::port::PublishedPort;
use crate::subnet::Subnet;

// nft's numbers of types; those of concatenations are joined by six bits.
pub(super) const ADDRESS: u32 = 7;
pub(super) const HARDWARE_ADDRESS: u32 = 9;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;
pub(super) const LINK_NAME: u32 = 41;
/// `IFNAMSIZ`.
pub(super) const LINK_NAME_LENGTH: u32 = 16;

const LINKS: Set = Set {
    name: "links",
    id: 1,
    key_type: LINK_NAME,
    key_length: LINK_NAME_LENGTH,
    in_host_order: true,
    data: None,
};
const PUBLISHED: Set = Set {
    name: "published",
    id: 2,
    key_type: PROTOCOL << 6 | SERVICE,
    key_length: 8,
    in_host_order: false,
    data: Some((ADDRESS << 6 | SERVICE, 8)),
};
const PUBLISHED_AT: Set = Set {
    name: "published_at",
    id: 3,
    key_type: ADDRESS << 12 | PROTOCOL << 6 | SERVICE,
    key_length: 12,
    in_host_order: false,
    data: Some((ADDRESS << 6 | SERVICE, 8)),
};
const OPENINGS: Set = Set {
    name: "openings",
    id: 4,
    key_type: ADDRESS << 18 | ADDRESS << 12 | PROTOCOL << 6 | SERVICE,
    key_length: 16,
    in_host_order: false,
    data: None,
};

const ROUTED: Set = Set {
    name: "routed",
    id: 5,
    key_type: LINK_NAME << 6 | ADDRESS,
    key_length: LINK_NAME_LENGTH + 4,
    in_host_order: false,
    data: None,
};

// Hooks and priorities of linux/netfilter.h and linux/netfilter_ipv4.h.
const PREROUTING: Hook = Hook { kind: "nat", number: 0, priority: -100 };
const OUTPUT: Hook = Hook { kind: "nat", number: 3, priority: -100 };
const POSTROUTING: Hook = Hook { kind: "nat", number: 4, priority: 100 };
const FORWARD: Hook = Hook { kind: "filter", number: 2, priority: 0 };
const GUARD: Hook = Hook { kind: "filter", number: 0, priority: -300 };

/// Makes the tables anew: whatever was in them goes in the same transaction.
pub(super) fn rebuild(tables: &Tables, layout: &Layout, content: &Content) -> Transaction {
    let transaction = Transaction::new(&tables.ip)
        .table()
        .delete_table()
        .table()
        .set(&LINKS)
        .set(&PUBLISHED)
        .set(&PUBLISHED_AT)
        .set(&OPENINGS)
        .set(&ROUTED)
        .chain("publish", None)
        .chain("prerouting", Some(PREROUTING))
        .chain("output", Some(OUTPUT))
        .chain("postrouting", Some(POSTROUTING))
        .chain("forward", Some(FORWARD))
        .chain("guard", Some(GUARD));
    let transaction = guard(publish(transaction));
    let transaction = forward(postrouting(transaction, layout), layout);
    let transaction = transaction.add_elements(LINKS.name, &[link(&layout.bridge)]);
    let transaction = match &tables.bridge {
        Some(bridge) => port_security::rebuild(transaction.about(bridge), layout),
        None => transaction,
    };
    elements(transaction, tables, content, Transaction::add_elements)
}

/// Deletes the tables.
pub(super) fn delete(tables: &Tables) -> Transaction {
    let transaction = Transaction::new(&tables.ip).table().delete_table();
    match &tables.bridge {
        Some(bridge) => transaction.about(bridge).table().delete_table(),
        None => transaction,
    }
}

/// Adds elements.
pub(super) fn add(tables: &Tables, content: &Content) -> Transaction {
    elements(Transaction::new(&tables.ip), tables, content, Transaction::add_elements)
}

/// Removes elements.
pub(super) fn remove(tables: &Tables, content: &Content) -> Transaction {
    elements(Transaction::new(&tables.ip), tables, content, Transaction::remove_elements)
}

fn loopback() -> Subnet {
    Subnet::containing([127, 0, 0, 0].into(), 8)
}

fn publish(transaction: Transaction) -> Transaction {
    transaction
        .rule("publish", |rule| {
            rule.load(Field::Destination, 0)
                .load(Field::TransportProtocol, 1)
                .load(Field::DestinationPort, 2)
                .map(PUBLISHED_AT.name)
                .translate_destination()
        })
        .rule("publish", |rule| {
            rule.to_this_host()
                .load(Field::TransportProtocol, 0)
                .load(Field::DestinationPort, 1)
                .map(PUBLISHED.name)
                .translate_destination()
        })
        // Translation comes before the kernel refuses such packets from outside.
        .rule("prerouting", |rule| rule.within(Field::Destination, loopback()).verdict(Verdict::Return))
        .rule("prerouting", |rule| rule.verdict(Verdict::Jump("publish")))
        .rule("output", |rule| rule.verdict(Verdict::Jump("publish")))
}

fn postrouting(transaction: Transaction, layout: &Layout) -> Transaction {
    let subnet = layout.address.subnet();
    let gateway = layout.address.address;
    let transaction = transaction
        .rule("postrouting", |rule| {
            rule.output(LINKS.name, false).within(Field::Source, loopback()).translate_source(gateway)
        })
        .rule("postrouting", |rule| {
            rule.output(LINKS.name, false)
                .translated()
                .within(Field::Source, subnet)
                .translate_source(gateway)
        });
    if !layout.masquerade {
        return transaction;
    }
    transaction
        .rule("postrouting", |rule| rule.output(LINKS.name, true).within(Field::Source, subnet).masquerade())
}

fn forward(transaction: Transaction, layout: &Layout) -> Transaction {
    let transaction = transaction
        // First, since it decides about nearly all packets, this host's other ones too.
        .rule("forward", |rule| rule.state(ESTABLISHED_OR_RELATED).verdict(Verdict::Accept))
        .rule("forward", |rule| {
            rule.input(LINKS.name, true).output(LINKS.name, true).verdict(Verdict::Accept)
        })
        .rule("forward", |rule| rule.translated().verdict(Verdict::Accept))
        .rule("forward", |rule| rule.output(LINKS.name, true).verdict(Verdict::Accept));
    let between = |rule: sys::netlink::Message| rule.input(LINKS.name, false);
    let transaction = if layout.communicate {
        transaction.rule("forward", |rule| between(rule).verdict(Verdict::Accept))
    } else {
        transaction.rule("forward", |rule| {
            between(rule)
                .load(Field::Source, 0)
                .load(Field::Destination, 1)
                .load(Field::TransportProtocol, 2)
                .load(Field::DestinationPort, 3)
                .in_set(OPENINGS.name, false)
                .verdict(Verdict::Accept)
        })
    };
    transaction.rule("forward", |rule| rule.verdict(Verdict::Drop))
}

fn guard(transaction: Transaction) -> Transaction {
    let from_container = |field| {
        move |rule: sys::netlink::Message| {
            // The address first: comparing it is cheaper than looking the link up.
            rule.within(field, loopback()).input(LINKS.name, false).verdict(Verdict::Drop)
        }
    };
    transaction
        .rule("guard", from_container(Field::Destination))
        .rule("guard", from_container(Field::Source))
        // A link beside the bridge takes from its container what comes from its own address. The
        // beginning of the name first: it spares other packets of the host the look into the sets.
        .rule("guard", |rule| {
            rule.load(Field::InputLink, 0)
                .equals(LINK_PREFIX.as_bytes())
                .in_set(LINKS.name, false)
                .load(Field::Source, 4)
                .in_set(ROUTED.name, true)
                .verdict(Verdict::Drop)
        })
}

fn elements(
    mut transaction: Transaction,
    tables: &Tables,
    content: &Content,
    change: impl Fn(Transaction, &str, &[Element]) -> Transaction,
) -> Transaction {
    let (anywhere, at_address): (Vec<_>, Vec<_>) =
        content.ports.iter().partition(|(port, _)| port.host_ip.is_unspecified());
    let links: Vec<_> = content.links.iter().map(|(name, _)| link(name)).collect();
    let routed: Vec<_> = content.links.iter().map(|(name, address)| routed(name, *address)).collect();
    let anywhere: Vec<_> = anywhere.into_iter().map(published).collect();
    let at_address: Vec<_> = at_address.into_iter().map(published_at).collect();
    let openings: Vec<_> = content.openings.iter().map(opening).collect();
    let own = [
        (&LINKS, links),
        (&ROUTED, routed),
        (&PUBLISHED, anywhere),
        (&PUBLISHED_AT, at_address),
        (&OPENINGS, openings),
    ];
    transaction = transaction.about(&tables.ip);
    for (set, elements) in own {
        if !elements.is_empty() {
            transaction = change(transaction, set.name, &elements);
        }
    }
    let Some(bridge) = &tables.bridge else { return transaction };
    transaction = transaction.about(bridge);
    for (set, elements) in port_security::elements(&content.stations) {
        if !elements.is_empty() {
            transaction = change(transaction, set.name, &elements);
        }
    }
    transaction
}

fn link(name: &str) -> Element {
    (link_key(name), None)
}

/// The name of a link as a key has it.
pub(super) fn link_key(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.resize(LINK_NAME_LENGTH as usize, 0);
    key
}

fn routed(name: &str, address: std::net::Ipv4Addr) -> Element {
    ([link_key(name).as_slice(), &address.octets()].concat(), None)
}

/// A protocol or port as a key has it: at the front of four bytes.
fn word(bytes: &[u8]) -> [u8; 4] {
    let mut word = [0; 4];
    word[..bytes.len()].copy_from_slice(bytes);
    word
}

fn published((port, address): &(PublishedPort, std::net::Ipv4Addr)) -> Element {
    let key = [word(&[port.container.protocol.number()]), word(&port.host_port.to_be_bytes())].concat();
    let data = [address.octets(), word(&port.container.number.to_be_bytes())].concat();
    (key, Some(data))
}

fn published_at(entry: &(PublishedPort, std::net::Ipv4Addr)) -> Element {
    let (key, data) = published(entry);
    ([entry.0.host_ip.octets().as_slice(), &key].concat(), data)
}

fn opening(opening: &Opening) -> Element {
    let key = [
        opening.from.octets(),
        opening.to.octets(),
        word(&[opening.port.protocol.number()]),
        word(&opening.port.number.to_be_bytes()),
    ];
    (key.concat(), None)
}
