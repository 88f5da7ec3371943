//! Lets builds that want the same step at the same time do its work once.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use images::document::Config;
use images::registry::Cancellation;
use model::Digest;
use sha2::{Digest as _, Sha256};

use crate::error::BuildError;

/// How often a waiting build looks whether it is cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The steps that are being made.
#[derive(Debug, Default, Clone)]
pub(super) struct InFlight(Arc<Steps>);

#[derive(Debug, Default)]
struct Steps {
    running: Mutex<HashSet<[u8; 32]>>,
    ended: Condvar,
}

/// The right to make a step; others that want it wait until this is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<(InFlight, [u8; 32])>);

impl Turn {
    /// The right to make a step that nobody else would make.
    pub(super) const fn free() -> Self {
        Self(None)
    }
}

impl InFlight {
    /// Waits until nobody makes the step.
    ///
    /// # Errors
    /// [`BuildError::Cancelled`] when the build is cancelled meanwhile.
    pub(super) fn wait(
        &self,
        parent: Option<Digest>,
        config: &Config,
        cancellation: &Cancellation,
    ) -> Result<Turn, BuildError> {
        let mut state = Sha256::new();
        state.update(parent.map_or([0; 32], |parent| *parent.as_bytes()));
        state.update(serde_json::to_vec(config)?);
        let key: [u8; 32] = state.finalize().into();
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        while !running.insert(key) {
            if cancellation.is_cancelled() {
                return Err(BuildError::Cancelled);
            }
            running =
                self.0.ended.wait_timeout(running, POLL_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(running);
        Ok(Turn(Some((self.clone(), key))))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((in_flight, key)) = self.0.take() {
            in_flight.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            in_flight.0.ended.notify_all();
        }
    }
}
