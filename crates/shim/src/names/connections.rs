//! The clients' connections of TCP.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Instant;

use sys::epoll::{Event, Poller};

use super::connection::Connection;
use crate::event_loop::EventLoop;
use crate::token::{NamesPart, Token};

/// At most so many; for a further one that which did nothing for the longest time ends.
pub(super) const MOST: usize = 32;

/// All connections, by number.
#[derive(Default)]
pub(super) struct Connections {
    all: BTreeMap<u32, Connection>,
    next: u32,
}

impl Connections {
    pub(super) fn add(&mut self, stream: TcpStream, shared: &EventLoop) {
        let id = self.next;
        self.next = self.next.wrapping_add(1) & NamesPart::MOST;
        let token = Token::Names(NamesPart::Connection(id));
        // One that cannot be waited for is closed.
        if let Ok(connection) = Connection::new(stream, token, &shared.poller, shared.now) {
            self.all.insert(id, connection);
        }
    }

    /// The connection that gives way to a further one.
    pub(super) fn evicted(&self) -> Option<u32> {
        let oldest = || self.all.iter().min_by_key(|(_, one)| one.active_at()).map(|(id, _)| *id);
        (self.all.len() >= MOST).then(oldest).flatten()
    }

    /// Those that did nothing for too long.
    pub(super) fn idle(&self, now: Instant) -> Vec<u32> {
        let is_idle = |one: &Connection| one.deadline().is_some_and(|deadline| deadline <= now);
        self.all.iter().filter(|(_, one)| is_idle(one)).map(|(id, _)| *id).collect()
    }

    /// When each ends if it does nothing.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        self.all.values().filter_map(Connection::deadline)
    }

    /// Those that have a query to answer.
    pub(super) fn with_queries(&self) -> Vec<u32> {
        self.all.iter().filter(|(_, one)| one.has_query()).map(|(id, _)| *id).collect()
    }

    /// Sends and reads after an event; false when the connection is to end.
    pub(super) fn transfer(&mut self, id: u32, event: Event, shared: &mut EventLoop) -> bool {
        let Some(connection) = self.all.get_mut(&id) else {
            return true;
        };
        let flushed = if event.writable { connection.flush(shared.now) } else { Ok(()) };
        let read = if event.readable { connection.read(&mut shared.scratch) } else { Ok(()) };
        flushed.and(read).is_ok()
    }

    /// Takes a connection's next query, if it is free for it.
    pub(super) fn next_query(&mut self, id: u32) -> Option<Vec<u8>> {
        self.all.get_mut(&id)?.next_query()
    }

    /// The answer comes later.
    pub(super) fn wait(&mut self, id: u32) {
        if let Some(connection) = self.all.get_mut(&id) {
            connection.wait();
        }
    }

    /// Sends an answer; nothing where the client is gone.
    pub(super) fn give(&mut self, id: u32, answer: &[u8], now: Instant) {
        if let Some(connection) = self.all.get_mut(&id) {
            connection.give(answer, now);
        }
    }

    /// Waits for what comes next; false when nothing does.
    pub(super) fn settle(&mut self, id: u32, is_read: bool, poller: &Poller) -> bool {
        let Some(connection) = self.all.get_mut(&id) else {
            return true;
        };
        connection.register(is_read, poller);
        !connection.is_over()
    }

    /// Reads from all, or from none.
    pub(super) fn register_all(&mut self, is_read: bool, poller: &Poller) {
        for connection in self.all.values_mut() {
            connection.register(is_read, poller);
        }
    }

    pub(super) fn remove(&mut self, id: u32) {
        self.all.remove(&id);
    }
}
