//! A shim's process: the only thing whose end is the end of its container.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::ProcessReference;
use tokio::io::Interest;

use crate::readiness;

/// How often a process is polled that cannot be waited for, as where descriptors are used up.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A shim's process.
pub(super) struct Process {
    reference: ProcessReference,
    /// This daemon started it and must reap it.
    is_child: bool,
    /// Its descriptor, for the first caller that needs one.
    opened: Mutex<Option<OwnedFd>>,
}

impl Process {
    /// One that this daemon has just started.
    pub(super) fn child(pid: u32) -> Self {
        let start_time = sys::process::start_time(pid).unwrap_or_default();
        Self { reference: ProcessReference { pid, start_time }, is_child: true, opened: Mutex::default() }
    }

    /// The shim of an earlier daemon that listens on the socket this one is connected to; `None` when it has
    /// ended, is not the process of the reference, or the kernel does not report it. The kernel's answer is
    /// more reliable than the process id and start time, and available sooner.
    pub(super) fn listening(socket: BorrowedFd<'_>, reference: ProcessReference) -> Option<Self> {
        let (pid, descriptor) = sys::seqpacket::listening_process(socket).ok()?;
        let is_it = pid == reference.pid && !sys::process::has_ended(&descriptor);
        is_it.then(|| Self { reference, is_child: false, opened: Mutex::new(Some(descriptor)) })
    }

    /// One that an earlier daemon started; `None` when it has ended.
    pub(super) fn other(reference: ProcessReference) -> Option<Self> {
        let opened = match sys::process::open(reference.pid, reference.start_time) {
            Ok(descriptor) => Some(descriptor.filter(|descriptor| !sys::process::has_ended(descriptor))?),
            Err(_) if sys::process::is_alive(reference.pid, reference.start_time) => None,
            Err(_) => return None,
        };
        Some(Self { reference, is_child: false, opened: Mutex::new(opened) })
    }

    /// Its descriptor; `None` when it has ended, or another process has its number.
    fn descriptor(&self) -> std::io::Result<Option<OwnedFd>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        if opened.is_some() {
            return Ok(opened);
        }
        sys::process::open(self.reference.pid, self.reference.start_time)
    }

    /// Whether it has ended.
    fn has_ended(&self) -> bool {
        match self.descriptor() {
            Ok(Some(descriptor)) => sys::process::has_ended(&descriptor),
            Ok(None) => true,
            Err(_) => !sys::process::is_alive(self.reference.pid, self.reference.start_time),
        }
    }

    /// Whether it is stopped (SIGSTOP), so that it does nothing until it is continued.
    pub(super) fn is_stopped(&self) -> bool {
        sys::process::is_stopped(self.reference.pid)
    }

    /// Waits for its end, at most so long.
    pub(super) async fn ends_within(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.end()).await.is_ok()
    }

    /// Waits for its end.
    pub(super) async fn end(&self) {
        loop {
            let registered = match self.descriptor() {
                Ok(None) => return,
                Ok(Some(descriptor)) => readiness::register(descriptor, Interest::READABLE),
                Err(error) => Err(error),
            };
            match registered {
                // Readable once the process has ended (pidfd_open(2)).
                Ok(descriptor) if descriptor.readable().await.is_ok() => return,
                Ok(_) | Err(_) if self.has_ended() => return,
                Ok(_) | Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Kills it.
    pub(super) fn kill(&self) {
        sys::process::kill(self.reference.pid, self.reference.start_time);
    }

    /// Waits for the end of a child, and reaps it.
    pub(super) async fn reap(&self) {
        if self.is_child {
            let pid = self.reference.pid;
            self.end().await;
            let _ = tokio::task::spawn_blocking(move || sys::program::reap(pid)).await;
        }
    }
}
