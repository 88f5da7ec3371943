//! What the engine's table says.
//!
//! ```text
//! set links                          bridges, and links beside them
//! set routed                         a link beside its bridge . its container's address
//! map gateways                       link : the host's address on its network
//! set subnets                        addresses (intervals) of all networks
//! set masqueraded                    addresses (intervals) of networks with masquerading
//! sets bridges, groups, bridge_group, group_bridge
//!                                    in and out: bridges by name, links beside them by their group;
//!                                    of networks whose containers reach each other
//! set internal                       links of internal networks
//! set unprotected                    bridges to which all ports are open from outside
//! map published                      protocol . port           : address . port
//! map published_at                   address . protocol . port : address . port
//! set openings                       from . to . protocol . port, for --icc=false
//!
//! chain publish                      to where a published port leads
//! chain prerouting, output (nat)     -> publish; nothing from outside to 127.0.0.0/8
//! chain postrouting (nat)            who gets the host's address as its source
//! chain forward (filter)             what may pass to and from containers
//! chain guard (filter, raw)          containers do not reach, or pretend to be, 127.0.0.0/8, and
//!                                    links beside the bridge take only their own address
//! ```
//! The rules are the same whatever networks there are; a network more is some elements more.
//! What ports of the bridge take is in the table of the bridge's family, [`port_security`].
//!
//! Source addresses stay as they are, but where the answer would miss the host: a client on
//! 127.0.0.1, and a container that comes through the host's address to another or to itself.
//! Both come from the bridge's address then.
//! What comes from outside passes to a container only by a published port or as an answer, also
//! when somebody routes to containers' addresses through this host. From one network to another
//! passes nothing but by published ports. Nothing passes to or from an internal network.

use super::expression::{ESTABLISHED_OR_RELATED, Expressions, Field, Verdict};
use super::sets::{
    BRIDGE_GROUP, BRIDGES, GATEWAYS, GROUP_BRIDGE, GROUPS, INTERNAL, LINK_EXCEPTIONS, LINK_NAME_LENGTH,
    LINKS, MASQUERADED, PUBLISHED, PUBLISHED_AT, ROUTED, SUBNETS, UNPROTECTED,
};
use super::transaction::{Element, Hook, Set, Transaction};
use super::{Content, Tables, port_security, sets};
use crate::endpoint::LINK_PREFIX;
use crate::subnet::Subnet;

// Hooks and priorities of linux/netfilter.h and linux/netfilter_ipv4.h.
const PREROUTING: Hook = Hook { kind: "nat", number: 0, priority: -100 };
const OUTPUT: Hook = Hook { kind: "nat", number: 3, priority: -100 };
const POSTROUTING: Hook = Hook { kind: "nat", number: 4, priority: 100 };
const FORWARD: Hook = Hook { kind: "filter", number: 2, priority: 0 };
const GUARD: Hook = Hook { kind: "filter", number: 0, priority: -300 };

/// Makes the tables anew: whatever was in them goes in the same transaction.
pub(super) fn rebuild(tables: &Tables, content: &Content) -> Transaction {
    let transaction = Transaction::new(&tables.ip).table().delete_table().table();
    let transaction = sets::ALL.iter().fold(transaction, |transaction, set| transaction.set(set));
    let transaction = transaction
        .chain("publish", None)
        .chain("prerouting", Some(PREROUTING))
        .chain("output", Some(OUTPUT))
        .chain("postrouting", Some(POSTROUTING))
        .chain("forward", Some(FORWARD))
        .chain("guard", Some(GUARD));
    let transaction = forward(postrouting(guard(publish(transaction))));
    let transaction = match &tables.bridge {
        Some(bridge) => port_security::rebuild(transaction.about(bridge)),
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

fn postrouting(transaction: Transaction) -> Transaction {
    transaction
        .rule("postrouting", |rule| {
            rule.within(Field::Source, loopback())
                .load(Field::OutputLink, 0)
                .map(GATEWAYS.name)
                .translate_source()
        })
        // From container to container by way of the host's address.
        .rule("postrouting", |rule| {
            rule.translated()
                .load(Field::Source, 0)
                .in_set(SUBNETS.name, false)
                .load(Field::OutputLink, 0)
                .map(GATEWAYS.name)
                .translate_source()
        })
        .rule("postrouting", |rule| {
            rule.output(LINKS.name, true).load(Field::Source, 0).in_set(MASQUERADED.name, false).masquerade()
        })
}

fn forward(transaction: Transaction) -> Transaction {
    transaction
        // First, since it decides about nearly all packets, this host's other ones too.
        .rule("forward", |rule| rule.state(ESTABLISHED_OR_RELATED).verdict(Verdict::Accept))
        .rule("forward", |rule| {
            rule.input(LINKS.name, true).output(LINKS.name, true).verdict(Verdict::Accept)
        })
        .rule("forward", within_network(Field::InputLink, Field::OutputLink, &BRIDGES))
        .rule("forward", within_network(Field::InputGroup, Field::OutputGroup, &GROUPS))
        .rule("forward", within_network(Field::InputLink, Field::OutputGroup, &BRIDGE_GROUP))
        .rule("forward", within_network(Field::InputGroup, Field::OutputLink, &GROUP_BRIDGE))
        .rule("forward", |rule| {
            rule.input(LINKS.name, false)
                .load(Field::Source, 0)
                .load(Field::Destination, 1)
                .load(Field::TransportProtocol, 2)
                .load(Field::DestinationPort, 3)
                .in_set(LINK_EXCEPTIONS.name, false)
                .verdict(Verdict::Accept)
        })
        .rule("forward", |rule| rule.input(INTERNAL.name, false).verdict(Verdict::Drop))
        .rule("forward", |rule| rule.output(INTERNAL.name, false).verdict(Verdict::Drop))
        .rule("forward", |rule| rule.translated().verdict(Verdict::Accept))
        .rule("forward", |rule| rule.output(LINKS.name, true).verdict(Verdict::Accept))
        .rule("forward", |rule| {
            rule.input(LINKS.name, true).output(UNPROTECTED.name, false).verdict(Verdict::Accept)
        })
        .rule("forward", |rule| rule.verdict(Verdict::Drop))
}

/// Lets pass what comes in and leaves as the set says, so within one network.
fn within_network(
    input: Field,
    output: Field,
    set: &'static Set,
) -> impl FnOnce(sys::netlink::Message) -> sys::netlink::Message {
    let second = if input == Field::InputLink { LINK_NAME_LENGTH / 4 } else { 1 };
    move |rule| rule.load(input, 0).load(output, second).in_set(set.name, false).verdict(Verdict::Accept)
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
    transaction = transaction.about(&tables.ip);
    for (set, elements) in sets::elements(content) {
        if !elements.is_empty() {
            transaction = change(transaction, set.name, &elements);
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
