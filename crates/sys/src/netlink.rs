//! Requests to the kernel over netlink(7): messages are built here, sent in one go and answered.
//!
//! A [`Message`] is built with its fixed header and its attributes, several of them make a
//! batch, and [`Socket::request`] sends the batch as one datagram and reads until the kernel has
//! answered each message. What the messages mean is the caller's knowledge.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// Which part of the kernel is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes: rtnetlink(7).
    Route,
    /// nf_tables and connection tracking: nfnetlink.
    Netfilter,
}

/// `NLM_F_REQUEST`: set on every message by [`Message::new`].
const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`: the kernel confirms the message.
pub const ACKNOWLEDGE: u16 = 0x4;
/// `NLM_F_DUMP`: the kernel answers with all objects.
pub const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`: an existing object is replaced.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`: an existing object is an error.
pub const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`: a missing object is made.
pub const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: the object goes to the end of its list.
pub const APPEND: u16 = 0x800;
/// `NLA_F_NESTED`: the attribute holds attributes.
const NESTED: u16 = 0x8000;
/// The bits of an attribute's type that are its type: without `NLA_F_NESTED` and
/// `NLA_F_NET_BYTEORDER`.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

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
const HEADER_LENGTH: usize = 16;
/// A datagram of the kernel is never larger than this unless asked for.
const RECEIVE_LENGTH: usize = 64 * 1024;

/// One message under construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Begins a message of type `kind` with `flags` beside `NLM_F_REQUEST`.
    #[must_use]
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes }
    }

    /// Appends the fixed part that the message's type asks for, padded to 4 bytes.
    #[must_use]
    pub fn fixed(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends an attribute.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.push(kind, value);
        self
    }

    /// Appends an attribute that holds a string with its final zero byte.
    #[must_use]
    pub fn string(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends an attribute that holds one number in the machine's byte order.
    #[must_use]
    pub fn native_u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends an attribute that holds one number in the network's byte order.
    #[must_use]
    pub fn network_u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends an attribute that holds the attributes that `build` appends.
    #[must_use]
    pub fn nested(mut self, kind: u16, build: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        let mut message = build(self);
        let length = u16::try_from(message.bytes.len() - start).unwrap_or(u16::MAX);
        message.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        message
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn flags(&self) -> u16 {
        u16::from_ne_bytes([self.bytes[6], self.bytes[7]])
    }

    /// Writes length and sequence number into the header and gives the finished bytes.
    fn finish(&self, sequence: u32, into: &mut Vec<u8>) {
        let start = into.len();
        into.extend_from_slice(&self.bytes);
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        into[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        into[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
    }
}

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
    /// Which message of the batch it was, where the kernel said so.
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
        let protocol = match protocol {
            // NETLINK_ROUTE is number 0, which is also what no number means.
            Protocol::Route => None,
            Protocol::Netfilter => Some(netlink::NETFILTER),
        };
        let descriptor = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        rustix::net::bind(&descriptor, &netlink::SocketAddrNetlink::new(0, 0))?;
        set_option(descriptor.as_fd(), libc::NETLINK_EXT_ACK)?;
        set_option(descriptor.as_fd(), libc::NETLINK_CAP_ACK)?;
        set_option(descriptor.as_fd(), NETLINK_GET_STRICT_CHK)?;
        Ok(Self { descriptor, sequence: 0 })
    }

    /// Sends the messages as one datagram and waits until the kernel has answered each that
    /// asks for it ([`ACKNOWLEDGE`] or [`DUMP`]). Gives the objects with which it answered.
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
        let mut buffer = vec![0; RECEIVE_LENGTH];
        while answers.pending.contains(&true) {
            // The kernel has worked off the batch when sendto returns. Behind a failure it may
            // have left messages unanswered; what it did answer is there already.
            let failed = answers.failure.is_some();
            let flags = if failed { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
            match rustix::net::recv(&self.descriptor, &mut buffer[..], flags) {
                Ok((length, _)) => answers.take(&buffer[..length])?,
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

    /// Makes room for a large batch and for the acknowledgements that come back at once.
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

/// What has come back of a batch.
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
    let attributes = payload.get(4 + echoed.next_multiple_of(4)..)?;
    let (_, value) = self::attributes(attributes).find(|(kind, _)| *kind == EXTENDED_TEXT)?;
    let text = value.strip_suffix(&[0]).unwrap_or(value);
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Walks the attributes in `bytes`: their types, without flag bits, and values.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.len() < 4 {
            return None;
        }
        let length = usize::from(read_u16(rest, 0));
        if length < 4 || length > rest.len() {
            return None;
        }
        let kind = read_u16(rest, 2) & ATTRIBUTE_TYPE;
        let value = &rest[4..length];
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        Some((kind, value))
    })
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// `NETLINK_GET_STRICT_CHK` of linux/netlink.h: dumps honour the filters in their header.
const NETLINK_GET_STRICT_CHK: libc::c_int = 12;

/// Turns a boolean option of `SOL_NETLINK` on.
fn set_option(descriptor: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = u32::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: `on` lives through the call and `length` is its size.
    let result = unsafe {
        libc::setsockopt(
            descriptor.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            std::ptr::from_ref(&on).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_length_and_padded_nested_attributes() {
        let message = Message::new(16, ACKNOWLEDGE)
            .fixed(&[7; 3])
            .nested(5, |message| message.string(1, "ab").native_u32(2, 9));
        let mut bytes = Vec::new();
        message.finish(3, &mut bytes);
        assert_eq!(bytes.len(), 16 + 4 + 4 + 8 + 8);
        assert_eq!(read_u32(&bytes, 0) as usize, bytes.len());
        assert_eq!(read_u32(&bytes, 8), 3);
        let outer: Vec<_> = attributes(&bytes[20..]).collect();
        assert_eq!(outer.len(), 1);
        assert_eq!(outer[0].0, 5);
        let nested: Vec<_> = attributes(outer[0].1).collect();
        assert_eq!(nested, vec![(1, &b"ab\0"[..]), (2, &9u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn truncated_attributes_end_the_walk() {
        assert_eq!(attributes(&[9, 0, 1, 0, 1]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
    }

    #[test]
    fn the_kernel_refuses_with_a_number_and_position() {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        // RTM_GETLINK of a link that cannot exist.
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
        let error = socket.request(&[Message::new(18, ACKNOWLEDGE).fixed(&header)]).unwrap_err();
        assert!(error.is(rustix::io::Errno::NODEV), "{error}");
        assert_eq!(error.position, Some(0));
    }
}
