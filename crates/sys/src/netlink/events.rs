//! Receiving the kernel's notifications of changes that others make.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;

use super::message::{read_u16, read_u32};
use super::{HEADER_LENGTH, Protocol, RECEIVE_LENGTH, bound};

/// A change that the kernel reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The type of its message.
    pub kind: u16,
    /// The port of the socket that made the change ([`super::Socket::port`]).
    pub origin: u32,
}

/// The events that a listener received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Events {
    /// Changes.
    Some(Vec<Event>),
    /// More changes than the kernel kept for it.
    TooMany,
    /// Nothing in the time that it waited.
    None,
    /// [`Listener::close`] was called: there will be no more.
    Closed,
}

/// A socket that receives notifications of changes in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    closing: OwnedFd,
}

impl Listener {
    /// Listens to the groups of a protocol, by their numbers (1 to 32).
    ///
    /// # Errors
    /// The kernel's error, for example where it lacks the protocol.
    pub fn open(protocol: Protocol, groups: &[u32]) -> io::Result<Self> {
        let bits = groups.iter().fold(0, |bits, group| bits | 1 << (group - 1));
        let closing = rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?;
        Ok(Self { socket: bound(protocol, bits)?, closing })
    }

    /// Wakes all waiters, now and later.
    pub fn close(&self) {
        // An eventfd takes it unless its counter is full, which it then shows as well.
        let _ = rustix::io::write(&self.closing, &1_u64.to_ne_bytes());
    }

    /// Waits for changes, at most for so long if a time is given.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn wait(&self, at_most: Option<std::time::Duration>) -> io::Result<Events> {
        let time = at_most.and_then(|time| Timespec::try_from(time).ok());
        let (received, closed) = loop {
            let mut descriptors = [readable(self.socket.as_fd()), readable(self.closing.as_fd())];
            match rustix::event::poll(&mut descriptors, time.as_ref()) {
                Ok(0) => return Ok(Events::None),
                Ok(_) => break (!descriptors[0].revents().is_empty(), !descriptors[1].revents().is_empty()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        match (closed, received) {
            (true, _) => Ok(Events::Closed),
            (false, true) => self.receive(),
            (false, false) => Ok(Events::None),
        }
    }

    fn receive(&self) -> io::Result<Events> {
        let mut buffer = Vec::with_capacity(RECEIVE_LENGTH);
        match rustix::net::recv(&self.socket, spare_capacity(&mut buffer), RecvFlags::DONTWAIT) {
            Ok(_) => Ok(Events::Some(events_of(&buffer))),
            Err(rustix::io::Errno::NOBUFS) => Ok(Events::TooMany),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(Events::None),
            Err(error) => Err(error.into()),
        }
    }
}

fn readable(descriptor: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(descriptor, PollFlags::IN)
}

fn events_of(mut datagram: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while datagram.len() >= HEADER_LENGTH {
        let length = read_u32(datagram, 0) as usize;
        events.push(Event { kind: read_u16(datagram, 4), origin: read_u32(datagram, 12) });
        let next = length.max(HEADER_LENGTH).next_multiple_of(4);
        datagram = datagram.get(next..).unwrap_or_default();
    }
    events
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{ACKNOWLEDGE, CREATE, Message, Socket};
    use super::*;

    /// `RTNLGRP_LINK`, `RTM_NEWLINK`, `RTM_DELLINK`.
    const LINKS: u32 = 1;

    /// Needs root.
    #[test]
    fn changes_are_received_with_their_senders_until_closed() {
        let run = || {
            crate::network_namespace::unshare().expect("root may unshare");
            let listener = Listener::open(Protocol::Route, &[LINKS]).expect("a listener");
            assert_eq!(listener.wait(Some(Duration::ZERO)).expect("nothing"), Events::None);
            let mut socket = Socket::open(Protocol::Route).expect("a socket");
            let mut header = [0; 16];
            // The loopback, up.
            header[4..8].copy_from_slice(&1_u32.to_ne_bytes());
            header[8..12].copy_from_slice(&1_u32.to_ne_bytes());
            header[12..].copy_from_slice(&1_u32.to_ne_bytes());
            socket.request(&[Message::new(16, ACKNOWLEDGE | CREATE).fixed(&header)]).expect("set up");
            let Events::Some(events) = listener.wait(None).expect("events") else {
                panic!("nothing received")
            };
            assert_eq!(events[0].kind, 16);
            listener.close();
            assert_eq!(listener.wait(None).expect("an end"), Events::Closed);
        };
        std::thread::spawn(run).join().expect("the thread ends well");
    }
}
