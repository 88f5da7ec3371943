//! The queue of the database's writer, in order.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Durability;
use super::rows::Row;
use crate::error::Error;

/// How long a change that may wait does so for others to be written with.
const DELAY: Duration = Duration::from_millis(10);

/// When a change is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// As soon as the writer is free.
    Now,
    /// With the next change, after [`DELAY`] at the latest: it has no waiter.
    Soon,
}

/// How often a change is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempts {
    /// Once: the caller handles its failure.
    One,
    /// Until it is written.
    UntilWritten,
}

/// Reply channel of a change.
pub(super) type Done = oneshot::Sender<Result<(), Error>>;

/// Rows that are written together or not at all.
pub(super) struct Change {
    pub(super) rows: Vec<Row>,
    pub(super) durability: Durability,
    pub(super) attempts: Attempts,
    pub(super) done: Done,
    /// Called once they are written.
    pub(super) then: Option<Box<dyn FnOnce() + Send>>,
}

/// The writer's next task.
pub(super) enum Next {
    /// Writes these.
    Write(Vec<Change>),
    /// Tries again what it could not write.
    Retry,
    /// Releases the page cache, and reports that.
    ReleasePages(oneshot::Sender<()>),
    /// Ends.
    End,
}

/// Queue between callers and the writer thread.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    ready: Condvar,
}

#[derive(Default)]
struct Waiting {
    changes: Vec<Change>,
    /// When they are to be written.
    due: Option<Instant>,
    /// The writer checks the queue again before a delayed change is due, without being woken.
    lingers: bool,
    /// Reply channel of a release of the page cache.
    release: Option<oneshot::Sender<()>>,
    closed: bool,
    #[cfg(test)]
    commits: u32,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something waits for the writer.
    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        !self.lock().changes.is_empty()
    }

    /// Counts a commit of the writer's.
    #[cfg(test)]
    pub(super) fn count_commit(&self) {
        self.lock().commits += 1;
    }

    /// How many commits there were.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u32 {
        self.lock().commits
    }

    /// Adds a change; after the end it is dropped, and its waiters are woken.
    pub(super) fn push(&self, change: Change, urgency: Urgency) {
        let now = Instant::now();
        let due = match urgency {
            Urgency::Now => now,
            Urgency::Soon => now + DELAY,
        };
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        waiting.changes.push(change);
        let is_first = waiting.due.is_none_or(|earlier| due < earlier);
        if is_first {
            waiting.due = Some(due);
        }
        let is_noticed = urgency == Urgency::Soon && waiting.lingers;
        // Woken threads find the lock free.
        drop(waiting);
        if is_first && !is_noticed {
            self.ready.notify_one();
        }
    }

    /// Has the writer release its page cache when it has nothing to write; a no-op after the end.
    pub(super) fn release_pages(&self) -> oneshot::Receiver<()> {
        let (done, released) = oneshot::channel();
        let mut waiting = self.lock();
        if !waiting.closed {
            waiting.release = Some(done);
            self.ready.notify_one();
        }
        released
    }

    /// Takes what waits, if anything does.
    pub(super) fn take(&self) -> Vec<Change> {
        self.lock().take()
    }

    /// Takes no more changes; those that wait are written.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        // Dropping it wakes its waiter.
        waiting.release = None;
        self.ready.notify_one();
    }

    /// Waits for work, at most until the moment of a retry.
    pub(super) fn next(&self, retry_at: Option<Instant>) -> Next {
        let mut waiting = self.lock();
        // Much is followed by more that may wait.
        let lingers_until = Instant::now() + DELAY;
        loop {
            waiting.lingers = false;
            if waiting.closed && waiting.changes.is_empty() {
                return Next::End;
            }
            let now = Instant::now();
            if waiting.closed || waiting.due.is_some_and(|due| due <= now) {
                return Next::Write(waiting.take());
            }
            if let Some(done) = waiting.release.take() {
                return Next::ReleasePages(done);
            }
            waiting.lingers = waiting.due.is_none() && now < lingers_until;
            let lingering = waiting.lingers.then_some(lingers_until);
            let Some(until) = [waiting.due, retry_at, lingering].into_iter().flatten().min() else {
                waiting = self.ready.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return Next::Retry;
            }
            waiting = self.ready.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Vec<Change> {
        self.due = None;
        std::mem::take(&mut self.changes)
    }
}
