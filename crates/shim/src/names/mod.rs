//! The container's name service: answers at 127.0.0.11, port 53, in its network namespace.
//!
//! ```text
//! query ── a name of the networks' files ──→ answer at once
//!   └───── any other ──→ exchange with the upstream servers, one after the other ──→ their answer, or SERVFAIL
//! ```
//!
//! The container is not trusted, nor are the upstream servers. What all of it may cost is bounded:
//! [`Budget`] bounds the processor's time, [`MOST_EXCHANGES`] and [`connections::MOST`] the descriptors and,
//! with [`query::LONGEST`], the memory. See decision 0112.

mod answer;
mod budget;
mod connection;
mod connections;
mod current_file;
mod directory;
mod exchange;
mod listening;
mod namespaces;
mod query;
mod redirect;
mod reverse;
mod tcp_exchange;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use shim_protocol::names::{NameService, Upstream};
use sys::epoll::Event;

use self::budget::Budget;
use self::connections::Connections;
use self::directory::Directory;
use self::exchange::{Client, Exchange, Progress};
use self::listening::Listening;
use self::namespaces::Namespaces;
use self::query::{Query, Received};
use crate::event_loop::EventLoop;
use crate::token::{NamesPart, Token};

/// At most so many queries wait for upstream servers; a further one over UDP is dropped and will be repeated
/// by its client, one over TCP ends its connection.
const MOST_EXCHANGES: usize = 128;

/// How many datagrams are answered before others of the shim have their turn.
const TURN: usize = 32;

/// The outcome of a packet.
enum Outcome {
    Answer(Vec<u8>),
    /// An exchange with upstream servers gives the answer.
    Later,
    /// It gets none.
    Nothing,
}

/// The cost of a query that goes upstream: it needs a socket of its own.
const EXCHANGE_COST: u32 = 8;

/// The name service of one container.
pub(crate) struct NameServer {
    namespaces: Namespaces,
    listening: Listening,
    directory: Directory,
    upstream: Vec<Upstream>,
    keeps_single_labels: bool,
    connections: Connections,
    exchanges: BTreeMap<u32, Exchange>,
    next_exchange: u32,
    budget: Budget,
    /// Whether clients are not read, since the budget is spent.
    is_paused: bool,
    /// For the answer under construction.
    buffer: Vec<u8>,
}

impl NameServer {
    /// Opens the sockets in the container's network namespace.
    pub(crate) fn open(container: OwnedFd, service: NameService, shared: &mut EventLoop) -> io::Result<Self> {
        let namespaces = Namespaces::new(container)?;
        let listening = namespaces.in_container(Listening::open)??;
        listening.register(&shared.poller)?;
        let mut server = Self {
            namespaces,
            listening,
            directory: Directory::default(),
            upstream: Vec::new(),
            keeps_single_labels: false,
            connections: Connections::default(),
            exchanges: BTreeMap::new(),
            next_exchange: 0,
            budget: Budget::new(shared.now),
            is_paused: false,
            buffer: Vec::new(),
        };
        server.answer_from(service);
        Ok(server)
    }

    /// Uses other files and servers from now on. Rules that the container has removed are restored.
    pub(crate) fn set(&mut self, service: NameService) -> io::Result<()> {
        self.answer_from(service);
        let ports = self.listening.ports()?;
        self.namespaces.in_container(|| redirect::restore(ports))?
    }

    fn answer_from(&mut self, service: NameService) {
        self.directory.set(service.networks);
        self.upstream = service.upstream;
        self.upstream.truncate(exchange::MOST_SERVERS);
        self.keeps_single_labels = service.keeps_single_labels;
    }

    /// Gives the container's port 53 of 127.0.0.11 back.
    pub(crate) fn close(self) {
        // It only fails where the container has taken the rules away, or is gone itself.
        let _ = self.namespaces.in_container(redirect::remove);
    }

    /// Something happened on one of its descriptors.
    pub(crate) fn on_event(&mut self, part: NamesPart, event: Event, shared: &mut EventLoop) {
        match part {
            NamesPart::Datagrams => self.read_datagrams(shared),
            NamesPart::Listener => self.accept(shared),
            NamesPart::Connection(id) => self.on_connection(id, event, shared),
            NamesPart::Exchange(id) => self.on_exchange(id, event, shared),
        }
        if self.budget.is_spent(shared.now) {
            self.pause(shared);
        }
    }

    /// Time has passed: gives up servers that do not answer and clients that do nothing, reads clients again.
    pub(crate) fn tick(&mut self, shared: &mut EventLoop) {
        let late: Vec<u32> =
            self.exchanges.iter().filter(|(_, one)| one.is_late(shared.now)).map(|(id, _)| *id).collect();
        for id in late {
            self.ask_next(id, shared);
        }
        for id in self.connections.idle(shared.now) {
            self.end_connection(id);
        }
        if self.is_paused && !self.budget.is_spent(shared.now) {
            self.is_paused = false;
            self.listening.listen(true, &shared.poller);
            self.connections.register_all(true, &shared.poller);
            for id in self.connections.with_queries() {
                self.answer_connection(id, shared);
            }
        }
        self.set_alarm(shared);
    }

    fn set_alarm(&self, shared: &mut EventLoop) {
        let deadlines = self.exchanges.values().map(Exchange::deadline);
        if let Some(nearest) = deadlines.chain(self.connections.deadlines()).min() {
            shared.alarm.set(nearest);
        }
        if self.is_paused {
            shared.alarm.set(self.budget.refilled_at(shared.now));
        }
    }

    /// Reads no clients until the budget is refilled; what they send waits in the kernel, or is dropped there.
    fn pause(&mut self, shared: &mut EventLoop) {
        if !self.is_paused {
            self.is_paused = true;
            self.listening.listen(false, &shared.poller);
            self.connections.register_all(false, &shared.poller);
        }
        self.set_alarm(shared);
    }

    fn read_datagrams(&mut self, shared: &mut EventLoop) {
        // Its content is not used elsewhere meanwhile.
        let mut scratch = std::mem::take(&mut shared.scratch);
        for _ in 0..TURN {
            let Some((length, client)) = self.listening.receive(&mut scratch) else { break };
            self.budget.spend(1);
            if let Outcome::Answer(answer) = self.answer(&scratch[..length], Client::Datagram(client), shared)
            {
                self.listening.send(&answer, client);
                self.reuse(answer);
            }
            if self.budget.is_spent(shared.now) {
                break;
            }
        }
        shared.scratch = scratch;
    }

    /// Keeps an answer's memory for the next, unless it is much.
    fn reuse(&mut self, mut answer: Vec<u8>) {
        if answer.capacity() <= query::LONGEST {
            answer.clear();
            self.buffer = answer;
        }
    }

    fn answer(&mut self, packet: &[u8], client: Client, shared: &mut EventLoop) -> Outcome {
        let query = match query::read(packet, client.transport()) {
            Received::Noise => return Outcome::Nothing,
            Received::Faulty(header, code) => {
                return Outcome::Answer(answer::refusal(header, code, Vec::new()));
            }
            Received::Query(query) => query,
        };
        match self.directory.find(&query, self.keeps_single_labels) {
            Some(content) => {
                Outcome::Answer(answer::local(&query, &content, std::mem::take(&mut self.buffer)))
            }
            None => self.forward(&query, client, shared),
        }
    }

    /// Begins an exchange with the upstream servers; without any, the answer is SERVFAIL.
    fn forward(&mut self, query: &Query<'_>, client: Client, shared: &mut EventLoop) -> Outcome {
        if self.exchanges.len() >= MOST_EXCHANGES {
            return Outcome::Nothing;
        }
        self.budget.spend(EXCHANGE_COST);
        let id = self.next_exchange;
        self.next_exchange = self.next_exchange.wrapping_add(1) & NamesPart::MOST;
        let mut exchange = Exchange::new(query, client, self.upstream.clone());
        if !exchange.ask_next(Token::Names(NamesPart::Exchange(id)), &self.namespaces, shared) {
            return Outcome::Answer(answer::failure(query.message, Vec::new()));
        }
        shared.alarm.set(exchange.deadline());
        self.exchanges.insert(id, exchange);
        Outcome::Later
    }

    fn on_exchange(&mut self, id: u32, event: Event, shared: &mut EventLoop) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let (progress, cost) = exchange.advance(event, &mut shared.scratch, &shared.poller);
        self.budget.spend(cost);
        match progress {
            Progress::Waits => {}
            Progress::Failed => self.ask_next(id, shared),
            Progress::Answered(answer) => self.finish(id, answer, shared),
        }
    }

    fn ask_next(&mut self, id: u32, shared: &mut EventLoop) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        self.budget.spend(EXCHANGE_COST);
        if exchange.ask_next(Token::Names(NamesPart::Exchange(id)), &self.namespaces, shared) {
            shared.alarm.set(exchange.deadline());
        } else {
            let failure = exchange.failure();
            self.finish(id, failure, shared);
        }
    }

    fn finish(&mut self, id: u32, answer: Vec<u8>, shared: &mut EventLoop) {
        let Some(exchange) = self.exchanges.remove(&id) else {
            return;
        };
        match exchange.client() {
            Client::Datagram(client) => self.listening.send(&answer, client),
            Client::Connection(connection) => {
                self.connections.give(connection, &answer, shared.now);
                self.answer_connection(connection, shared);
            }
        }
        shared.settle_down();
    }

    fn accept(&mut self, shared: &mut EventLoop) {
        for _ in 0..TURN {
            match self.listening.accept() {
                Ok(Some(stream)) => {
                    self.budget.spend(EXCHANGE_COST);
                    if let Some(evicted) = self.connections.evicted() {
                        self.end_connection(evicted);
                    }
                    self.connections.add(stream, shared);
                }
                Ok(None) => return,
                // The shim has no descriptors left: it is tried again in a while.
                Err(_) => return self.budget.exhaust(),
            }
            if self.budget.is_spent(shared.now) {
                return;
            }
        }
    }

    fn on_connection(&mut self, id: u32, event: Event, shared: &mut EventLoop) {
        if event.hung_up || !self.connections.transfer(id, event, shared) {
            return self.end_connection(id);
        }
        self.answer_connection(id, shared);
    }

    /// Answers what a connection has sent, one query after the other.
    fn answer_connection(&mut self, id: u32, shared: &mut EventLoop) {
        while !self.budget.is_spent(shared.now)
            && let Some(packet) = self.connections.next_query(id)
        {
            self.budget.spend(1);
            match self.answer(&packet, Client::Connection(id), shared) {
                Outcome::Answer(answer) => self.connections.give(id, &answer, shared.now),
                Outcome::Later => self.connections.wait(id),
                Outcome::Nothing => return self.end_connection(id),
            }
        }
        if !self.connections.settle(id, !self.is_paused, &shared.poller) {
            self.end_connection(id);
        }
        self.set_alarm(shared);
    }

    /// Ends a connection and the exchanges that it began upstream.
    fn end_connection(&mut self, id: u32) {
        self.connections.remove(id);
        self.exchanges.retain(|_, exchange| exchange.client() != Client::Connection(id));
    }
}
