//! The content of the engine's tables of IPv4 and IPv6, which are the same but for the length of addresses.
//!
//! ```text
//! set interfaces                     bridges, and interfaces beside them
//! set beside                         interfaces beside them alone
//! set routed                         an interface beside its bridge . its container's address
//! map gateways                       interface : the host's address on its network
//! set subnets                        addresses (intervals) of all networks
//! set masqueraded                    addresses (intervals) of networks with masquerading
//! map sources                        addresses (intervals) of such networks : the address of the host that they take
//! sets bridges, groups, bridge_group, group_bridge
//!                                    in and out: bridges by name, interfaces beside them by their group;
//!                                    of networks whose containers reach each other
//! set internal                       interfaces of internal networks
//! set unprotected                    bridges to which all ports are open from outside
//! set reachable                      address . protocol . port that are open from outside as they are
//! map published                      protocol . port           : address . port
//! map published_at                   address . protocol . port : address . port
//! set relayed                        protocol . port of the host's IPv6 that shims relay
//! set direct                         interface of the host . address . protocol . port that are open from there as they are
//! set openings                       from . to . protocol . port, for --icc=false
//!
//! chain publish                      to where a published port leads
//! chain prerouting, output (nat)     -> publish; nothing from outside to 127.0.0.0/8
//! chain postrouting (nat)            what gets the host's address as its source
//! chain forward (filter)             what may pass to and from containers
//! chain guard (filter, raw)          containers do not reach, or pretend to be, 127.0.0.0/8 or ::1,
//!                                    and interfaces beside the bridge take only their own address
//! ```
//! The rules are the same whatever networks there are; a network more is some elements more.
//! What ports of the bridge accept is in the table of the bridge's family, [`port_security`].
//!
//! Source addresses stay as they are, except where the answer would miss the host: a client on 127.0.0.1, and
//! a container that comes through the host's address to another or to itself. Both come from the bridge's
//! address then. What comes from outside passes to a container only by a published port or as an answer, also
//! when packets are routed to containers' addresses through this host. From one network to another packets
//! pass by published ports only. Nothing passes to or from an internal network.

use super::expression::{ESTABLISHED_OR_RELATED, Expressions, Field, Verdict};
use super::family::Family;
use super::sets::{
    BESIDE, BRIDGE_GROUP, BRIDGES, DIRECT, GATEWAYS, GROUP_BRIDGE, GROUPS, INTERFACES, INTERNAL,
    LINK_EXCEPTIONS, MASQUERADED, PUBLISHED, PUBLISHED_AT, REACHABLE, RELAYED, ROUTED, SOURCES, SUBNETS,
    UNPROTECTED,
};
use super::transaction::{Element, Hook, INTERFACE_NAME_LENGTH, Set, Transaction};
use super::{Content, Tables, port_security, sets};
use crate::endpoint::LINK_PREFIX;

// Hooks and priorities of linux/netfilter.h and linux/netfilter_ipv4.h.
const PREROUTING: Hook = Hook { kind: "nat", number: 0, priority: -100 };
const OUTPUT: Hook = Hook { kind: "nat", number: 3, priority: -100 };
const POSTROUTING: Hook = Hook { kind: "nat", number: 4, priority: 100 };
const FORWARD: Hook = Hook { kind: "filter", number: 2, priority: 0 };
const GUARD: Hook = Hook { kind: "filter", number: 0, priority: -300 };

/// Rebuilds the tables: their old content is removed in the same transaction.
pub(super) fn rebuild(tables: &Tables, content: &Content) -> Transaction {
    let mut transaction = Transaction::new(&tables.ip);
    for (family, table) in tables.routed() {
        transaction = transaction.about(table).table().delete_table().table();
        transaction = sets::ALL.iter().fold(transaction, |transaction, set| transaction.set(set));
        transaction = transaction
            .chain("publish", None)
            .chain("prerouting", Some(PREROUTING))
            .chain("output", Some(OUTPUT))
            .chain("postrouting", Some(POSTROUTING))
            .chain("forward", Some(FORWARD))
            .chain("guard", Some(GUARD));
        transaction = publish(transaction, family);
        transaction = guard(transaction, family);
        transaction = forward(postrouting(transaction, family), family);
    }
    let transaction = match &tables.bridge {
        Some(bridge) => port_security::rebuild(transaction.about(bridge)),
        None => transaction,
    };
    elements(transaction, tables, content, Transaction::add_elements)
}

/// Deletes the tables.
pub(super) fn delete(tables: &Tables) -> Transaction {
    let delete = |transaction: Transaction, table| transaction.about(table).table().delete_table();
    tables.all().fold(Transaction::new(&tables.ip), delete)
}

/// Adds elements.
pub(super) fn add(tables: &Tables, content: &Content) -> Transaction {
    elements(Transaction::new(&tables.ip), tables, content, Transaction::add_elements)
}

/// Removes elements.
pub(super) fn remove(tables: &Tables, content: &Content) -> Transaction {
    elements(Transaction::new(&tables.ip), tables, content, Transaction::remove_elements)
}

fn publish(transaction: Transaction, family: Family) -> Transaction {
    let address = family.address_words();
    let transaction = match family {
        Family::Ipv4 => transaction,
        // Bridged packets that pass the host's firewall lose the answers to what is translated from there.
        Family::Ipv6 => transaction.rule("output", |rule| {
            rule.within(family.destination(), family.loopback())
                .load(Field::TransportProtocol, 0)
                .load(Field::DestinationPort, 1)
                .in_set(RELAYED.name, false)
                .verdict(Verdict::Return)
        }),
    };
    transaction
        .rule("publish", |rule| {
            rule.load(family.destination(), 0)
                .load(Field::TransportProtocol, address)
                .load(Field::DestinationPort, address + 1)
                .map(PUBLISHED_AT.name)
                .translate_destination(family)
        })
        .rule("publish", |rule| {
            rule.to_this_host()
                .load(Field::TransportProtocol, 0)
                .load(Field::DestinationPort, 1)
                .map(PUBLISHED.name)
                .translate_destination(family)
        })
        // Translation comes before the kernel refuses such packets from outside.
        .rule("prerouting", |rule| {
            rule.within(family.destination(), family.loopback()).verdict(Verdict::Return)
        })
        .rule("prerouting", |rule| rule.verdict(Verdict::Jump("publish")))
        .rule("output", |rule| rule.verdict(Verdict::Jump("publish")))
}

fn postrouting(transaction: Transaction, family: Family) -> Transaction {
    transaction
        .rule("postrouting", |rule| {
            rule.within(family.source(), family.loopback())
                .load(Field::OutputInterface, 0)
                .map(GATEWAYS.name)
                .translate_source(family)
        })
        // From container to container by way of the host's address.
        .rule("postrouting", |rule| {
            rule.translated()
                .load(family.source(), 0)
                .in_set(SUBNETS.name, false)
                .load(Field::OutputInterface, 0)
                .map(GATEWAYS.name)
                .translate_source(family)
        })
        .rule("postrouting", |rule| {
            rule.output(INTERFACES.name, true)
                .load(family.source(), 0)
                .map(SOURCES.name)
                .translate_source(family)
        })
        .rule("postrouting", |rule| {
            rule.output(INTERFACES.name, true)
                .load(family.source(), 0)
                .in_set(MASQUERADED.name, false)
                .masquerade()
        })
}

fn forward(transaction: Transaction, family: Family) -> Transaction {
    let address = family.address_words();
    transaction
        // First, since it decides about nearly all packets, this host's other ones too.
        .rule("forward", |rule| rule.state(ESTABLISHED_OR_RELATED).verdict(Verdict::Accept))
        .rule("forward", |rule| {
            rule.input(INTERFACES.name, true).output(INTERFACES.name, true).verdict(Verdict::Accept)
        })
        .rule("forward", within_network(Field::InputInterface, Field::OutputInterface, &BRIDGES))
        .rule("forward", within_network(Field::InputGroup, Field::OutputGroup, &GROUPS))
        .rule("forward", within_network(Field::InputInterface, Field::OutputGroup, &BRIDGE_GROUP))
        .rule("forward", within_network(Field::InputGroup, Field::OutputInterface, &GROUP_BRIDGE))
        .rule("forward", |rule| {
            rule.input(INTERFACES.name, false)
                .load(family.source(), 0)
                .load(family.destination(), address)
                .load(Field::TransportProtocol, 2 * address)
                .load(Field::DestinationPort, 2 * address + 1)
                .in_set(LINK_EXCEPTIONS.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("forward", |rule| rule.input(INTERNAL.name, false).verdict(Verdict::Drop))
        .rule("forward", |rule| rule.output(INTERNAL.name, false).verdict(Verdict::Drop))
        .rule("forward", |rule| rule.translated().verdict(Verdict::Accept))
        .rule("forward", |rule| rule.output(INTERFACES.name, true).verdict(Verdict::Accept))
        .rule("forward", |rule| {
            rule.input(INTERFACES.name, true).output(UNPROTECTED.name, false).verdict(Verdict::Accept)
        })
        .rule("forward", |rule| {
            rule.load(family.destination(), 0)
                .load(Field::TransportProtocol, address)
                .load(Field::DestinationPort, address + 1)
                .in_set(REACHABLE.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("forward", |rule| {
            rule.load(Field::InputInterface, 0)
                .load(family.destination(), INTERFACE_NAME_LENGTH / 4)
                .load(Field::TransportProtocol, INTERFACE_NAME_LENGTH / 4 + address)
                .load(Field::DestinationPort, INTERFACE_NAME_LENGTH / 4 + address + 1)
                .in_set(DIRECT.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("forward", |rule| rule.verdict(Verdict::Drop))
}

/// Lets packets pass whose interfaces in and out are together in the set, so within one network.
fn within_network(
    input: Field,
    output: Field,
    set: &'static Set,
) -> impl FnOnce(sys::netlink::Message) -> sys::netlink::Message {
    let second = if input == Field::InputInterface { INTERFACE_NAME_LENGTH / 4 } else { 1 };
    move |rule| rule.load(input, 0).load(output, second).in_set(set.name, false).verdict(Verdict::Accept)
}

fn guard(transaction: Transaction, family: Family) -> Transaction {
    let from_container = |field| {
        move |rule: sys::netlink::Message| {
            // The address first: comparing it is cheaper than the look-up of the interface.
            rule.within(field, family.loopback()).input(INTERFACES.name, false).verdict(Verdict::Drop)
        }
    };
    transaction
        // What a shim relays is reached through this host, which an internal network does not.
        .rule("guard", |rule| {
            rule.input(INTERNAL.name, false)
                .to_this_host()
                .load(Field::TransportProtocol, 0)
                .load(Field::DestinationPort, 1)
                .in_set(RELAYED.name, false)
                .verdict(Verdict::Drop)
        })
        .rule("guard", from_container(family.destination()))
        .rule("guard", from_container(family.source()))
        // An interface beside the bridge takes from its container what comes from its own address. The
        // beginning of the name first: it spares other packets of the host the look into the sets.
        .rule("guard", |rule| {
            rule.load(Field::InputInterface, 0)
                .equals(LINK_PREFIX.as_bytes())
                .in_set(BESIDE.name, false)
                .load(family.source(), 4)
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
    for (family, table) in tables.routed() {
        transaction = transaction.about(table);
        for (set, elements) in sets::elements(content, family) {
            if !elements.is_empty() {
                transaction = change(transaction, set.name, &elements);
            }
        }
    }
    let Some(bridge) = &tables.bridge else { return transaction };
    transaction = transaction.about(bridge);
    for (set, elements) in port_security::elements(content) {
        if !elements.is_empty() {
            transaction = change(transaction, set.name, &elements);
        }
    }
    transaction
}
