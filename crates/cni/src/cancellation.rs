//! Cancels an addition that is no longer needed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Whether an addition was cancelled; a wait for a plugin waits for this too.
#[derive(Debug, Clone)]
pub struct Cancellation(Arc<OwnedFd>);

impl Cancellation {
    /// Nothing is cancelled yet.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Kills the plugin that runs, and lets none run after it.
    pub fn cancel(&self) {
        // A full counter has the same effect.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let mut waiting = [PollFd::new(&*self.0, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut waiting, Some(&at_once)).is_ok_and(|count| count > 0)
    }
}

impl AsFd for Cancellation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
