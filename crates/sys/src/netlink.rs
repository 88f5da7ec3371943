//! Requests to the kernel over netlink(7): messages are built here, sent in one go and answered.
//!
//! A [`Message`] is built with its fixed header and its attributes, several of them make a
//! batch, and [`Socket::request`] sends the batch as one datagram and reads until the kernel has
//! answered each message. What the messages mean is the caller's knowledge.

mod descriptor;
mod events;
mod message;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

pub use descriptor::Protocol;
use descriptor::{HEADER_LENGTH, NETLINK_GET_STRICT_CHK, RECEIVE_LENGTH, bound, set_option};
pub use events::{Event, Events, Listener};
pub use message::{ACKNOWLEDGE, APPEND, CREATE, DUMP, EXCLUSIVE, Message, REPLACE, attributes};
use message::{read_u16, read_u32};
use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendFlags, netlink};

/// `NLMSG_ERROR`: an error, or with number 0 an acknowledgement.
const ERROR: u16 = 0x2;
/// `NLMSG_DONE`: the end of a dump.
const DONE: u16 = 0x3;
/// `NLM_F_MULTI`: part of a dump.
const MULTI: u16 = 0x2;
/// `NLM_F_DUMP_INTR`: what was dumped changed meanwhile.
const DUMP_INTERRUPTED: u16 = 0x10;
/// `NLM_F_CAPPED` and `NLM_F_ACK_TLVS` of an acknowledgement.
const CAPPED: u16 = 0x100;
const EXTENDED: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`: the attribute that carries the kernel's own words.
const EXTENDED_TEXT: u16 = 1;

/// A message of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its type.
    pub kind: u16,
    /// Its fixed part and its attributes.
    pub payload: Vec<u8>,
}

/// The kernel refused a message of a batch, or could not be spoken to.
#[derive(Debug)]
pub struct RequestError {
    /// The error's number, as an [`io::Error`].
    pub source: io::Error,
    /// Which message of the batch it was, if the kernel reported it.
    pub position: Option<usize>,
    /// The kernel's own words, where it gave some.
    pub text: Option<String>,
}

impl RequestError {
    /// Whether the kernel's error is this one of errno(3).
    #[must_use]
    pub fn is(&self, number: rustix::io::Errno) -> bool {
        self.source.raw_os_error() == Some(number.raw_os_error())
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(formatter, "{} ({text})", self.source),
            None => write!(formatter, "{}", self.source),
        }
    }
}

impl std::error::Error for RequestError {}

impl From<io::Error> for RequestError {
    fn from(source: io::Error) -> Self {
        Self { source, position: None, text: None }
    }
}

impl From<rustix::io::Errno> for RequestError {
    fn from(source: rustix::io::Errno) -> Self {
        io::Error::from(source).into()
    }
}

/// A netlink socket. It stays in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket {
    descriptor: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// The kernel's error, for example where it lacks the protocol.
    pub fn open(protocol: Protocol) -> io::Result<Self> {
        let descriptor = bound(protocol, 0)?;
        set_option(descriptor.as_fd(), libc::NETLINK_EXT_ACK)?;
        set_option(descriptor.as_fd(), libc::NETLINK_CAP_ACK)?;
        set_option(descriptor.as_fd(), NETLINK_GET_STRICT_CHK)?;
        Ok(Self { descriptor, sequence: 0 })
    }

    /// The number by which the kernel names this socket in its reports of changes.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn port(&self) -> io::Result<u32> {
        let address = rustix::net::getsockname(&self.descriptor)?;
        Ok(netlink::SocketAddrNetlink::try_from(address)?.pid())
    }

    /// Sends the messages as one datagram and waits until the kernel has answered each that requests it
    /// ([`ACKNOWLEDGE`] or [`DUMP`]). Returns the objects of the answers.
    ///
    /// # Errors
    /// The first error of the kernel; what the messages before it did is done (except within
    /// nf_tables' own transactions).
    pub fn request(&mut self, messages: &[Message]) -> Result<Vec<Reply>, RequestError> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        let mut pending = vec![false; messages.len()];
        for (message, waits) in messages.iter().zip(&mut pending) {
            self.sequence = self.sequence.wrapping_add(1);
            message.finish(self.sequence, &mut bytes);
            *waits = message.flags() & (ACKNOWLEDGE | DUMP) != 0;
        }
        self.grow_for(bytes.len())?;
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.descriptor, &bytes, SendFlags::empty(), &kernel)?;
        let mut answers = Answers { first, pending, replies: Vec::new(), failure: None };
        // The kernel fills what it needs of it, and nothing is written to the rest.
        let mut buffer = Vec::with_capacity(RECEIVE_LENGTH);
        while answers.pending.contains(&true) {
            // The kernel has worked off the batch when sendto returns. Behind a failure it may
            // have left messages unanswered; what it did answer is there already.
            let failed = answers.failure.is_some();
            let flags = if failed { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
            buffer.clear();
            match rustix::net::recv(&self.descriptor, spare_capacity(&mut buffer), flags) {
                Ok(_) => answers.take(&buffer)?,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) if failed => break,
                Err(error) => return Err(error.into()),
            }
        }
        match answers.failure {
            Some(failure) => Err(failure),
            None => Ok(answers.replies),
        }
    }

    /// Makes room for a large batch and for its acknowledgements, which arrive at once.
    fn grow_for(&self, length: usize) -> io::Result<()> {
        const ORDINARY: usize = 32 * 1024;
        if length > ORDINARY {
            rustix::net::sockopt::set_socket_send_buffer_size_force(&self.descriptor, length * 2)?;
            let receive = length * 8;
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&self.descriptor, receive)?;
        }
        Ok(())
    }
}

/// The answers to a batch so far.
struct Answers {
    first: u32,
    pending: Vec<bool>,
    replies: Vec<Reply>,
    failure: Option<RequestError>,
}

impl Answers {
    /// Takes one datagram of the kernel.
    fn take(&mut self, mut datagram: &[u8]) -> Result<(), RequestError> {
        while datagram.len() >= HEADER_LENGTH {
            let length = read_u32(datagram, 0) as usize;
            if length < HEADER_LENGTH || length > datagram.len() {
                return Err(io::Error::from(io::ErrorKind::InvalidData).into());
            }
            let kind = read_u16(datagram, 4);
            let flags = read_u16(datagram, 6);
            let position = read_u32(datagram, 8).wrapping_sub(self.first) as usize;
            if position < self.pending.len() {
                self.take_message(kind, flags, position, &datagram[HEADER_LENGTH..length]);
            }
            datagram = &datagram[length.next_multiple_of(4).min(datagram.len())..];
        }
        Ok(())
    }

    fn take_message(&mut self, kind: u16, flags: u16, position: usize, payload: &[u8]) {
        match kind {
            ERROR | DONE => {
                self.pending[position] = false;
                let number = if payload.len() >= 4 { read_u32(payload, 0).cast_signed() } else { 0 };
                if number < 0 && kind == ERROR {
                    self.fail(number, position, extended_text(flags, payload));
                } else if number < 0 {
                    self.fail(number, position, None);
                }
            }
            _ => {
                if flags & MULTI != 0 && flags & DUMP_INTERRUPTED != 0 {
                    self.fail(-libc::EINTR, position, None);
                }
                self.replies.push(Reply { kind, payload: payload.to_vec() });
            }
        }
    }

    /// Notes the first failure.
    fn fail(&mut self, number: i32, position: usize, text: Option<String>) {
        if self.failure.is_none() {
            let source = io::Error::from_raw_os_error(-number);
            self.failure = Some(RequestError { source, position: Some(position), text });
        }
    }
}

/// The kernel's own words behind an error, `nlmsgerr` with `NETLINK_EXT_ACK`.
fn extended_text(flags: u16, payload: &[u8]) -> Option<String> {
    if flags & EXTENDED == 0 || payload.len() < 4 + HEADER_LENGTH {
        return None;
    }
    let echoed = if flags & CAPPED != 0 { HEADER_LENGTH } else { read_u32(payload, 4) as usize };
    let tail = payload.get(4 + echoed.next_multiple_of(4)..)?;
    let (_, value) = attributes(tail).find(|(kind, _)| *kind == EXTENDED_TEXT)?;
    let text = value.strip_suffix(&[0]).unwrap_or(value);
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_refuses_with_a_number_and_position() {
        let mut socket = Socket::open(Protocol::Route).expect("a socket");
        // RTM_GETLINK of a link that cannot exist.
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
        let error =
            socket.request(&[Message::new(18, ACKNOWLEDGE).fixed(&header)]).expect_err("no such link");
        assert!(error.is(rustix::io::Errno::NODEV), "{error}");
        assert_eq!(error.position, Some(0));
    }
}
