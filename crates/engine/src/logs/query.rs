//! What a client wants of a log, and how long it follows it.

use std::sync::Arc;

use model::Timestamp;

use crate::container::{Container, Phase, Record};

/// What a client wants of a log.
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
    /// Each line begins with its time.
    pub timestamps: bool,
    /// So many lines from the end; `None` is all.
    pub tail: Option<u64>,
    /// Stream frame headers; `None` is as the container's terminal says.
    pub framed: Option<bool>,
}

/// The run of a container that a follower waits for.
pub(super) struct Run {
    changes: tokio::sync::watch::Receiver<Arc<Record>>,
    exits: u64,
}

impl Run {
    pub(super) fn of(container: &Container, record: &Record) -> Self {
        Self { changes: container.watch(), exits: record.exits }
    }

    /// Waits until the run is over; one that never began is.
    pub(super) async fn end(&mut self) {
        let exits = self.exits;
        let is_over = |record: &Arc<Record>| {
            record.exits > exits || !(record.is_running() || matches!(record.phase, Phase::Starting))
        };
        let _ = self.changes.wait_for(is_over).await;
    }
}
