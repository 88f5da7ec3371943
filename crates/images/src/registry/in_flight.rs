//! Layers that are being downloaded: two pulls never fetch the same one at the same time.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use model::Digest;

use super::Cancellation;

/// How soon a waiting pull notices its cancellation.
const NOTICE: Duration = Duration::from_millis(100);

/// The digests that somebody downloads.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    busy: Mutex<HashSet<Digest>>,
    changed: Condvar,
}

/// The right to download one layer.
pub(super) struct Turn<'a> {
    in_flight: &'a InFlight,
    digest: Digest,
}

impl InFlight {
    /// Takes the turn for a layer; `None` when somebody else has it.
    pub(super) fn try_take(&self, digest: Digest) -> Option<Turn<'_>> {
        let free = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        // Made only when it is ours: dropping it gives the turn away.
        free.then(|| Turn { in_flight: self, digest })
    }

    /// Waits for the turn; `None` when the work is cancelled first.
    pub(super) fn take(&self, digest: Digest, cancellation: &Cancellation) -> Option<Turn<'_>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while !busy.insert(digest) {
            if cancellation.is_cancelled() {
                return None;
            }
            busy = self.changed.wait_timeout(busy, NOTICE).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(Turn { in_flight: self, digest })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.in_flight.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.digest);
        self.in_flight.changed.notify_all();
    }
}
