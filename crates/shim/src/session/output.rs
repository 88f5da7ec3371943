//! The way out of a process: its pipes or its terminal, always read, and how they are waited for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use shim_protocol::log::Stream;
use sys::epoll::{Interest, Poller};
use sys::stream;

/// One descriptor that a process writes to.
pub(super) struct Output {
    pub(super) stream: Stream,
    pub(super) descriptor: OwnedFd,
    token: u64,
    terminal: bool,
    registered: bool,
}

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// No process has the other end open. A terminal may be opened again, a pipe never.
    Closed,
}

impl Output {
    pub(super) const fn new(stream: Stream, descriptor: OwnedFd, token: u64, terminal: bool) -> Self {
        Self { stream, descriptor, token, terminal, registered: false }
    }

    pub(super) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Read {
        match stream::read(&self.descriptor, buffer) {
            Ok(0) => Read::Closed,
            Ok(count) => Read::Bytes(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Nothing,
            // A terminal's master gives EIO while no process has the terminal open.
            Err(_) => Read::Closed,
        }
    }

    /// Waits for output, or not: a hang-up would be reported again and again.
    pub(super) fn register(&mut self, poller: &Poller, wanted: bool) {
        if wanted == self.registered {
            return;
        }
        let done = if wanted {
            poller.add(&self.descriptor, self.token, Interest::READ)
        } else {
            poller.remove(self.descriptor.as_fd())
        };
        if done.is_ok() {
            self.registered = wanted;
        }
    }
}
