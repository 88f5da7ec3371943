//! Lets builds that need the same step at the same time do its work once.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use images::registry::Cancellation;
use model::Digest;

use crate::error::BuildError;

/// How often a waiting build checks whether it is cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The steps that are being made.
#[derive(Debug, Default, Clone)]
pub(super) struct InFlight(Arc<Steps>);

#[derive(Debug, Default)]
struct Steps {
    running: Mutex<HashSet<Step>>,
    ended: Condvar,
}

/// A step: its parent and the fingerprint of its container's configuration.
type Step = (Option<Digest>, Digest);

/// The right to make a step; others that need it wait until this is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<(InFlight, Step)>);

impl Turn {
    /// The right to make a step that no other build would make.
    pub(super) const fn free() -> Self {
        Self(None)
    }
}

impl InFlight {
    /// Waits until the step is not being made.
    ///
    /// # Errors
    /// [`BuildError::Cancelled`] when the build is cancelled meanwhile.
    pub(super) fn wait(&self, step: Step, cancellation: &Cancellation) -> Result<Turn, BuildError> {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        while !running.insert(step) {
            if cancellation.is_cancelled() {
                return Err(BuildError::Cancelled);
            }
            running =
                self.0.ended.wait_timeout(running, POLL_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(running);
        Ok(Turn(Some((self.clone(), step))))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((in_flight, step)) = self.0.take() {
            in_flight.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&step);
            in_flight.0.ended.notify_all();
        }
    }
}
