//! The engine's own nf_tables table: what it says, and changing it in single transactions.
//!
//! The table `ip berth` (`ip berth-<bridge>` for a bridge of another name) consists of a few
//! fixed rules over sets and maps ([`table`]), so that a container more is an element more and
//! costs the same however many there are. It is rebuilt whole when the network opens.

mod conntrack;
mod expression;
mod host_rules;
mod table;
mod transaction;

use std::net::Ipv4Addr;

use rustix::io::Errno;
use sys::netlink::{Protocol as Subsystem, RequestError, Socket};

use crate::endpoint::{Endpoint, Opening};
use crate::error::Error;
use crate::options::DEFAULT_BRIDGE;
use crate::port::Protocol;
use crate::port::PublishedPort;
use crate::subnet::InterfaceAddress;
use transaction::Transaction;

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

/// Elements of the table's sets and maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Links beside the bridge.
    pub(crate) links: Vec<String>,
    /// Published ports and the addresses of their containers.
    pub(crate) ports: Vec<(PublishedPort, Ipv4Addr)>,
    pub(crate) openings: Vec<Opening>,
}

impl Content {
    /// What one endpoint needs, its openings excepted.
    pub(crate) fn of(endpoint: &Endpoint, routed: bool) -> Self {
        Self {
            links: routed.then(|| endpoint.link.clone()).into_iter().collect(),
            ports: endpoint.ports.iter().map(|port| (*port, endpoint.address)).collect(),
            openings: Vec::new(),
        }
    }

    /// Adds what one endpoint needs.
    pub(crate) fn add(&mut self, endpoint: &Endpoint, routed: bool) {
        let Self { links, ports, .. } = Self::of(endpoint, routed);
        self.links.extend(links);
        self.ports.extend(ports);
        self.openings.extend(endpoint.openings.iter().copied());
    }

    fn is_empty(&self) -> bool {
        self.links.is_empty() && self.ports.is_empty() && self.openings.is_empty()
    }

    /// Each element by itself.
    fn single(&self) -> impl Iterator<Item = Self> + '_ {
        let empty = Self::default;
        let links = self.links.iter().map(move |link| Self { links: vec![link.clone()], ..empty() });
        let ports = self.ports.iter().map(move |port| Self { ports: vec![*port], ..empty() });
        let openings = self.openings.iter().map(move |opening| Self { openings: vec![*opening], ..empty() });
        links.chain(ports).chain(openings)
    }
}

/// The engine's table.
#[derive(Debug)]
pub(crate) struct Firewall {
    socket: Socket,
    table: String,
    layout: Layout,
    /// How many rules the table has when it is whole.
    rules: usize,
    /// Whether the engine's rules are in the host's own chain.
    forwards_on_host: bool,
}

impl Firewall {
    /// Makes the table anew with this content, in one transaction.
    pub(crate) fn build(layout: Layout, content: &Content) -> Result<Self, Error> {
        let mut firewall = Self::unbuilt(layout)?;
        let rebuilt = table::rebuild(&firewall.table, &firewall.layout, content);
        rebuilt.commit(&mut firewall.socket).map_err(missing_or_refused)?;
        firewall.rules = firewall.present_rules()?;
        Ok(firewall)
    }

    fn unbuilt(layout: Layout) -> Result<Self, Error> {
        let socket = Socket::open(Subsystem::Netfilter).map_err(|source| Error::Socket { source })?;
        let table = table_name(&layout.bridge);
        Ok(Self { socket, table, layout, rules: 0, forwards_on_host: false })
    }

    /// Removes what an earlier daemon made, where this one is to make nothing. A kernel without
    /// nf_tables has nothing of it.
    pub(crate) fn remove_left(layout: Layout) -> Result<(), Error> {
        let mut firewall = Self::unbuilt(layout)?;
        let removed = table::delete(&firewall.table).commit(&mut firewall.socket).map_err(missing_or_refused);
        match removed {
            Err(Error::FirewallMissing { .. }) => Ok(()),
            Ok(()) => firewall.stop_forwarding_on_host(),
            result => result,
        }
    }

    /// Makes the table anew, with this content.
    pub(crate) fn rebuild(&mut self, content: &Content) -> Result<(), Error> {
        self.commit(table::rebuild(&self.table, &self.layout, content))
    }

    /// Whether all rules of the table are there.
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
        self.commit(table::add(&self.table, content))
    }

    /// Removes elements; those that are gone already are no error.
    pub(crate) fn withdraw(&mut self, content: &Content) -> Result<(), Error> {
        if content.is_empty() {
            return Ok(());
        }
        match self.commit(table::remove(&self.table, content)) {
            Err(Error::Firewall { source }) if source.is(Errno::NOENT) => {
                for element in content.single() {
                    match self.commit(table::remove(&self.table, &element)) {
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

    /// Removes the table and the rules in the host's own.
    pub(crate) fn remove(&mut self) -> Result<(), Error> {
        let host = self.stop_forwarding_on_host();
        let table = self.commit(table::delete(&self.table));
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
    use super::transaction::{Hook, Transaction};

    /// Lets the thread's network namespace track connections over its loopback.
    pub(super) fn track_loopback(socket: &mut Socket) {
        let mut routing = crate::route::Routing::open().expect("a socket");
        let loopback = routing.link("lo").expect("an answer").expect("a loopback");
        routing.set_up(&loopback, None).expect("set up");
        Transaction::new("test")
            .table()
            .chain("output", Some(Hook { kind: "filter", number: 3, priority: 0 }))
            .rule("output", |rule: Message| rule.state(ESTABLISHED_OR_RELATED))
            .commit(socket)
            .expect("committed");
    }
}
