//! The running builds, by reference, and the records of those that are over.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::progress::Progress;
use crate::remembered::{Remembered, record};
use buildkit_messages::history::{BuildHistoryEvent, BuildHistoryEventKind};

/// How long a request waits for a build that has not begun: clients send it before they build.
const OPENING: Duration = Duration::from_secs(5);
/// Builds at once.
const BUILD_LIMIT: usize = 256;
/// Records of builds that are over; the oldest goes.
const HISTORY_LIMIT: usize = 50;
/// Builds that are over and whose progress can still be read, however large it is.
const ENDED_LEAST: usize = 1;
/// The limit of the progress of all builds that are over, in bytes; beyond that the oldest is dropped.
const ENDED_WEIGHT: usize = 32 << 20;

/// The builds.
#[derive(Debug)]
pub(crate) struct Builds {
    state: Mutex<State>,
    changed: Notify,
    /// Counts the builds that their clients did not name.
    unnamed: AtomicU64,
    /// Counts the changes of the history.
    history: watch::Sender<u64>,
    /// Notified whenever a build has ended.
    ended: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    running: HashMap<String, Arc<Build>>,
    history: VecDeque<Remembered>,
    /// The progress of builds that are over, for late requests and for their records.
    ended: VecDeque<(String, Arc<Progress>)>,
}

impl State {
    /// Drops the oldest progress where there is too much of it.
    fn forget_progress(&mut self) {
        let mut weight: usize = self.ended.iter().map(|(_, progress)| progress.weight()).sum();
        while self.ended.len() > ENDED_LEAST && (self.ended.len() > HISTORY_LIMIT || weight > ENDED_WEIGHT) {
            let Some((_, progress)) = self.ended.pop_front() else { return };
            weight = weight.saturating_sub(progress.weight());
        }
    }
}

impl Builds {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            unnamed: AtomicU64::new(0),
            history: watch::Sender::new(0),
            ended: Arc::default(),
        }
    }

    /// A name for a build whose client gave none.
    pub(crate) fn new_reference(&self) -> String {
        format!("unnamed-{}", self.unnamed.fetch_add(1, Ordering::Relaxed))
    }

    /// Begins a build; it ends, cancelled if it still runs, with what this gives.
    ///
    /// # Errors
    /// [`Status`] for an invalid or taken reference, or too many builds.
    pub(crate) fn begin(&self, build: Arc<Build>) -> Result<Running<'_>, Status> {
        let reference = build.reference.clone();
        if reference.is_empty() || reference.len() > 256 {
            return Err(Status::invalid(format!("{reference:?} is no reference of a build")));
        }
        let mut state = self.lock();
        if state.running.len() >= BUILD_LIMIT {
            return Err(Status::new(Code::ResourceExhausted, "too many builds are running"));
        }
        if state.running.contains_key(&reference) {
            return Err(Status::new(Code::AlreadyExists, format!("job ID {reference} exists")));
        }
        // From here on the name stands for this build.
        state.ended.retain(|(ended, _)| *ended != reference);
        state.running.insert(reference, Arc::clone(&build));
        drop(state);
        self.changed.notify_waiters();
        self.history.send_modify(|changes| *changes += 1);
        Ok(Running { builds: self, build, outcome: None })
    }

    /// Finds a build that runs, waiting a moment for one that is about to begin.
    ///
    /// # Errors
    /// `NotFound` when it does not come, `FailedPrecondition` when it is over.
    pub(crate) async fn find(&self, reference: &str) -> Result<Arc<Build>, Status> {
        let over = || Status::new(Code::FailedPrecondition, format!("the build {reference} is over"));
        let look = |state: &State| {
            let running = state.running.get(reference).map(|build| Ok(Arc::clone(build)));
            let has_ended = || state.ended.iter().any(|(ended, _)| ended == reference);
            running.or_else(|| has_ended().then(|| Err(over())))
        };
        self.await_build(reference, look).await?
    }

    /// Cancels a build, if it runs.
    pub(crate) fn cancel(&self, reference: &str) {
        if let Some(build) = self.lock().running.get(reference) {
            build.cancel();
        }
    }

    /// Finds the progress of a build that runs, is about to begin, or has just ended.
    ///
    /// # Errors
    /// `NotFound` when there is no such build.
    pub(crate) async fn progress(&self, reference: &str) -> Result<Arc<Progress>, Status> {
        let look = |state: &State| {
            let running = state.running.get(reference).map(|build| Arc::clone(&build.progress));
            let ended = || state.ended.iter().find(|(ended, _)| ended == reference);
            running.or_else(|| ended().map(|(_, progress)| Arc::clone(progress)))
        };
        self.await_build(reference, look).await
    }

    async fn await_build<T>(&self, reference: &str, look: impl Fn(&State) -> Option<T>) -> Result<T, Status> {
        let search = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Registered before the check, so that no change between the two is lost.
                changed.as_mut().enable();
                if let Some(found) = look(&self.lock()) {
                    return found;
                }
                changed.await;
            }
        };
        let missing = |_| Status::new(Code::NotFound, format!("no such job {reference}"));
        timeout(OPENING, search).await.map_err(missing)
    }

    /// All builds now: those that run, then those that are over.
    pub(crate) fn events(&self, active_only: bool) -> Vec<BuildHistoryEvent> {
        let state = self.lock();
        let event = |kind: BuildHistoryEventKind, record| BuildHistoryEvent {
            kind: kind.into(),
            record: Some(record),
        };
        let running = state
            .running
            .values()
            .filter(|build| !build.is_internal)
            .map(|build| event(BuildHistoryEventKind::Started, record(build, None)));
        let over = state.history.iter().filter(|_| !active_only).map(|build| build.record.clone());
        running.chain(over.map(|record| event(BuildHistoryEventKind::Complete, record))).collect()
    }

    /// Notified whenever a build has ended.
    pub(crate) fn ended(&self) -> Arc<Notify> {
        Arc::clone(&self.ended)
    }

    /// The document of a digest that the record of a build names.
    pub(crate) fn document(&self, digest: &str) -> Option<Bytes> {
        self.lock().history.iter().find_map(|build| build.document(digest))
    }

    /// A watch of the history's changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.history.subscribe()
    }

    /// Deletes or pins the record of a build.
    ///
    /// # Errors
    /// `NotFound` when there is no such record.
    pub(crate) fn update_record(&self, reference: &str, update: RecordUpdate) -> Result<(), Status> {
        let mut state = self.lock();
        let found = state.history.iter().position(|build| build.record.reference == reference);
        let missing = || Status::new(Code::NotFound, format!("no record of the build {reference}"));
        let index = found.ok_or_else(missing)?;
        match update {
            RecordUpdate::Delete => drop(state.history.remove(index)),
            RecordUpdate::Pin(pinned) => state.history[index].record.pinned = pinned,
        }
        drop(state);
        self.history.send_modify(|changes| *changes += 1);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's change of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordUpdate {
    Delete,
    Pin(bool),
}

/// A build's place among those that run.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    builds: &'a Builds,
    build: Arc<Build>,
    outcome: Option<Result<HashMap<String, String>, Status>>,
}

impl Running<'_> {
    /// Notes how the build ended.
    pub(crate) fn conclude(&mut self, outcome: &Result<HashMap<String, String>, Status>) {
        self.outcome = Some(outcome.clone());
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(Status::cancelled()));
        // Whatever still works for it has no reason any more.
        self.build.cancel();
        let mut state = self.builds.lock();
        state.running.remove(&self.build.reference);
        if !self.build.is_internal {
            state.history.push_back(Remembered::new(&self.build, &outcome));
        }
        if state.history.len() > HISTORY_LIMIT {
            let oldest = state.history.iter().position(|build| !build.record.pinned).unwrap_or(0);
            state.history.remove(oldest);
        }
        state.ended.push_back((self.build.reference.clone(), Arc::clone(&self.build.progress)));
        state.forget_progress();
        drop(state);
        self.build.progress.end();
        self.builds.history.send_modify(|changes| *changes += 1);
        self.builds.ended.notify_one();
    }
}
