//! A process that the shim started: known by its pidfd, never by its number alone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use model::{ProcessReference, Signal};

/// The container's ends of a process's stdio.
#[derive(Debug)]
pub enum Stdio {
    /// Three descriptors; any may be a pipe, a socket or a file.
    Streams {
        /// Descriptor 0.
        stdin: OwnedFd,
        /// Descriptor 1.
        stdout: OwnedFd,
        /// Descriptor 2.
        stderr: OwnedFd,
    },
    /// A new terminal in the container's own /dev/pts; its master comes back with the process.
    Terminal,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessExit {
    /// 0 to 255; 128 + n after signal n.
    pub code: i32,
    /// The signal that ended it, if one did.
    pub signal: Option<Signal>,
}

/// A child of the calling process: a container's init or an exec.
#[derive(Debug)]
pub struct Process {
    pub(crate) reference: ProcessReference,
    pub(crate) pidfd: OwnedFd,
}

impl Process {
    /// Its number on the host and when it started.
    #[must_use]
    pub const fn reference(&self) -> ProcessReference {
        self.reference
    }

    /// Sends a signal to this process alone; a process that has ended is no error.
    ///
    /// # Errors
    /// Those of `pidfd_send_signal(2)` but ESRCH.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let _ = signal;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes its exit without waiting; `None` while it runs. May be called once only after the exit.
    ///
    /// # Errors
    /// Those of `waitid(2)`.
    pub fn try_wait(&self) -> io::Result<Option<ProcessExit>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits for its exit and takes it.
    ///
    /// # Errors
    /// Those of `waitid(2)`.
    pub fn wait(&self) -> io::Result<ProcessExit> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsFd for Process {
    /// Its pidfd: readable when it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
