//! One query to an upstream server over TCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use sys::epoll::{Event, Interest, Poller};

use super::connection::{frame_length, framed};
use crate::token::Token;

/// A connection to a server for one query.
pub(super) struct TcpExchange {
    stream: TcpStream,
    token: Token,
    query: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
}

impl TcpExchange {
    /// Takes a connection that is under way and waits to be written to.
    pub(super) fn new(stream: TcpStream, query: &[u8], token: Token) -> Self {
        Self { stream, token, query: framed(query), sent: 0, answer: Vec::new() }
    }

    /// Continues; returns the answer when it is complete.
    pub(super) fn advance(
        &mut self,
        event: Event,
        scratch: &mut [u8],
        poller: &Poller,
    ) -> io::Result<Option<Vec<u8>>> {
        let result = if self.sent < self.query.len() {
            self.send(poller).map(|()| None)
        } else {
            self.receive(scratch)
        };
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock && !event.hung_up => Ok(None),
            other => other,
        }
    }

    fn send(&mut self, poller: &Poller) -> io::Result<()> {
        while self.sent < self.query.len() {
            self.sent += self.stream.write(&self.query[self.sent..])?;
        }
        poller.modify(&self.stream, self.token.pack(), Interest::READ)
    }

    fn receive(&mut self, scratch: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
        let wanted = frame_length(&self.answer).map_or(2, |length| 2 + length) - self.answer.len();
        let limit = wanted.min(scratch.len());
        let length = self.stream.read(&mut scratch[..limit])?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.answer.extend_from_slice(&scratch[..length]);
        match frame_length(&self.answer) {
            Some(length) if self.answer.len() == 2 + length => Ok(Some(self.answer.split_off(2))),
            _ => Ok(None),
        }
    }
}
