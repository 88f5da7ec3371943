//! The shared parts of the shim: the poller, the clock, the daemon, one buffer.

use std::time::{Duration, Instant};

use sys::epoll::Poller;

use crate::daemon::Daemon;

/// How much is read from a pipe or a client at once, in bytes.
pub(crate) const READ_SIZE: usize = 64 * 1024;

/// How long after something rare was done the memory that it needed is given back.
const SETTLED: Duration = Duration::from_millis(500);

/// After so many bytes of output there is something to give back again.
const MUCH: usize = 1024 * 1024;

/// Shared by all parts of the shim; passed down, never kept.
pub(crate) struct EventLoop {
    pub(crate) poller: Poller,
    pub(crate) daemon: Daemon,
    pub(crate) alarm: Alarm,
    /// The present, as of the last wait.
    pub(crate) now: Instant,
    settles_at: Option<Instant>,
    /// Bytes of output since memory was given back.
    active: usize,
    /// Since when no daemon is there for a container that is not started.
    pub(crate) deserted_since: Option<Instant>,
    /// For what was just read; its content means nothing between two calls.
    pub(crate) scratch: Box<[u8]>,
}

impl EventLoop {
    pub(crate) fn new(poller: Poller, daemon: Daemon) -> Self {
        let scratch = vec![0; READ_SIZE].into_boxed_slice();
        Self {
            poller,
            daemon,
            alarm: Alarm::default(),
            now: Instant::now(),
            settles_at: None,
            active: 0,
            deserted_since: None,
            scratch,
        }
    }

    /// Requests a tick after this time.
    pub(crate) fn wake_in(&mut self, time: Duration) {
        self.alarm.set(self.now + time);
    }

    /// Something rare is done (a start, an exec, a client that left): in a while its memory is not needed.
    pub(crate) fn settle_down(&mut self) {
        self.settles_at = Some(self.now + SETTLED);
        self.wake_in(SETTLED);
    }

    /// Output came: when it was much, and nothing more comes for a while, its memory is not needed.
    pub(crate) fn note_activity(&mut self, bytes: usize) {
        self.active = self.active.saturating_add(bytes);
        if self.active > MUCH {
            self.settle_down();
        }
    }

    /// Whether that time is over; true once.
    pub(crate) fn is_settled(&mut self) -> bool {
        match self.settles_at {
            Some(at) if at > self.now => self.alarm.set(at),
            Some(_) => {
                self.active = 0;
                return self.settles_at.take().is_some();
            }
            None => {}
        }
        false
    }
}

/// The nearest requested tick. All receive each tick; those that still wait set it again.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Instant>);

impl Alarm {
    pub(crate) fn set(&mut self, at: Instant) {
        self.0 = Some(self.0.map_or(at, |set| set.min(at)));
    }

    /// How long to wait at most.
    pub(crate) fn remaining(&self, now: Instant) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(now))
    }

    /// Whether the time has come; clears it then.
    pub(crate) fn rang(&mut self, now: Instant) -> bool {
        self.0.take_if(|at| *at <= now).is_some()
    }
}
