//! Packets on their way to a log server: never waits, keeps a bounded number, connects again.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use log_drivers::{AtStart, Delivery};
use sys::epoll::{Event, Interest, Poller};
use sys::stream::{self, Peer};

use crate::event_loop::EventLoop;
use crate::token::Token;

/// How long a server that must be there at the start may take to accept the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server may take to acknowledge a line before it is sent again over a new connection.
const ACKNOWLEDGMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a server's response is kept to find an acknowledgment in, in bytes.
const MAXIMUM_ANSWER: usize = 4096;

/// How long the end of the container waits for the server to take what is left.
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// The way to one server.
pub(super) struct Transport {
    peer: Peer,
    delivery: Delivery,
    connection: Option<OwnedFd>,
    /// The awaited events of the connection.
    awaited: Interest,
    waiting: VecDeque<Packet>,
    bytes: usize,
    /// How much of the first packet a stream has taken.
    sent: usize,
    dropped: u64,
    retry_at: Option<Instant>,
    retry_after: Duration,
    /// How many attempts have failed since something was sent.
    failures: u32,
    /// When the first packet, which is sent, must have been acknowledged.
    acknowledged_by: Option<Instant>,
    /// The server's response since that packet was sent.
    answer: Vec<u8>,
    given_up_at: Option<Instant>,
}

struct Packet {
    bytes: Vec<u8>,
    /// The expected text in the server's acknowledgment, if it sends one.
    acknowledgment: Option<String>,
    /// Whether it is the last (or only) one of its line.
    ends_line: bool,
}

impl Transport {
    /// Connects.
    ///
    /// # Errors
    /// When the server is not there and must be.
    pub(super) fn open(peer: Peer, delivery: Delivery) -> io::Result<Self> {
        let must_be_there = match delivery.at_start {
            AtStart::LocalMustBeThere => !matches!(peer, Peer::Tcp(_) | Peer::Udp(_)),
            AtStart::MustBeThere => true,
            AtStart::MayBeAway => false,
        };
        let connected = stream::connect(&peer).and_then(|connection| {
            if delivery.at_start == AtStart::MustBeThere {
                stream::await_connection(&connection, CONNECT_TIMEOUT)?;
            }
            Ok(connection)
        });
        let connection = match connected {
            Ok(connection) => Some(connection),
            Err(_) if !must_be_there => None,
            Err(error) => {
                let cause = model::kernel_words(&error);
                return Err(io::Error::new(
                    error.kind(),
                    format!("cannot connect to the log server {peer}: {cause}"),
                ));
            }
        };
        Ok(Self {
            retry_at: connection.is_none().then(Instant::now),
            peer,
            delivery,
            connection,
            awaited: Interest::default(),
            waiting: VecDeque::new(),
            bytes: 0,
            sent: 0,
            dropped: 0,
            retry_after: delivery.retry.0,
            failures: 0,
            acknowledged_by: None,
            answer: Vec::new(),
            given_up_at: None,
        })
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes the packets of one line, or drops it whole.
    pub(super) fn push(&mut self, packets: Vec<Vec<u8>>, acknowledgment: Option<String>) {
        let bytes: usize = packets.iter().map(Vec::len).sum();
        let has_room = self.bytes + bytes <= self.delivery.bytes && self.waiting.len() < self.delivery.lines;
        if packets.is_empty() || !has_room {
            self.dropped += 1;
            return;
        }
        self.bytes += bytes;
        let last = packets.len() - 1;
        let packets = packets.into_iter().enumerate();
        self.waiting.extend(packets.map(|(index, bytes)| Packet {
            bytes,
            acknowledgment: acknowledgment.clone().filter(|_| index == last),
            ends_line: index == last,
        }));
    }

    /// Sends as much as the server takes now.
    pub(super) fn flush(&mut self, shared: &mut EventLoop) {
        if let Some(retry_at) = self.retry_at {
            shared.alarm.set(retry_at);
        }
        while self.acknowledged_by.is_none()
            && let (Some(connection), Some(packet)) = (&self.connection, self.waiting.front())
        {
            match stream::send(connection, &[&packet.bytes[self.sent..]]) {
                Ok(count) if self.is_stream() && self.sent + count < packet.bytes.len() => self.sent += count,
                Ok(_) if packet.acknowledgment.is_some() => {
                    self.acknowledged_by = Some(shared.now + ACKNOWLEDGMENT_TIMEOUT);
                    shared.wake_in(ACKNOWLEDGMENT_TIMEOUT);
                }
                Ok(_) => {
                    self.take_first();
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => break,
                    // An earlier datagram met no listener. This one was not sent yet: the server may be back.
                    ErrorKind::ConnectionRefused if matches!(self.peer, Peer::Udp(_)) => self.dropped += 1,
                    _ if error.raw_os_error() == Some(TOO_LONG) => self.drop_first(),
                    _ => self.lose_connection(shared),
                },
            }
        }
        if self.given_up_at.is_some() && self.waiting.is_empty() {
            self.close(&shared.poller);
        }
        self.register(&shared.poller);
    }

    fn is_stream(&self) -> bool {
        matches!(self.peer, Peer::Tcp(_) | Peer::Stream(_))
    }

    fn take_first(&mut self) -> bool {
        self.sent = 0;
        self.retry_after = self.delivery.retry.0;
        self.failures = 0;
        let Some(packet) = self.waiting.pop_front() else {
            return true;
        };
        self.bytes -= packet.bytes.len();
        packet.ends_line
    }

    /// Gives up the line of the first packet.
    fn drop_first(&mut self) {
        self.dropped += 1;
        while !self.take_first() {}
    }

    fn lose_connection(&mut self, shared: &mut EventLoop) {
        self.close(&shared.poller);
        self.sent = 0;
        self.acknowledged_by = None;
        self.answer.clear();
        self.retry_at = Some(shared.now + self.retry_after);
        shared.wake_in(self.retry_after);
        self.retry_after = (self.retry_after * 2).min(self.delivery.retry.1);
        self.failures = self.failures.saturating_add(1);
        if self.failures > self.delivery.attempts {
            self.drop_all();
        }
    }

    pub(super) fn on_event(&mut self, event: Event, shared: &mut EventLoop) {
        if self.is_stream() && (event.hung_up || (event.readable && self.has_ended())) {
            self.lose_connection(shared);
        }
        self.flush(shared);
    }

    /// Whether the server has closed its connection. What it sends is of interest only while a line waits to be
    /// acknowledged.
    fn has_ended(&mut self) -> bool {
        let mut said = [0; 512];
        loop {
            let Some(connection) = &self.connection else { return false };
            match stream::receive(connection, &mut said) {
                Ok(0) => return true,
                Ok(count) if self.acknowledged_by.is_some() => {
                    self.answer.extend_from_slice(&said[..count]);
                    self.note_answer();
                }
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    /// Gives up the line that the server has acknowledged. Its id is random: wherever the answer has it, the line is meant.
    fn note_answer(&mut self) {
        let wanted = self.waiting.front().and_then(|packet| packet.acknowledgment.as_deref());
        if wanted.is_some_and(|id| memchr::memmem::find(&self.answer, id.as_bytes()).is_some()) {
            self.answer.clear();
            self.acknowledged_by = None;
            self.take_first();
        } else if self.answer.len() > MAXIMUM_ANSWER {
            self.answer.drain(..self.answer.len() - MAXIMUM_ANSWER / 2);
        }
    }

    pub(super) fn tick(&mut self, shared: &mut EventLoop) {
        if self.given_up_at.is_some_and(|at| at <= shared.now) {
            return self.give_up(shared);
        }
        match self.acknowledged_by {
            Some(until) if until <= shared.now => return self.lose_connection(shared),
            Some(until) => shared.alarm.set(until),
            None => {}
        }
        let Some(retry_at) = self.retry_at else {
            return;
        };
        if shared.now < retry_at {
            return shared.alarm.set(retry_at);
        }
        self.retry_at = None;
        match stream::connect(&self.peer) {
            Ok(connection) => {
                self.connection = Some(connection);
                self.flush(shared);
            }
            Err(_) => self.lose_connection(shared),
        }
    }

    /// Nothing more comes; what waits may be sent for a little while.
    pub(super) fn last_chance(&mut self, shared: &mut EventLoop) {
        self.given_up_at = Some(shared.now + LAST_CHANCE);
        shared.wake_in(LAST_CHANCE);
        self.flush(shared);
    }

    /// The time to send the rest is over: waiting lines are lost.
    fn give_up(&mut self, shared: &mut EventLoop) {
        self.retry_at = None;
        self.close(&shared.poller);
        self.drop_all();
    }

    fn drop_all(&mut self) {
        self.acknowledged_by = None;
        while !self.waiting.is_empty() {
            self.drop_first();
        }
    }

    pub(super) fn is_busy(&self, now: Instant) -> bool {
        !self.waiting.is_empty() && self.given_up_at.is_some_and(|at| now < at)
    }

    fn close(&mut self, poller: &Poller) {
        if let Some(connection) = self.connection.take()
            && std::mem::take(&mut self.awaited) != Interest::default()
        {
            let _ = poller.remove(&connection);
        }
    }

    /// Waits for room while something waits, and for the end of a stream always.
    fn register(&mut self, poller: &Poller) {
        let Some(connection) = &self.connection else {
            return;
        };
        let wanted = Interest {
            read: self.is_stream(),
            write: !self.waiting.is_empty() && self.acknowledged_by.is_none(),
        };
        if wanted == self.awaited {
            return;
        }
        let token = Token::Log.pack();
        let nothing = Interest::default();
        let done = if self.awaited == nothing {
            poller.add(connection, token, wanted)
        } else if wanted == nothing {
            poller.remove(connection)
        } else {
            poller.modify(connection, token, wanted)
        };
        if done.is_ok() {
            self.awaited = wanted;
        }
    }
}

/// EMSGSIZE: a datagram is larger than the server's socket takes.
const TOO_LONG: i32 = 90;
