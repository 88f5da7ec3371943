//! The engine's own nf_tables tables: their content, and changing them in single transactions.
//!
//! The tables `ip berth` and `ip6 berth` ([`table`]) and `bridge berth` ([`port_security`]; `berth-<bridge>` for a
//! bridge of another name) consist of a few fixed rules over sets and maps, so that a container
//! more is an element more and costs the same however many there are. They are rebuilt whole when
//! the network opens.

mod conntrack;
mod content;
mod expression;
mod family;
mod host_rules;
mod passing;
mod port_security;
mod sets;
mod table;
mod transaction;

use std::net::IpAddr;

use rustix::io::Errno;
use sys::netlink::{Protocol as Subsystem, RequestError, Socket};

use crate::error::Error;
use crate::port::{Protocol, PublishedPort};
use content::Tables;
pub(crate) use content::{Beside, Content, DirectPort, HostPlace, Layout, Place};
use family::Family;
#[cfg(test)]
pub(crate) use passing::CONTAINERS;
use passing::KnownBy;
use transaction::Transaction;

/// The engine's tables and what changes them.
#[derive(Debug)]
pub(crate) struct Firewall {
    socket: Socket,
    tables: Tables,
    networks: Vec<Layout>,
    /// How many rules the tables have when they are whole.
    rules: usize,
    /// The families with rules of the engine in the host's chain.
    forwarding_on_host: Vec<Family>,
    /// How these rules match interfaces.
    known_by: KnownBy,
}

impl Firewall {
    /// Makes the tables with this content, replacing existing ones, in one transaction. They are named after
    /// the bridge of the first network, which is the default one.
    pub(crate) fn build(default_bridge: &str, content: &Content, has_ipv6: bool) -> Result<Self, Error> {
        let mut firewall = Self::unbuilt(default_bridge, content.networks.clone())?;
        if !has_ipv6 {
            firewall.delete_tables()?;
            firewall.tables.ipv6 = None;
        }
        firewall.with_what_there_is(|firewall| firewall.build_tables(content))?;
        Ok(firewall)
    }

    /// Acts with all tables, and where the kernel lacks a part of them with the others: which it lacks is found
    /// by trying the others alone.
    fn with_what_there_is(&mut self, act: impl Fn(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        let whole = self.tables.clone();
        let parts = [(true, true), (true, false), (false, true), (false, false)];
        let mut result = Ok(());
        for (has_ipv6, has_bridge) in parts {
            let Tables { ip, ipv6, bridge } = whole.clone();
            self.tables =
                Tables { ip, ipv6: ipv6.filter(|_| has_ipv6), bridge: bridge.filter(|_| has_bridge) };
            result = act(self);
            if !matches!(result, Err(Error::FirewallMissing { .. })) {
                break;
            }
        }
        result
    }

    fn build_tables(&mut self, content: &Content) -> Result<(), Error> {
        let transaction = table::rebuild(&self.tables, content);
        self.rules = transaction.rules();
        transaction.commit(&mut self.socket).map_err(missing_or_refused)
    }

    fn unbuilt(default_bridge: &str, networks: Vec<Layout>) -> Result<Self, Error> {
        let socket = Socket::open(Subsystem::Netfilter).map_err(|source| Error::Socket { source })?;
        let tables = Tables::of(default_bridge);
        Ok(Self {
            socket,
            tables,
            networks,
            rules: 0,
            forwarding_on_host: Vec::new(),
            known_by: KnownBy::Group,
        })
    }

    /// Adds a network and what its endpoints need.
    pub(crate) fn add_network(&mut self, layout: Layout, mut content: Content) -> Result<(), Error> {
        content.networks = vec![layout.clone()];
        self.add(&content)?;
        self.networks.push(layout.clone());
        self.forward_network_on_host(&layout)
    }

    /// Removes a network that has no endpoints.
    pub(crate) fn remove_network(&mut self, number: u32) -> Result<(), Error> {
        let gone: Vec<Layout> = self.networks.extract_if(.., |network| network.number == number).collect();
        let host = gone.iter().try_for_each(|network| self.stop_forwarding_network_on_host(network));
        let elements = self.withdraw(&Content { networks: gone, ..Content::default() });
        host.and(elements)
    }

    /// Whether containers cannot send from others' addresses.
    pub(crate) fn checks_sources(&self) -> bool {
        self.tables.bridge.is_some()
    }

    /// Removes what an earlier daemon made, where this one is to make nothing. A kernel without
    /// nf_tables has nothing of it.
    pub(crate) fn remove_left(default_bridge: &str) -> Result<(), Error> {
        let mut firewall = Self::unbuilt(default_bridge, Vec::new())?;
        match firewall.delete_tables() {
            Err(Error::FirewallMissing { .. }) => Ok(()),
            Ok(()) => firewall.stop_forwarding_on_host(),
            result => result,
        }
    }

    /// Deletes the tables, as far as the kernel has such.
    fn delete_tables(&mut self) -> Result<(), Error> {
        self.with_what_there_is(|firewall| {
            table::delete(&firewall.tables).commit(&mut firewall.socket).map_err(missing_or_refused)
        })
    }

    /// Rebuilds the tables with this content.
    pub(crate) fn rebuild(&mut self, mut content: Content) -> Result<(), Error> {
        content.networks.clone_from(&self.networks);
        self.commit(table::rebuild(&self.tables, &content))
    }

    /// Rebuilds the tables without a network that has no endpoints.
    pub(crate) fn rebuild_without(&mut self, number: u32, content: Content) -> Result<(), Error> {
        self.networks.retain(|network| network.number != number);
        self.rebuild(content)?;
        self.forward_on_host()
    }

    /// Whether all rules of the tables are there.
    pub(crate) fn is_whole(&mut self) -> Result<bool, Error> {
        Ok(self.present_rules()? == self.rules)
    }

    /// The number by which the kernel marks changes that come from here.
    pub(crate) fn port(&self) -> Option<u32> {
        self.socket.port().ok()
    }

    /// Adds elements.
    pub(crate) fn add(&mut self, content: &Content) -> Result<(), Error> {
        if content.is_empty() {
            return Ok(());
        }
        self.commit(table::add(&self.tables, content))
    }

    /// Removes elements; those that are gone already are no error.
    pub(crate) fn withdraw(&mut self, content: &Content) -> Result<(), Error> {
        if content.is_empty() {
            return Ok(());
        }
        match self.commit(table::remove(&self.tables, content)) {
            Err(Error::Firewall { source }) if source.is(Errno::NOENT) => {
                for element in content.single() {
                    match self.commit(table::remove(&self.tables, &element)) {
                        Err(Error::Firewall { source }) if source.is(Errno::NOENT) => {}
                        result => result?,
                    }
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Whether packets of IPv6 meet rules.
    pub(crate) fn has_ipv6(&self) -> bool {
        self.tables.ipv6.is_some()
    }

    /// Drops all tracked connections from and to a container.
    pub(crate) fn forget_address(&mut self, address: IpAddr) -> Result<(), Error> {
        conntrack::forget_address(&mut self.socket, address)
    }

    /// Drops all tracked connections to a published port of UDP, which has no connections that end.
    pub(crate) fn forget_packets(&mut self, port: &PublishedPort) -> Result<(), Error> {
        let protocol = port.container.protocol;
        if protocol != Protocol::Udp || port.host_port == 0 {
            return Ok(());
        }
        conntrack::forget_port(&mut self.socket, Family::of(port.host_ip), protocol, port.host_port)
    }

    /// Removes the tables and the rules in the host's own.
    pub(crate) fn remove(&mut self) -> Result<(), Error> {
        let host = self.stop_forwarding_on_host();
        let table = self.commit(table::delete(&self.tables));
        host.and(table)
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), Error> {
        transaction.commit(&mut self.socket).map_err(|source| Error::Firewall { source })
    }
}

/// An error of the first transaction means that the kernel lacks a feature.
fn missing_or_refused(source: RequestError) -> Error {
    let missing = [Errno::OPNOTSUPP, Errno::NOENT, Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT];
    if missing.into_iter().any(|number| source.is(number)) {
        Error::FirewallMissing { source }
    } else {
        Error::Firewall { source }
    }
}

#[cfg(test)]
mod tests {
    use sys::netlink::{Message, Socket};

    use super::expression::{ESTABLISHED_OR_RELATED, Expressions};
    use super::transaction::{Hook, Table, Transaction};

    /// Lets the thread's network namespace track connections over its loopback.
    pub(super) fn track_loopback(socket: &mut Socket) {
        let mut routing = crate::route::Routing::open().expect("a socket");
        let loopback = routing.interface("lo").expect("an answer").expect("a loopback");
        routing.set_up(&loopback, None).expect("set up");
        let table = Table { family: super::transaction::IPV4, name: "test".to_owned() };
        Transaction::new(&table)
            .table()
            .chain("output", Some(Hook { kind: "filter", number: 3, priority: 0 }))
            .rule("output", |rule: Message| rule.state(ESTABLISHED_OR_RELATED))
            .commit(socket)
            .expect("committed");
    }
}
