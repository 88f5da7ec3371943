//! The rules by which containers' packets pass a chain of the host that would drop them.
//!
//! The engine's own bridges and the interfaces beside them have groups that begin alike ([`CONTAINERS`]), so two rules are
//! enough for all networks. Other bridges keep their group: each has two rules by its name. A kernel without iptables'
//! match `devgroup` (CONFIG_NETFILTER_XT_MATCH_DEVGROUP) has four rules a network.

use super::expression::{Direction, Expressions, Field, Groups, Verdict};
use super::family::Family;
use super::transaction::Transaction;
use super::{HostPlace, Layout};
use crate::endpoint::LINK_PREFIX;

/// The groups of the engine's own bridges and of containers' interfaces on the host (`network/group.rs`).
pub(crate) const CONTAINERS: Groups = Groups { group: 0xbc00_0000, mask: 0xfc00_0000 };

/// How the chain matches interfaces of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnownBy {
    Group,
    Name,
}

/// The packets that two rules let pass, one a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passing<'n> {
    /// Packets of all networks.
    Groups,
    /// Those of this bridge.
    Bridge(&'n Layout),
    /// Those of interfaces beside it, matched by the beginning of their names and by the addresses of the
    /// network.
    Beside(&'n Layout, HostPlace),
}

/// Rules that one [`Passing`] takes.
pub(super) const RULES: usize = 2;

impl Passing<'_> {
    /// The number of the network that alone needs it.
    pub(super) const fn network(&self) -> Option<u32> {
        match self {
            Self::Groups => None,
            Self::Bridge(network) | Self::Beside(network, _) => Some(network.number),
        }
    }

    /// Appends the rules to the chain.
    pub(super) fn append(
        self,
        transaction: Transaction,
        (chain, comment): (&str, &[u8]),
        family: Family,
    ) -> Transaction {
        let directions = [
            (Direction::Input, Field::InputInterface, family.source()),
            (Direction::Output, Field::OutputInterface, family.destination()),
        ];
        directions.into_iter().fold(transaction, |transaction, (direction, interface, address)| {
            transaction.commented_rule(chain, comment, |rule| {
                let rule = match self {
                    Self::Groups => rule.by_group(direction, CONTAINERS),
                    // iptables spells a whole name with its final zero, and a beginning (`bt+`) without.
                    Self::Bridge(network) => {
                        rule.load(interface, 0).equals(format!("{}\0", network.bridge).as_bytes())
                    }
                    Self::Beside(_, place) => rule
                        .load(interface, 0)
                        .equals(LINK_PREFIX.as_bytes())
                        .within(address, (place.address, place.prefix_length)),
                };
                rule.counter().verdict(Verdict::Accept)
            })
        })
    }
}

/// The rules of one network in addition to those for all of them.
pub(super) fn of_network(network: &Layout, family: Family, known_by: KnownBy) -> Vec<Passing<'_>> {
    let place = network.places.iter().find(|place| Family::of(place.address) == family);
    match (place, known_by) {
        (None, _) => Vec::new(),
        (Some(_), KnownBy::Group) if network.has_own_bridge => Vec::new(),
        (Some(_), KnownBy::Group) => vec![Passing::Bridge(network)],
        (Some(place), KnownBy::Name) => vec![Passing::Bridge(network), Passing::Beside(network, *place)],
    }
}

/// The rules for all these networks.
pub(super) fn of_all(networks: &[Layout], family: Family, known_by: KnownBy) -> Vec<Passing<'_>> {
    let of_all = match known_by {
        KnownBy::Group => Some(Passing::Groups),
        KnownBy::Name => None,
    };
    let of_each = networks.iter().flat_map(|network| of_network(network, family, known_by));
    of_all.into_iter().chain(of_each).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use sys::netlink::{Protocol, Socket};

    use super::super::transaction::{Hook, Table};
    use super::*;
    use crate::publishing::GatewayMode;

    fn network(number: u32, has_own_bridge: bool) -> Layout {
        let address = IpAddr::from([10, 1, 0, 1]);
        let place = HostPlace {
            address,
            prefix_length: 24,
            masquerade: true,
            source: None,
            mode: GatewayMode::Translated,
        };
        Layout {
            number,
            bridge: format!("br{number}"),
            group: CONTAINERS.group | number,
            places: vec![place],
            communicate: true,
            internal: false,
            has_own_bridge,
        }
    }

    #[test]
    fn own_bridges_need_the_same_rules_however_many_there_are() {
        let own: Vec<_> = (0..1000).map(|number| network(number, true)).collect();
        assert_eq!(of_all(&own, Family::Ipv4, KnownBy::Group), [Passing::Groups]);
        let shared = network(7, false);
        assert_eq!(of_network(&shared, Family::Ipv4, KnownBy::Group), [Passing::Bridge(&shared)]);
        assert!(of_network(&shared, Family::Ipv6, KnownBy::Group).is_empty());
        assert_eq!(of_all(&own, Family::Ipv4, KnownBy::Name).len(), 2000);
    }

    /// Needs root.
    #[test]
    fn the_kernel_takes_the_rules_of_both_kinds() {
        let run = || {
            sys::network_namespace::unshare().expect("root may unshare");
            let mut socket = Socket::open(Protocol::Netfilter).expect("a socket");
            let networks = [network(1, true), network(2, false)];
            let forward = Hook { kind: "filter", number: 2, priority: 0 };
            let table = Table { family: Family::Ipv4.number(), name: "filter".to_owned() };
            let made = Transaction::new(&table).table().chain("FORWARD", Some(forward));
            [KnownBy::Group, KnownBy::Name]
                .into_iter()
                .flat_map(|known_by| of_all(&networks, Family::Ipv4, known_by))
                .fold(made, |made, passing| passing.append(made, ("FORWARD", &[0, 2, b'x', 0]), Family::Ipv4))
                .commit(&mut socket)
                .expect("committed");
        };
        std::thread::spawn(run).join().expect("the thread ends well");
    }
}
