//! Waits until a container ends, or is gone.
//!
//! ```text
//! not-running ── it does not run (now, or after its next end)
//! next-exit ──── its program ends once more: a start that fails is no end
//! removed ────── it is gone, or its removal failed
//! ```
//!
//! A removal ends all of them.

use std::sync::Arc;

use tokio::sync::watch;

use crate::container::containers::Containers;
use crate::container::{Phase, Record, RemovalState};
use crate::error::Error;
use crate::networking::Networking;
use crate::recorded_failure::RecordedFailure;

/// The condition of a wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// That it does not run.
    #[default]
    NotRunning,
    /// That it ends once more.
    NextExit,
    /// That it is gone.
    Removed,
}

/// The outcome of a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitOutcome {
    /// The last exit code; 0 before the first.
    pub exit_code: i32,
    /// Why the last start, or the removal, failed.
    pub failure: Option<RecordedFailure>,
}

/// A wait that has begun: nothing that happens from now on is missed.
pub struct Wait {
    condition: WaitCondition,
    /// How often it had ended when the wait began.
    exits: u64,
    /// How often its program had ended then.
    ends: u64,
    changes: watch::Receiver<Arc<Record>>,
    removal: watch::Receiver<RemovalState>,
    networking: Arc<Networking>,
}

impl Containers {
    /// Begins to wait for a container.
    ///
    /// # Errors
    /// Unknown container.
    pub fn begin_wait(&self, reference: &str, condition: WaitCondition) -> Result<Wait, Error> {
        let container = self.directory.find(reference)?;
        let (changes, removal) = (container.watch(), container.removal.subscribe());
        let record = container.record();
        let networking = Arc::clone(&self.networking);
        Ok(Wait { condition, exits: record.exits, ends: ends(&record), changes, removal, networking })
    }
}

impl Wait {
    /// Waits until the condition holds.
    pub async fn outcome(self) -> WaitOutcome {
        let Self { condition, exits, ends: before, mut changes, removal, networking } = self;
        let last = changes.clone();
        let ended = async {
            let ended = changes.wait_for(|record| match condition {
                WaitCondition::NotRunning => {
                    record.exits > exits
                        || matches!(record.phase, Phase::Created | Phase::Exited | Phase::Removing)
                }
                WaitCondition::NextExit => ends(record) > before,
                WaitCondition::Removed => false,
            });
            ended.await.is_ok()
        };
        let failure = tokio::select! {
            biased;
            // The record's sender is part of the container, which is there until its removal is done.
            true = ended => None,
            failure = removed(removal, condition == WaitCondition::Removed) => failure,
        };
        let record = Arc::clone(&last.borrow());
        if record.has_published_ports() {
            // The waiter may reuse them.
            networking.until_ports_are_free().await;
        }
        let failure = failure.map(RecordedFailure::Other).or_else(|| record.failure.clone());
        WaitOutcome { exit_code: record.exit_code, failure }
    }
}

/// Waits until a container is gone, or, with `or_failed`, until its removal fails: then it returns the reason.
async fn removed(mut removal: watch::Receiver<RemovalState>, or_failed: bool) -> Option<String> {
    if *removal.borrow() == RemovalState::Done {
        return None;
    }
    while removal.changed().await.is_ok() {
        match &*removal.borrow() {
            RemovalState::Failed(reason) if or_failed => return Some(reason.clone()),
            RemovalState::Pending | RemovalState::Failed(_) => {}
            RemovalState::Done => return None,
        }
    }
    None
}

/// How often its program has ended: no failed start counts.
const fn ends(record: &Record) -> u64 {
    record.exits.saturating_sub(record.failed_starts)
}
