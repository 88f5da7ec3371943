//! The engine's own nf_tables tables: what they say, and changing them in single transactions.
//!
//! The tables `ip berth` ([`table`]) and `bridge berth` ([`port_security`]; `berth-<bridge>` for a
//! bridge of another name) consist of a few fixed rules over sets and maps, so that a container
//! more is an element more and costs the same however many there are. They are rebuilt whole when
//! the network opens.

mod conntrack;
mod expression;
mod host_rules;
mod port_security;
mod table;
mod transaction;

use std::net::Ipv4Addr;

use rustix::io::Errno;
use sys::netlink::{Protocol as Subsystem, RequestError, Socket};

use crate::endpoint::{Endpoint, Opening, SourceCheck};
use crate::error::Error;
use crate::mac::MacAddress;
use crate::options::DEFAULT_BRIDGE;
use crate::port::Protocol;
use crate::port::PublishedPort;
use crate::subnet::InterfaceAddress;
use transaction::{Table, Transaction};

/// What the fixed rules of the table depend on.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) bridge: String,
    /// The bridge's address and its network.
    pub(crate) address: InterfaceAddress,
    /// Whether containers reach each other without an opening.
    pub(crate) communicate: bool,
    /// Whether outbound connections take the host's address.
    pub(crate) masquerade: bool,
}

/// Elements of the tables' sets and maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Links beside the bridge and the addresses of their containers.
    pub(crate) links: Vec<(String, Ipv4Addr)>,
    /// Ports of the bridge and who is behind them.
    pub(crate) stations: Vec<Station>,
    /// Published ports and the addresses of their containers.
    pub(crate) ports: Vec<(PublishedPort, Ipv4Addr)>,
    pub(crate) openings: Vec<Opening>,
}

/// A container behind a port of the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Station {
    pub(crate) link: String,
    pub(crate) mac: MacAddress,
    pub(crate) address: Ipv4Addr,
    pub(crate) check: SourceCheck,
}

/// Where a container's link ends on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At a port of the bridge.
    Port,
    /// Beside the bridge.
    Beside,
}

impl Content {
    /// What one endpoint needs, its openings excepted.
    pub(crate) fn of(endpoint: &Endpoint, place: Place) -> Self {
        let Endpoint { link, mac, address, source_check, .. } = endpoint;
        let station = || Station { link: link.clone(), mac: *mac, address: *address, check: *source_check };
        Self {
            links: (place == Place::Beside).then(|| (link.clone(), *address)).into_iter().collect(),
            stations: (place == Place::Port).then(station).into_iter().collect(),
            ports: endpoint.ports.iter().map(|port| (*port, *address)).collect(),
            openings: Vec::new(),
        }
    }

    /// Adds what one endpoint needs.
    pub(crate) fn add(&mut self, endpoint: &Endpoint, place: Place) {
        let Self { links, stations, ports, .. } = Self::of(endpoint, place);
        self.links.extend(links);
        self.stations.extend(stations);
        self.ports.extend(ports);
        self.openings.extend(endpoint.openings.iter().copied());
    }

    fn is_empty(&self) -> bool {
        self.links.is_empty() && self.stations.is_empty() && self.ports.is_empty() && self.openings.is_empty()
    }

    /// Each element by itself.
    fn single(&self) -> impl Iterator<Item = Self> + '_ {
        let empty = Self::default;
        let links = self.links.iter().map(move |link| Self { links: vec![link.clone()], ..empty() });
        let stations = self.stations.iter().map(move |it| Self { stations: vec![it.clone()], ..empty() });
        let ports = self.ports.iter().map(move |port| Self { ports: vec![*port], ..empty() });
        let openings = self.openings.iter().map(move |opening| Self { openings: vec![*opening], ..empty() });
        links.chain(stations).chain(ports).chain(openings)
    }
}

/// The engine's tables.
#[derive(Debug, Clone)]
struct Tables {
    ip: Table,
    /// `None` where the kernel has no tables for bridges.
    bridge: Option<Table>,
}

impl Tables {
    fn of(bridge: &str) -> Self {
        let name = table_name(bridge);
        let table = |family| Table { family, name: name.clone() };
        Self { ip: table(transaction::IPV4), bridge: Some(table(transaction::BRIDGE)) }
    }

    fn all(&self) -> impl Iterator<Item = &Table> {
        std::iter::once(&self.ip).chain(&self.bridge)
    }
}

/// The engine's tables and what changes them.
#[derive(Debug)]
pub(crate) struct Firewall {
    socket: Socket,
    tables: Tables,
    layout: Layout,
    /// How many rules the tables have when they are whole.
    rules: usize,
    /// Whether the engine's rules are in the host's own chain.
    forwards_on_host: bool,
}

impl Firewall {
    /// Makes the tables anew with this content, in one transaction.
    pub(crate) fn build(layout: Layout, content: &Content) -> Result<Self, Error> {
        let mut firewall = Self::unbuilt(layout)?;
        if let Err(Error::FirewallMissing { .. }) = firewall.build_tables(content) {
            // Which part the kernel lacks is seen when it is asked for the other alone.
            firewall.tables.bridge = None;
            firewall.build_tables(content)?;
        }
        firewall.rules = firewall.present_rules()?;
        Ok(firewall)
    }

    fn build_tables(&mut self, content: &Content) -> Result<(), Error> {
        let rebuilt = table::rebuild(&self.tables, &self.layout, content);
        rebuilt.commit(&mut self.socket).map_err(missing_or_refused)
    }

    fn unbuilt(layout: Layout) -> Result<Self, Error> {
        let socket = Socket::open(Subsystem::Netfilter).map_err(|source| Error::Socket { source })?;
        let tables = Tables::of(&layout.bridge);
        Ok(Self { socket, tables, layout, rules: 0, forwards_on_host: false })
    }

    /// Whether containers cannot send from others' addresses.
    pub(crate) fn checks_sources(&self) -> bool {
        self.tables.bridge.is_some()
    }

    /// Removes what an earlier daemon made, where this one is to make nothing. A kernel without
    /// nf_tables has nothing of it.
    pub(crate) fn remove_left(layout: Layout) -> Result<(), Error> {
        let mut firewall = Self::unbuilt(layout)?;
        match firewall.delete_tables() {
            Err(Error::FirewallMissing { .. }) => Ok(()),
            Ok(()) => firewall.stop_forwarding_on_host(),
            result => result,
        }
    }

    /// Deletes the tables; those of the bridge's family are no error where the kernel has none.
    fn delete_tables(&mut self) -> Result<(), Error> {
        match table::delete(&self.tables).commit(&mut self.socket).map_err(missing_or_refused) {
            Err(Error::FirewallMissing { .. }) if self.tables.bridge.is_some() => {
                self.tables.bridge = None;
                table::delete(&self.tables).commit(&mut self.socket).map_err(missing_or_refused)
            }
            result => result,
        }
    }

    /// Makes the tables anew, with this content.
    pub(crate) fn rebuild(&mut self, content: &Content) -> Result<(), Error> {
        self.commit(table::rebuild(&self.tables, &self.layout, content))
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

    /// Forgets all tracked connections from and to a container.
    pub(crate) fn forget_address(&mut self, address: Ipv4Addr) -> Result<(), Error> {
        conntrack::forget_address(&mut self.socket, address)
    }

    /// Forgets all tracked connections to a port of the host.
    pub(crate) fn forget_port(&mut self, protocol: Protocol, port: u16) -> Result<(), Error> {
        conntrack::forget_port(&mut self.socket, protocol, port)
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

fn table_name(bridge: &str) -> String {
    if bridge == DEFAULT_BRIDGE { "berth".to_owned() } else { format!("berth-{bridge}") }
}

/// An error of the first transaction tells what the kernel cannot do at all.
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
        let loopback = routing.link("lo").expect("an answer").expect("a loopback");
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
