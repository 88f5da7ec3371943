//! Clients that are joined to the stdio of a process: their numbers and what they type to leave.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that end an attachment when typed on a terminal: Ctrl-P, Ctrl-Q.
pub(crate) const DETACH_KEYS: [u8; 2] = [0x10, 0x11];

/// Gives each client a number unlike any that a shim has seen, from this daemon or from one before it.
pub(crate) struct ClientNumbers(AtomicU64);

impl Default for ClientNumbers {
    fn default() -> Self {
        Self(AtomicU64::new(crate::random::number() >> 16))
    }
}

impl ClientNumbers {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
