//! Sandboxes that run and are not ready: a plugin still connects them, or connecting failed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cni::Cancellation;
use model::ContainerId;
use tokio::sync::watch;

use crate::container::Record;

/// The sandboxes that are not ready, whatever their processes do.
#[derive(Debug, Default)]
pub struct Unfinished(Mutex<HashMap<ContainerId, Progress>>);

/// How far a sandbox is from being ready.
#[derive(Debug)]
enum Progress {
    /// It is being run; closed when that has ended.
    Running(Cancellation, watch::Receiver<()>),
    /// It is left half made, and goes.
    Left,
}

/// The run of a sandbox; dropped when nothing more happens to it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) cancellation: Cancellation,
    over: watch::Sender<()>,
}

/// Breaks a run off that its caller no longer waits for.
pub(super) struct CancelOnDrop(pub(super) Cancellation);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Run {
    pub(super) fn new(cancellation: Cancellation) -> Self {
        Self { cancellation, over: watch::channel(()).0 }
    }
}

impl Unfinished {
    /// Whether a sandbox runs and is connected.
    #[must_use]
    pub fn is_ready(&self, sandbox: &Record) -> bool {
        sandbox.is_running() && !self.has(&sandbox.id)
    }

    /// Whether a sandbox is being run, or is left half made.
    #[must_use]
    pub fn has(&self, id: &ContainerId) -> bool {
        self.sandboxes().contains_key(id)
    }

    /// A sandbox is being run from here on.
    pub(super) fn begin(&self, id: &ContainerId, run: &Run) {
        let progress = Progress::Running(run.cancellation.clone(), run.over.subscribe());
        self.sandboxes().insert(id.clone(), progress);
    }

    /// A sandbox is ready, unless its run was broken off before.
    pub(super) fn finish(&self, id: &ContainerId) -> bool {
        match self.sandboxes().entry(id.clone()) {
            Entry::Occupied(place) => match place.get() {
                Progress::Running(cancellation, _) if cancellation.is_cancelled() => false,
                Progress::Running(..) | Progress::Left => {
                    place.remove();
                    true
                }
            },
            Entry::Vacant(_) => true,
        }
    }

    /// Marks a sandbox whose start was given up half-way.
    pub(super) fn leave(&self, id: &ContainerId) {
        self.sandboxes().insert(id.clone(), Progress::Left);
    }

    /// A sandbox is gone.
    pub(super) fn forget(&self, id: &ContainerId) {
        self.sandboxes().remove(id);
    }

    /// Breaks the run of a sandbox off, if it is being run, and waits until it has been undone.
    pub(super) async fn break_off(&self, id: &ContainerId) {
        let over = match self.sandboxes().get(id) {
            Some(Progress::Running(cancellation, over)) => {
                cancellation.cancel();
                Some(over.clone())
            }
            Some(Progress::Left) | None => None,
        };
        if let Some(mut over) = over {
            while over.changed().await.is_ok() {}
        }
    }

    fn sandboxes(&self) -> MutexGuard<'_, HashMap<ContainerId, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_is_ready_when_its_run_has_finished_and_was_not_broken_off() {
        let unfinished = Unfinished::default();
        let (one, other) = (ContainerId::from_random([1; 32]), ContainerId::from_random([2; 32]));
        let run = || Run::new(Cancellation::new().expect("a descriptor"));
        let (good, bad) = (run(), run());
        unfinished.begin(&one, &good);
        unfinished.begin(&other, &bad);
        assert!(unfinished.has(&one) && unfinished.has(&other));
        drop(CancelOnDrop(bad.cancellation.clone()));
        assert!(unfinished.finish(&one) && !unfinished.finish(&other));
        assert!(!unfinished.has(&one) && unfinished.has(&other));
        unfinished.leave(&other);
        assert!(unfinished.has(&other));
        unfinished.forget(&other);
        assert!(!unfinished.has(&other));
    }
}
