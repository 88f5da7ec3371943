//! The thread that owns the database: it commits all that waits in one transaction.
//!
//! A batch that fails is split, so that one row that cannot be written keeps no other from the disk.
//! What stays unwritten is tried again after a growing delay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Durability;
use super::faults::Faults;
use super::queue::{Attempts, Change, Done, Next, Queue};
use super::rows::{KEPT_EVENTS, Row};
use crate::error::database_error;

/// The delay before the first retry; it doubles with each that fails.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest delay before a retry.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// Owns the connection.
pub(super) struct Writer {
    connection: Connection,
    queue: Arc<Queue>,
    faults: Faults,
    /// The number of the next change.
    next: u64,
    /// The connection's `synchronous`.
    level: Durability,
    unwritten: Unwritten,
    /// The callers of changes that are written, and followed by something that is not tried yet.
    unanswered: Vec<Done>,
}

/// Rows that could not be written yet, oldest first, and when they are tried again.
#[derive(Default)]
struct Unwritten {
    changes: Vec<Vec<Row>>,
    delay: Duration,
    retry_at: Option<Instant>,
}

impl Writer {
    pub(super) fn new(connection: Connection, queue: Arc<Queue>, faults: Faults) -> Self {
        let unwritten = Unwritten::default();
        let unanswered = Vec::new();
        Self { connection, queue, faults, next: 1, level: Durability::Crash, unwritten, unanswered }
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            let next = match self.unanswered.is_empty() {
                true => self.queue.next(self.unwritten.retry_at),
                false => Next::Write(self.queue.take()),
            };
            match next {
                Next::Write(changes) => self.write(changes),
                Next::Retry => self.retry(),
                Next::ReleasePages(done) => self.release_pages(done),
                Next::End => return self.retry(),
            }
        }
    }

    /// Releases the page cache that reading and writing have filled.
    fn release_pages(&self, done: oneshot::Sender<()>) {
        if let Err(error) = images::release_pages(&self.connection) {
            tracing::debug!("cannot release the page cache of the engine's database: {error}");
        }
        let _ = done.send(());
    }

    /// Writes changes. Those with a follow-up are acknowledged with the next ones, which the follow-up returns.
    pub(super) fn write(&mut self, changes: Vec<Change>) {
        let later = self.write_once(changes);
        for done in std::mem::replace(&mut self.unanswered, later) {
            let _ = done.send(Ok(()));
        }
        if self.unwritten.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry();
        }
    }

    /// Writes changes in one transaction; where that fails, each in its own. Gives the callers to be answered later.
    fn write_once(&mut self, changes: Vec<Change>) -> Vec<Done> {
        let first = self.next;
        self.next += changes.iter().filter(|change| !change.rows.is_empty()).count() as u64;
        let durability = changes.iter().map(|change| change.durability).max().unwrap_or(Durability::Crash);
        let all = changes.iter().map(|change| change.rows.as_slice());
        if self.commit(all, durability, first).is_ok() {
            changes.into_iter().filter_map(|change| self.finish(change)).collect()
        } else {
            let mut number = first;
            let mut unanswered = Vec::new();
            for change in changes {
                let has_rows = !change.rows.is_empty();
                unanswered.extend(self.write_alone(change, number));
                number += u64::from(has_rows);
            }
            unanswered
        }
    }

    /// Answers a change that is written; returns the caller of one that is followed by something, which is done now.
    fn finish(&mut self, change: Change) -> Option<Done> {
        self.unwritten.forget_replaced(&change.rows);
        let Some(then) = change.then else {
            let _ = change.done.send(Ok(()));
            return None;
        };
        then();
        Some(change.done)
    }

    fn write_alone(&mut self, change: Change, number: u64) -> Option<Done> {
        let result = self.commit(std::iter::once(change.rows.as_slice()), change.durability, number);
        let Err(error) = result else { return self.finish(change) };
        tracing::error!("cannot write to the engine's database: {error}");
        // Before the answer: this thread must not be the last that holds the database.
        drop(change.then);
        if change.attempts == Attempts::UntilWritten {
            self.unwritten.add(change.rows);
        }
        let _ = change.done.send(Err(database_error("save a change")(error)));
        None
    }

    /// Tries again what could not be written.
    fn retry(&mut self) {
        let changes = std::mem::take(&mut self.unwritten.changes);
        if changes.is_empty() {
            self.unwritten = Unwritten::default();
            return;
        }
        for rows in changes {
            if self.commit(std::iter::once(rows.as_slice()), Durability::Crash, 0).is_err() {
                self.unwritten.changes.push(rows);
            }
        }
        if self.unwritten.changes.is_empty() {
            self.unwritten = Unwritten::default();
            tracing::info!("the engine's database is written again: nothing is missing in it");
        } else {
            self.unwritten.wait_longer();
        }
    }

    /// Writes rows in one transaction. The change with the number `first` is the first of them.
    fn commit<'r>(
        &mut self,
        changes: impl Iterator<Item = &'r [Row]>,
        durability: Durability,
        first: u64,
    ) -> rusqlite::Result<()> {
        let changes: Vec<&[Row]> = changes.filter(|rows| !rows.is_empty()).collect();
        if changes.is_empty() {
            return Ok(());
        }
        // Outside of a transaction, and before each: what an earlier one needed does not stay.
        self.set_level(durability)?;
        let transaction = self.connection.transaction()?;
        for (number, rows) in (first..).zip(changes) {
            self.faults.check(number)?;
            for row in rows {
                row.write(&transaction)?;
            }
        }
        if durability == Durability::PowerLoss {
            self.faults.stall();
        }
        transaction.commit()?;
        #[cfg(test)]
        self.queue.count_commit();
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn synchronous(&self) -> i64 {
        self.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("a pragma")
    }

    fn set_level(&mut self, durability: Durability) -> rusqlite::Result<()> {
        if self.level == durability {
            return Ok(());
        }
        let level = match durability {
            Durability::Crash => "NORMAL",
            Durability::PowerLoss => "FULL",
        };
        self.connection.pragma_update(None, "synchronous", level)?;
        self.level = durability;
        Ok(())
    }
}

impl Unwritten {
    /// Keeps rows for a retry.
    fn add(&mut self, rows: Vec<Row>) {
        self.forget_replaced(&rows);
        self.changes.push(rows);
        let events = self.changes.iter().filter(|rows| matches!(rows[..], [Row::Event { .. }])).count();
        if events > KEPT_EVENTS as usize
            && let Some(oldest) = self.changes.iter().position(|rows| matches!(rows[..], [Row::Event { .. }]))
        {
            self.changes.remove(oldest);
        }
        if self.retry_at.is_none() {
            self.wait_longer();
        }
    }

    /// Drops rows that later ones replace.
    fn forget_replaced(&mut self, later: &[Row]) {
        for rows in &mut self.changes {
            rows.retain(|row| !later.iter().any(|later| later.replaces(row)));
        }
        self.changes.retain(|rows| !rows.is_empty());
    }

    fn wait_longer(&mut self) {
        self.delay = (self.delay * 2).clamp(FIRST_DELAY, LONGEST_DELAY);
        self.retry_at = Some(Instant::now() + self.delay);
    }
}
