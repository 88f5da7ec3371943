//! A process that the shim started: identified by its pidfd, never by its number alone.

pub(crate) mod launch;
pub(crate) mod limits;
pub(crate) mod program;
pub(crate) mod terminal;
pub(crate) mod user;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use model::{ProcessReference, Signal};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus};
use rustix::time::Timespec;

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
    /// A new terminal in the container's own /dev/pts; its master is returned with the process.
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

impl ProcessExit {
    fn of(status: &WaitIdStatus) -> Self {
        let signal = status.terminating_signal().and_then(|number| Signal::parse(&number.to_string()).ok());
        match signal {
            Some(signal) => Self { code: 128 + i32::from(signal.number()), signal: Some(signal) },
            None => Self { code: status.exit_status().unwrap_or(0), signal: None },
        }
    }
}

impl Stdio {
    /// Its descriptors.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let streams = match self {
            Self::Streams { stdin, stdout, stderr } => Some([stdin, stdout, stderr]),
            Self::Terminal => None,
        };
        streams.into_iter().flatten().map(AsFd::as_fd)
    }

    /// Moves descriptors out of the way of the child's own 0, 1 and 2.
    pub(crate) fn above_standard(self) -> io::Result<Self> {
        let lift = |descriptor: OwnedFd| -> io::Result<OwnedFd> {
            if std::os::fd::AsRawFd::as_raw_fd(&descriptor) > 2 {
                return Ok(descriptor);
            }
            Ok(rustix::io::fcntl_dupfd_cloexec(&descriptor, 3)?)
        };
        Ok(match self {
            Self::Streams { stdin, stdout, stderr } => {
                Self::Streams { stdin: lift(stdin)?, stdout: lift(stdout)?, stderr: lift(stderr)? }
            }
            Self::Terminal => Self::Terminal,
        })
    }
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
        let number = i32::from(signal.number());
        match sys::signal::send(&self.pidfd, number) {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(()),
            other => other,
        }
    }

    /// Takes its exit without waiting; `None` while it runs. May be called once only after the exit.
    ///
    /// # Errors
    /// Those of `waitid(2)`.
    pub fn try_wait(&self) -> io::Result<Option<ProcessExit>> {
        self.wait_with(WaitIdOptions::NOHANG)
    }

    /// Waits for its exit and takes it.
    ///
    /// # Errors
    /// Those of `waitid(2)`.
    pub fn wait(&self) -> io::Result<ProcessExit> {
        self.wait_with(WaitIdOptions::empty())?.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Kills it and takes its exit. One that the kernel does not let die, as in a file system that does not
    /// respond, is reaped later with the caller's other children.
    pub(crate) fn kill_and_reap(&self) {
        // The error cannot be reported: it ends, or it hangs.
        let _ = self.signal(Signal::KILL);
        let timeout = Timespec { tv_sec: 10, tv_nsec: 0 };
        let mut events = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let _ = rustix::io::retry_on_intr(|| rustix::event::poll(&mut events, Some(&timeout)));
        let _ = self.try_wait();
    }

    fn wait_with(&self, options: WaitIdOptions) -> io::Result<Option<ProcessExit>> {
        let options = options | WaitIdOptions::EXITED;
        let status = rustix::io::retry_on_intr(|| {
            rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options)
        })?;
        Ok(status.as_ref().map(ProcessExit::of))
    }
}

impl AsFd for Process {
    /// Its pidfd: readable when it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
