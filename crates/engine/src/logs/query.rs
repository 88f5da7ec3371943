//! A client's request for a log, and how long it follows it.

use std::sync::{Arc, OnceLock};

use model::Timestamp;
use shim_protocol::log::Position;

use crate::container::{Container, Phase, Record};

/// A client's request for a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Go on as long as the container runs.
    pub follow: bool,
    /// The process's output.
    pub stdout: bool,
    /// The process's error output.
    pub stderr: bool,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Nothing newer.
    pub until: Option<Timestamp>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Each line shows the labels and variables that the driver's options select.
    pub details: bool,
    /// The form of the lines.
    pub form: LogForm,
    /// So many lines from the end; `None` is all.
    pub tail: Option<u64>,
    /// Stream frame headers; `None` frames the output of containers without a terminal.
    pub framed: Option<bool>,
}

/// The form of a log's lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogForm {
    /// They stay as they are.
    #[default]
    Lines,
    /// Each is a JSON object on a line of its own, with this before it.
    Objects {
        /// The bytes before each object.
        prefix: &'static [u8],
    },
}

/// The run of a container that a follower waits for.
pub(super) struct Run {
    changes: tokio::sync::watch::Receiver<Arc<Record>>,
    exits: u64,
    /// When the reader stops waiting for more.
    until: Option<Timestamp>,
    log_end: Arc<OnceLock<Position>>,
}

impl Run {
    pub(super) fn of(container: &Container, record: &Record, until: Option<Timestamp>) -> Self {
        let log_end = container.log_followers.add(record.exits);
        Self { changes: container.watch(), exits: record.exits, until, log_end }
    }

    /// Where the log ended with the run.
    pub(super) fn log_end(&self) -> Option<Position> {
        self.log_end.get().copied()
    }

    /// Waits until the run is over, or has never begun, but no longer than `until`.
    pub(super) async fn end(&mut self) {
        match self.until {
            Some(until) => drop(tokio::time::timeout(until.since(Timestamp::now()), self.over()).await),
            None => self.over().await,
        }
    }

    async fn over(&mut self) {
        let exits = self.exits;
        let is_over = |record: &Arc<Record>| {
            record.exits > exits || !(record.is_running() || matches!(record.phase, Phase::Starting))
        };
        let _ = self.changes.wait_for(is_over).await;
    }
}
