//! The shim's side of the control socket: one daemon at a time, the newest wins.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use shim_protocol::{Envelope, MAXIMUM_PACKET, Notice, PROTOCOL, Received, UNNUMBERED};
use sys::epoll::{Interest, Poller};
use sys::seqpacket;

use crate::token::Token;

/// More notices than this that a daemon does not take cut it off: it can connect again and gets a
/// snapshot.
const MAXIMUM_WAITING: usize = 4096;

/// A notice on its way, with the descriptor beside it.
type Packet = (Vec<u8>, Option<OwnedFd>);

/// What came from the daemon.
pub(crate) enum Incoming {
    /// A request, with the descriptor beside it.
    Request(Envelope, Option<OwnedFd>),
    /// A request that this shim does not know, by its number.
    Unsupported(u64),
}

/// The connection to the daemon, and the socket at which the next one arrives.
pub(crate) struct Daemon {
    connection: Option<OwnedFd>,
    listener: Option<OwnedFd>,
    path: PathBuf,
    waiting: VecDeque<Packet>,
    /// Whether the poller waits for room to send.
    blocked: bool,
    /// The protocol that the present daemon speaks.
    protocol: u32,
}

impl Daemon {
    /// Listens at a path and takes the connection that the shim was born with.
    pub(crate) fn new(connection: OwnedFd, path: PathBuf, poller: &Poller) -> io::Result<Self> {
        let listener = seqpacket::listen(&path)?;
        seqpacket::set_nonblocking(&listener)?;
        poller.add(&listener, Token::Listener.pack(), Interest::READ)?;
        let mut daemon = Self {
            connection: None,
            listener: Some(listener),
            path,
            waiting: VecDeque::new(),
            blocked: false,
            protocol: UNNUMBERED,
        };
        daemon.take(connection, poller)?;
        Ok(daemon)
    }

    fn take(&mut self, connection: OwnedFd, poller: &Poller) -> io::Result<()> {
        seqpacket::set_nonblocking(&connection)?;
        poller.add(&connection, Token::Daemon.pack(), Interest::READ)?;
        self.waiting.clear();
        self.blocked = false;
        self.protocol = UNNUMBERED;
        self.connection = Some(connection);
        self.notify(&Notice::Hello { protocol: PROTOCOL }, None, poller);
        Ok(())
    }

    /// Takes the next daemon in place of the present one; false when none is there.
    pub(crate) fn accept(&mut self, poller: &Poller) -> bool {
        let Some(connection) = self.listener.as_ref().and_then(|listener| seqpacket::accept(listener).ok())
        else {
            return false;
        };
        self.disconnect();
        self.take(connection, poller).is_ok()
    }

    /// Whether a daemon is there.
    pub(crate) const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Ends the present connection.
    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
        self.waiting.clear();
    }

    /// Accepts no further connections.
    pub(crate) fn stop_listening(&mut self) {
        if self.listener.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Ends everything.
    pub(crate) fn close(&mut self) {
        self.stop_listening();
        self.disconnect();
    }

    /// The daemon has sent the protocol that it speaks.
    pub(crate) const fn speaks(&mut self, protocol: u32) {
        self.protocol = protocol;
    }

    /// What the daemon has sent; `None` when there is nothing now. Ends the connection when the daemon is
    /// gone or sends what cannot be read. A daemon without a protocol number expects that of an unknown
    /// request too.
    pub(crate) fn receive(&mut self) -> Option<Incoming> {
        let received = seqpacket::receive(self.connection.as_ref()?, MAXIMUM_PACKET);
        let (packet, descriptor) = match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Ok(Some(received)) => received,
            Ok(None) | Err(_) => {
                self.disconnect();
                return None;
            }
        };
        match Envelope::read(&packet) {
            Received::Known(envelope) => return Some(Incoming::Request(envelope, descriptor)),
            Received::Unknown { number } if self.protocol > UNNUMBERED => {
                return Some(Incoming::Unsupported(number));
            }
            Received::Unknown { .. } | Received::Unreadable(_) => self.disconnect(),
        }
        None
    }

    /// Sends the daemon a notice; nothing is kept for one that is not there.
    pub(crate) fn notify(&mut self, notice: &Notice, beside: Option<BorrowedFd<'_>>, poller: &Poller) {
        if self.connection.is_none() || notice.since() > self.protocol {
            return;
        }
        let Ok(packet) = serde_json::to_vec(notice) else {
            return;
        };
        let beside = beside.and_then(|descriptor| descriptor.try_clone_to_owned().ok());
        self.waiting.push_back((packet, beside));
        self.flush(poller);
        if self.waiting.len() > MAXIMUM_WAITING {
            self.disconnect();
        }
    }

    /// Sends what waits, as far as the daemon takes it.
    pub(crate) fn flush(&mut self, poller: &Poller) {
        let Some(connection) = self.connection.as_ref() else {
            return;
        };
        while let Some((packet, beside)) = self.waiting.front() {
            match seqpacket::send(connection, packet, beside.as_ref().map(AsFd::as_fd)) {
                Ok(()) => self.waiting.pop_front(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return self.disconnect(),
            };
        }
        let blocked = !self.waiting.is_empty();
        if blocked != self.blocked {
            let interest = Interest { read: true, write: blocked };
            let _ = poller.modify(connection, Token::Daemon.pack(), interest);
            self.blocked = blocked;
        }
    }
}
