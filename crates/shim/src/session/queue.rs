//! Bytes on their way to a client: sent directly where the socket has room, kept where not.

use std::io;
use std::os::fd::BorrowedFd;

use sys::stream;

/// An emptied buffer larger than this is given back, in bytes.
const KEEP: usize = 64 * 1024;

/// The output that a client has not read yet.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    bytes: Vec<u8>,
    sent: usize,
}

impl Queue {
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends without sending.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Sends a header and a body behind what waits; keeps what the socket does not take. Returns whether
    /// anything was taken.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, header: &[u8], body: &[u8]) -> io::Result<bool> {
        if !self.is_empty() {
            self.push(header);
            self.push(body);
            return Ok(false);
        }
        let (mut header, mut body) = (header, body);
        let mut progress = false;
        while !header.is_empty() || !body.is_empty() {
            match stream::send(socket, &[header, body]) {
                Ok(count) => {
                    progress = true;
                    let of_header = count.min(header.len());
                    header = &header[of_header..];
                    body = &body[count - of_header..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.push(header);
                    self.push(body);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(progress)
    }

    /// Sends what waits as far as the socket takes it. Returns whether anything was taken.
    pub(crate) fn flush(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        let mut progress = false;
        while !self.is_empty() {
            match stream::send(socket, &[&self.bytes[self.sent..]]) {
                Ok(count) => {
                    self.sent += count;
                    progress = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.give_back();
        Ok(progress)
    }

    fn give_back(&mut self) {
        if self.is_empty() {
            self.sent = 0;
            if self.bytes.capacity() > KEEP {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}
