//! Packets on their way to a log server: never waits, keeps a bounded number, connects again.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use sys::epoll::{Event, Interest, Poller};
use sys::stream::{self, Peer};

use crate::event_loop::EventLoop;
use crate::token::Token;

/// What waits for a server that is slow or away, in bytes; lines beyond it are dropped and counted.
const MAXIMUM_WAITING: usize = 1024 * 1024;

/// The shortest and the longest time between two attempts to connect.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long the end of the container waits for the server to take what is left.
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// The way to one server.
pub(super) struct Transport {
    peer: Peer,
    connection: Option<OwnedFd>,
    /// What the loop waits for on the connection.
    awaited: Interest,
    waiting: VecDeque<Packet>,
    bytes: usize,
    /// How much of the first packet a stream has taken.
    sent: usize,
    dropped: u64,
    retry_at: Option<Instant>,
    retry_after: Duration,
    given_up_at: Option<Instant>,
}

struct Packet {
    bytes: Vec<u8>,
    /// Whether it is the last (or only) one of its line.
    ends_line: bool,
}

impl Transport {
    /// Connects; a local server that is not there is an error, another may come later.
    pub(super) fn open(peer: Peer) -> io::Result<Self> {
        let connection = match stream::connect(&peer) {
            Ok(connection) => Some(connection),
            Err(_) if matches!(peer, Peer::Tcp(_) | Peer::Udp(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            retry_at: connection.is_none().then(Instant::now),
            peer,
            connection,
            awaited: Interest::default(),
            waiting: VecDeque::new(),
            bytes: 0,
            sent: 0,
            dropped: 0,
            retry_after: RETRY.0,
            given_up_at: None,
        })
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes the packets of one line, or drops it whole.
    pub(super) fn push(&mut self, packets: Vec<Vec<u8>>) {
        let bytes: usize = packets.iter().map(Vec::len).sum();
        if packets.is_empty() || self.bytes + bytes > MAXIMUM_WAITING {
            self.dropped += 1;
            return;
        }
        self.bytes += bytes;
        let last = packets.len() - 1;
        let packets = packets.into_iter().enumerate();
        self.waiting.extend(packets.map(|(index, bytes)| Packet { bytes, ends_line: index == last }));
    }

    /// Sends as much as the server takes now.
    pub(super) fn flush(&mut self, shared: &mut EventLoop) {
        if let Some(retry_at) = self.retry_at {
            shared.alarm.set(retry_at);
        }
        while let (Some(connection), Some(packet)) = (&self.connection, self.waiting.front()) {
            match stream::send(connection, &[&packet.bytes[self.sent..]]) {
                Ok(count) if self.is_stream() && self.sent + count < packet.bytes.len() => self.sent += count,
                Ok(_) => {
                    self.take_first();
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => break,
                    // An earlier datagram found nobody. This one was not sent yet: the server may be back.
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
        self.retry_after = RETRY.0;
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
        self.retry_at = Some(shared.now + self.retry_after);
        shared.wake_in(self.retry_after);
        self.retry_after = (self.retry_after * 2).min(RETRY.1);
    }

    pub(super) fn on_event(&mut self, event: Event, shared: &mut EventLoop) {
        if self.is_stream() && (event.hung_up || (event.readable && self.has_ended())) {
            self.lose_connection(shared);
        }
        self.flush(shared);
    }

    /// Whether the server has closed its connection; what it may send is of no interest.
    fn has_ended(&self) -> bool {
        let Some(connection) = &self.connection else { return false };
        let mut said = [0; 512];
        loop {
            match stream::receive(connection, &mut said) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    pub(super) fn tick(&mut self, shared: &mut EventLoop) {
        if self.given_up_at.is_some_and(|at| at <= shared.now) {
            return self.give_up(shared);
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

    /// The last chance is over: what still waits is lost.
    fn give_up(&mut self, shared: &mut EventLoop) {
        self.retry_at = None;
        self.close(&shared.poller);
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
        let wanted = Interest { read: self.is_stream(), write: !self.waiting.is_empty() };
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
