//! A client's connection of TCP: queries and answers, each with its length before it, RFC 1035 section 4.2.2.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sys::epoll::{Interest, Poller};

use super::query;
use crate::token::Token;

/// How long a client may be without a whole query, or take nothing of an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The connection is to end.
pub(super) struct Ended;

/// A message with its length before it. Messages are at most 65,535 bytes long.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let message = &message[..usize::from(length)];
    [&length.to_be_bytes()[..], message].concat()
}

/// The length that stands before a message, once it is there.
pub(super) fn frame_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.first_chunk::<2>()?;
    Some(usize::from(u16::from_be_bytes(*length)))
}

/// One client. Its next query is read when it has taken the answer to the last.
pub(super) struct Connection {
    stream: TcpStream,
    token: Token,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    sent: usize,
    /// It is forwarded to the upstream servers.
    waits: bool,
    /// It sends nothing more.
    has_ended: bool,
    active_at: Instant,
    registered: Interest,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        token: Token,
        poller: &Poller,
        now: Instant,
    ) -> std::io::Result<Self> {
        poller.add(&stream, token.pack(), Interest::READ)?;
        Ok(Self {
            stream,
            token,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            waits: false,
            has_ended: false,
            active_at: now,
            registered: Interest::READ,
        })
    }

    pub(super) const fn active_at(&self) -> Instant {
        self.active_at
    }

    /// When it ends if it does nothing; never while it waits for others.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.waits).then(|| self.active_at + IDLE_TIMEOUT)
    }

    /// Reads some of what the client sends, as much as a query is long at most.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Result<(), Ended> {
        let room = (2 + query::LONGEST - self.incoming.len().min(2 + query::LONGEST)).min(scratch.len());
        if room == 0 || !self.reads() {
            return Ok(());
        }
        match self.stream.read(&mut scratch[..room]) {
            Ok(0) => self.has_ended = true,
            Ok(length) => self.incoming.extend_from_slice(&scratch[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(Ended),
        }
        Ok(())
    }

    const fn reads(&self) -> bool {
        !self.has_ended && !self.waits && self.outgoing.is_empty()
    }

    /// Whether a whole query is there and none is under way.
    pub(super) fn has_query(&self) -> bool {
        let is_free = !self.waits && self.outgoing.is_empty();
        is_free && frame_length(&self.incoming).is_some_and(|length| self.incoming.len() >= 2 + length)
    }

    /// Takes the next query.
    pub(super) fn next_query(&mut self) -> Option<Vec<u8>> {
        if !self.has_query() {
            return None;
        }
        let length = frame_length(&self.incoming)?;
        let rest = self.incoming.split_off(2 + length);
        let mut query = std::mem::replace(&mut self.incoming, rest);
        query.drain(..2);
        Some(query)
    }

    /// The answer to the last query comes later.
    pub(super) const fn wait(&mut self) {
        self.waits = true;
    }

    /// Sends an answer, as far as the client takes it now.
    pub(super) fn give(&mut self, answer: &[u8], now: Instant) {
        self.waits = false;
        self.active_at = now;
        self.outgoing = framed(answer);
        self.sent = 0;
        // A broken connection is noticed with the next event.
        let _ = self.flush(now);
    }

    /// Sends on.
    pub(super) fn flush(&mut self, now: Instant) -> Result<(), Ended> {
        while self.sent < self.outgoing.len() {
            match self.stream.write(&self.outgoing[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Ended),
            }
            self.active_at = now;
        }
        self.outgoing = Vec::new();
        self.sent = 0;
        Ok(())
    }

    /// Whether there is nothing more to do: a query that is longer than allowed, or no further one comes.
    pub(super) fn is_over(&self) -> bool {
        let is_too_long = frame_length(&self.incoming).is_some_and(|length| length > query::LONGEST);
        let is_idle = !self.waits && self.outgoing.is_empty();
        is_too_long || (self.has_ended && is_idle && !self.has_query())
    }

    /// Waits for what it can make use of.
    pub(super) fn register(&mut self, is_read: bool, poller: &Poller) {
        let interest = Interest { read: is_read && self.reads(), write: !self.outgoing.is_empty() };
        if interest != self.registered && poller.modify(&self.stream, self.token.pack(), interest).is_ok() {
            self.registered = interest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_begins_with_its_length() {
        assert_eq!(framed(b"abc"), b"\0\x03abc");
        assert_eq!(frame_length(b"\x01\x02a"), Some(258));
        assert_eq!(frame_length(b"\x01"), None);
        assert_eq!(framed(&[0; 70_000]).len(), 2 + 65_535);
    }
}
