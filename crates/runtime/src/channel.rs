//! The messages between a container's parent and its half-made process, over a socket pair.
//!
//! ```text
//! parent                      child
//!   ──── CgroupMade ────────→        the cgroup's directories exist
//!   ←─── Terminal (+ master) ─       with a terminal only
//!   ──── Start ─────────────→        the gate opens
//!   ←─── Born (+ pidfd) ─────        with an exec only
//!   ←─── Executing ──────────        then end of file: the program runs
//!   ←─── Failed ─────────────        or this, at any time
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use model::InterfaceConfig;
use rustix::event::{PollFd, PollFlags};
use rustix::time::Timespec;
use serde::{Deserialize, Serialize};

use crate::{FailureKind, StartError};

/// No message is longer, in bytes.
const LIMIT: usize = 64 * 1024;

/// Parent to child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// The cgroup's directories exist.
    CgroupMade,
    /// The child is in its cgroup and may go on to its program.
    Start(Option<InterfaceConfig>),
}

/// Child to parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// With the terminal's master as descriptor.
    Terminal,
    /// The process of an exec is born, with this number on the host, and its pidfd as descriptor.
    Born(u32),
    /// Nothing is left to do but execve.
    Executing,
    /// The child gives up.
    Failed { failure: FailureKind, message: String },
}

/// One end of the conversation.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// Makes both ends: the parent's, the child's.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        sys::seqpacket::pair().map(|(parent, child)| (Self(parent), Self(child)))
    }

    fn send<T: Serialize>(&self, message: &T, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        sys::seqpacket::send(&self.0, &serde_json::to_vec(message)?, descriptor)
    }

    fn receive<T: for<'a> Deserialize<'a>>(&self) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        match sys::seqpacket::receive(&self.0, LIMIT)? {
            Some((packet, descriptor)) => Ok(Some((serde_json::from_slice(&packet)?, descriptor))),
            None => Ok(None),
        }
    }

    /// Parent: lets the child go on.
    pub(crate) fn command(&self, command: &Command) -> io::Result<()> {
        self.send(command, None)
    }

    /// Parent: waits until the child has executed or died, and is woken once for that: all its reports can be read
    /// then. A child that hangs, on a file system that does not answer for example, is an error at last; what it
    /// has reported so far can be read nevertheless.
    pub(crate) fn wait_for_end(&self, deadline: Instant) -> io::Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut events = [PollFd::new(&self.0, PollFlags::RDHUP)];
            match rustix::event::poll(&mut events, Some(&left)) {
                Ok(0) => {
                    sys::seqpacket::set_nonblocking(&self.0)?;
                    return Err(rustix::io::Errno::TIMEDOUT.into());
                }
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Parent: the child's next report; `None` after the last.
    pub(crate) fn report(&self) -> io::Result<Option<(Report, Option<OwnedFd>)>> {
        loop {
            match self.receive() {
                // A child that ended with a command unread resets the socket; which is reported once, before
                // its own message.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                other => return other,
            }
        }
    }

    /// Child: waits for the parent's word; a parent that is gone is an error.
    pub(crate) fn wait(&self) -> io::Result<Command> {
        loop {
            match self.receive() {
                Ok(Some((command, _))) => return Ok(command),
                Ok(None) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Child: gives the terminal's master to the parent.
    pub(crate) fn give_terminal(&self, master: BorrowedFd<'_>) -> io::Result<()> {
        self.send(&Report::Terminal, Some(master))
    }

    /// Child: reports the process of an exec.
    pub(crate) fn born(&self, pid: u32, pidfd: BorrowedFd<'_>) -> io::Result<()> {
        self.send(&Report::Born(pid), Some(pidfd))
    }

    /// Child: reports that execve comes next.
    pub(crate) fn executing(&self) -> io::Result<()> {
        self.send(&Report::Executing, None)
    }

    /// Child: gives up. A parent that is gone needs no report.
    pub(crate) fn fail(&self, error: &StartError) {
        let message = error.message.chars().take(8192).collect();
        let _ = self.send(&Report::Failed { failure: error.failure, message }, None);
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
