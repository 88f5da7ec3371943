//! The engine's saved state: read once when the daemon starts, then written by one thread alone.
//!
//! ```text
//! record in memory ──Row──▶ queue ──▶ writer ──one transaction for all that wait──▶ state.db
//!                              ▲         │
//!                              └─retried─┘ what cannot be written, until it is
//! ```
//!
//! Readers see memory. Callers wait for the disk only by [`Written`].

mod container;
mod durability;
mod failure;
mod faults;
mod json;
mod load;
mod migrate;
mod mount;
mod opening;
mod queue;
mod rows;
mod schema;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

pub(crate) use container::lost_container;
pub(crate) use durability::Durability;
pub(crate) use faults::Faults;
pub(crate) use load::Saved;
pub(crate) use rows::{
    ExecConfigDocument, ExecDocument, ExecRow, ExecStateDocument, KEPT_EVENTS, NetworkDocument, NetworkRow,
    Row, VolumeRow,
};

use crate::error::{Error, database_error};
use queue::{Attempts, Change, Queue, Urgency};
use writer::Writer;

/// The way to the database's writer.
pub(crate) struct Database {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Whether a write is in the database yet. Dropping it does not cancel the write.
#[must_use = "dropped, the caller does not notice a failed write"]
pub(crate) struct Written(oneshot::Receiver<Result<(), Error>>);

impl Database {
    /// Opens or makes the database, brings it to this version, and reads all of it. A row that cannot be
    /// read is moved aside, and so is a whole file that is damaged.
    ///
    /// # Errors
    /// When the file cannot be opened or read, or is of a later berth.
    pub(crate) fn open(path: &Path, faults: Faults) -> Result<(Self, Saved), Error> {
        let (connection, saved) = opening::open(path)?;
        images::release_pages(&connection).map_err(database_error("read the rows"))?;
        let queue = Arc::new(Queue::default());
        let writer = Writer::new(connection, Arc::clone(&queue), faults);
        let thread = std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| Error::refused(format!("cannot start the database's thread: {error}")))?;
        Ok((Self { queue, thread: Mutex::new(Some(thread)) }, saved))
    }

    /// Writes rows in one step. They are tried once: when that fails nothing is written, and the caller
    /// has to take back what it did.
    pub(crate) fn write(&self, rows: Vec<Row>, durability: Durability) -> Written {
        self.push(change(rows, durability, Attempts::One, None), Urgency::Now)
    }

    /// Writes rows in one step as [`Self::write`] does; once they are written, the writer's thread runs `then`. The
    /// caller is notified when the rows that `then` returns have been tried too.
    pub(crate) fn write_then(
        &self,
        rows: Vec<Row>,
        durability: Durability,
        then: impl FnOnce() + Send + 'static,
    ) -> Written {
        self.push(change(rows, durability, Attempts::One, Some(Box::new(then))), Urgency::Now)
    }

    /// Writes rows in one step, again and again until they are written or replaced by later ones. The
    /// result is that of the first attempt.
    pub(crate) fn keep(&self, rows: Vec<Row>) -> Written {
        self.push(change(rows, Durability::Crash, Attempts::UntilWritten, None), Urgency::Now)
    }

    /// Writes rows as [`Self::keep`] does, without a waiter: with the next change, or a moment later without one.
    pub(crate) fn keep_soon(&self, rows: Vec<Row>) {
        self.push(change(rows, Durability::Crash, Attempts::UntilWritten, None), Urgency::Soon).forget();
    }

    /// Waits until all earlier requests have been tried.
    pub(crate) fn flush(&self) -> Written {
        self.push(change(Vec::new(), Durability::Crash, Attempts::One, None), Urgency::Now)
    }

    /// Has the writer release its page cache; blocks until it has.
    pub(crate) fn release_pages(&self) {
        // At its end the writer holds none.
        let _ = self.queue.release_pages().blocking_recv();
    }

    fn push(&self, (change, written): (Change, Written), urgency: Urgency) -> Written {
        self.queue.push(change, urgency);
        written
    }
}

fn change(
    rows: Vec<Row>,
    durability: Durability,
    attempts: Attempts,
    then: Option<Box<dyn FnOnce() + Send>>,
) -> (Change, Written) {
    let (done, written) = oneshot::channel();
    (Change { rows, durability, attempts, done, then }, Written(written))
}

impl Drop for Database {
    fn drop(&mut self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the database's thread panicked");
        }
    }
}

impl Written {
    /// Waits for the first attempt.
    ///
    /// # Errors
    /// When the database fails, or the disk is full.
    pub(crate) async fn wait(self) -> Result<(), Error> {
        self.0.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Waits for the first attempt in a thread for blocking work.
    ///
    /// # Errors
    /// When the database fails, or the disk is full.
    pub(crate) fn wait_blocking(self) -> Result<(), Error> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Lets the write continue without a waiter: its failure is logged, and it is retried.
    pub(crate) fn forget(self) {}
}

fn closed() -> Error {
    Error::refused("the engine's database is closed")
}
