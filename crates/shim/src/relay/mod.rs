//! Relays published ports of the host's IPv6 to a container that has IPv4 alone: the kernel does not translate between
//! the two.
//!
//! ```text
//! client ──TCP──→ listener: connection { client ⇄ container }    no byte is kept here
//! client ──UDP──→ datagrams: flow { client, local end } ⇄ container
//! ```
//!
//! Nothing of what passes is kept in the shim: bytes stay in the kernel's buffers of one side until the other takes
//! them, so that the slower one sets the pace. The rest is bounded by [`MOST_CONNECTIONS`], [`bounds::MOST_FLOWS`] and a share of
//! the descriptors. See decision 0170.

mod bounds;
mod connection;
mod flows;
mod listening;

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use shim_protocol::RelayedPort;
use sys::epoll::Event;

use self::bounds::TURN;
use self::connection::{Connection, End};
use self::flows::Flows;
use self::listening::{Accepted, Listening};
use crate::event_loop::EventLoop;
use crate::token::RelayPart;

/// At most so many connections at once; further ones wait in the kernel until one ends.
const MOST_CONNECTIONS: u64 = 512;

/// One part of the descriptors of the shim in so many is for connections, which have two each.
const SHARE: u64 = 8;

/// How long no client is taken after the kernel had no descriptor for one.
const SHORTAGE: Duration = Duration::from_secs(1);

/// The relay of one container.
pub(crate) struct Relay {
    /// By number; a port that stays keeps its own.
    listening: BTreeMap<u32, Listening>,
    next_listening: u32,
    connections: BTreeMap<u32, Connection>,
    next_connection: u32,
    flows: Flows,
    most_connections: usize,
    /// Whether listeners are not waited for, since there are enough connections or too few descriptors.
    is_full: bool,
    short_until: Option<Instant>,
}

impl Relay {
    pub(crate) fn new() -> Self {
        let most = (sys::inet::descriptor_limit() / SHARE / 2).clamp(1, MOST_CONNECTIONS);
        Self {
            listening: BTreeMap::new(),
            next_listening: 0,
            connections: BTreeMap::new(),
            next_connection: 0,
            flows: Flows::default(),
            most_connections: usize::try_from(most).unwrap_or(1),
            is_full: false,
            short_until: None,
        }
    }

    /// Relays these ports and no others. Connections that are open go on. After a failure it relays what it did before.
    pub(crate) fn set(
        &mut self,
        ports: &[RelayedPort],
        shared: &EventLoop,
    ) -> Result<(), (RelayedPort, io::Error)> {
        let same =
            |one: &RelayedPort, other: &RelayedPort| (one.protocol, one.host) == (other.protocol, other.host);
        let is_new =
            |port: &&RelayedPort| !self.listening.values().any(|listening| same(&listening.port, port));
        let mut opened = Vec::new();
        for port in ports.iter().filter(is_new) {
            opened.push(Listening::open(*port).map_err(|error| (*port, error))?);
        }
        let gone: Vec<u32> = self
            .listening
            .iter()
            .filter(|(_, listening)| !ports.iter().any(|port| same(&listening.port, port)))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.listening.remove(&id);
            self.flows.close_all_of(id);
        }
        for (id, listening) in &mut self.listening {
            if let Some(port) = ports.iter().find(|port| same(&listening.port, port))
                && *port != listening.port
            {
                listening.port = *port;
                self.flows.close_all_of(*id);
            }
        }
        for listening in opened {
            let id = self.next_listening;
            self.next_listening = self.next_listening.wrapping_add(1) & RelayPart::MOST;
            let port = listening.port;
            listening.register(id, !self.is_full, &shared.poller).map_err(|error| (port, error))?;
            self.listening.insert(id, listening);
        }
        Ok(())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.listening.is_empty() && self.connections.is_empty()
    }

    /// Something happened on one of its descriptors.
    pub(crate) fn on_event(&mut self, part: RelayPart, event: Event, shared: &mut EventLoop) {
        match part {
            RelayPart::Listener(id) => self.accept(id, shared),
            RelayPart::Client(id) => self.on_connection(id, End::Client, event, shared),
            RelayPart::Container(id) => self.on_connection(id, End::Container, event, shared),
            RelayPart::Flow(id) => self.flows.answer(id, &self.listening, shared),
        }
    }

    /// Time has passed: drops silent clients of UDP, accepts clients again.
    pub(crate) fn tick(&mut self, shared: &mut EventLoop) {
        self.flows.forget_silent(shared.now);
        self.short_until = self.short_until.filter(|until| *until > shared.now);
        self.settle(shared);
    }

    fn accept(&mut self, id: u32, shared: &mut EventLoop) {
        let Some(listening) = self.listening.get(&id) else { return };
        for _ in 0..TURN {
            match listening.accept(&mut shared.scratch) {
                Ok(Accepted::Connection(client)) => {
                    let number = self.next_connection;
                    self.next_connection = self.next_connection.wrapping_add(1) & RelayPart::MOST;
                    // A client whose container cannot be reached is disconnected.
                    if let Ok(connection) =
                        Connection::open(client, listening.port.container, number, &shared.poller)
                    {
                        self.connections.insert(number, connection);
                    }
                }
                Ok(Accepted::Datagram { length, client, local }) => {
                    self.flows.send((id, client, local), (listening.port.container, length), shared);
                }
                Ok(Accepted::Nothing) => break,
                // The shim has no descriptors left: it is tried again in a while.
                Err(_) => {
                    self.short_until = Some(shared.now + SHORTAGE);
                    break;
                }
            }
            if self.connections.len() >= self.most_connections {
                break;
            }
        }
        self.settle(shared);
    }

    fn on_connection(&mut self, id: u32, end: End, event: Event, shared: &mut EventLoop) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.advance(end, event, &mut shared.scratch, &shared.poller) {
            self.connections.remove(&id);
            self.settle(shared);
            shared.settle_down();
        }
    }

    /// Waits for clients where there is room for them, and for the time at which something is due.
    fn settle(&mut self, shared: &mut EventLoop) {
        let is_full = self.connections.len() >= self.most_connections || self.short_until.is_some();
        if is_full != self.is_full {
            self.is_full = is_full;
            for (id, listening) in &self.listening {
                listening.wait_for_clients(*id, !is_full, &shared.poller);
            }
        }
        for at in self.short_until.into_iter().chain(self.flows.deadline()) {
            shared.alarm.set(at);
        }
    }
}
