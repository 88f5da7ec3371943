//! Reads a container's log for clients: framed or raw, with times, from the end, following.

mod export;
mod file;
pub(crate) mod followers;
mod journal;
mod pieces;
mod query;
mod wakeups;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use model::{LOG_DRIVERS, LogDriver, LogSource};
use shim_protocol::log::{Reader, Start};

use crate::container::{Phase, Record};
use crate::directory::Directory;
use crate::error::Error;
use crate::outcome::joined;
use crate::paths::Paths;

use file::{FileStream, Follower, LogPieces};
use journal::JournalStream;
use pieces::Pieces;
use query::Run;

pub use query::{LogForm, LogQuery};
pub(crate) use wakeups::LogWakeups;

/// A log being read.
pub struct LogStream(Source);

enum Source {
    File(FileStream),
    Journal(Box<JournalStream>),
}

/// The logs of containers.
pub struct Logs {
    pub(crate) directory: Arc<Directory>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) wakeups: LogWakeups,
}

impl Logs {
    /// Opens a container's log.
    ///
    /// # Errors
    /// Unknown container, no stream chosen, or a driver whose logs cannot be read.
    pub async fn read(&self, reference: &str, query: LogQuery) -> Result<LogStream, Error> {
        if !query.stdout && !query.stderr {
            return Err(Error::NoStreamChosen);
        }
        let container = self.directory.find(reference)?;
        let record = container.record();
        let run = (query.follow && !matches!(record.phase, Phase::Removing))
            .then(|| Run::of(&container, &record, query.until));
        match record.settings.host.log.source() {
            LogSource::Nowhere => Err(unreadable(record.settings.host.log.driver.as_ref())),
            LogSource::Journal => {
                let stream = JournalStream::open(&record, &query, run).await?;
                Ok(LogStream(Source::Journal(Box::new(stream))))
            }
            LogSource::File => {
                // Watched before it is read: what is written in between wakes the follower.
                let follower = run.map(|run| Follower {
                    run,
                    wakeup: self.paths.log(&record).parent().and_then(|directory| self.wakeups.of(directory)),
                });
                let pieces = self.open(&record, &query).await?;
                Ok(LogStream(Source::File(FileStream::new(pieces, follower))))
            }
        }
    }

    async fn open(&self, record: &Record, query: &LogQuery) -> Result<LogPieces, Error> {
        let reader = open(self.paths.log(record), query).await?;
        Ok(LogPieces::new(reader, Pieces::new(query, record)))
    }
}

/// Opens a log file at the place where a query begins; finding that may read much of the log.
async fn open(path: PathBuf, query: &LogQuery) -> Result<Reader, Error> {
    let start = query.tail.map_or(Start::Beginning, Start::Tail);
    let (since, follow) = (query.since, query.follow);
    let opened = tokio::task::spawn_blocking(move || match follow {
        true => Reader::open(&path, start, since),
        false => Reader::open_as_it_is(&path, start, since),
    });
    joined(opened.await)?.map_err(log_error)
}

/// Names the drivers that have logs that can be read.
fn unreadable(driver: Option<&LogDriver>) -> Error {
    // In the words of the first engine, which had no driver local.
    let readable = LOG_DRIVERS
        .iter()
        .filter(|(driver, row)| row.source != LogSource::Nowhere && *driver != LogDriver::Local);
    let readable: Vec<String> = readable.map(|(_, row)| format!("\"{}\"", row.name)).collect();
    let driver = driver.map_or("", LogDriver::name);
    Error::UnreadableLog(format!(
        "configured logging reader does not support reading: \"logs\" is supported only for {} logging drivers (got: {driver})",
        readable.join(" and ")
    ))
}

fn log_error(error: shim_protocol::log::LogError) -> Error {
    let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    Error::refused(format!("{error}{cause}"))
}

impl LogStream {
    /// The next chunk; `None` at the end of the log, or of the container for a follower.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        match &mut self.0 {
            Source::File(file) => file.next().await,
            Source::Journal(journal) => journal.next().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::busy_threads::elsewhere;

    #[test]
    fn the_place_where_a_query_begins_is_found_by_a_thread_that_may_wait() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x-json.log");
        let line = r#"{"log":"text\n","stream":"stdout","time":"2026-11-23T12:22:01.496100000Z"}"#;
        std::fs::write(&path, format!("{line}\n").repeat(1000)).expect("a log");
        for (tail, follow) in [(Some(10), false), (Some(10), true), (None, false)] {
            let query = LogQuery { tail, follow, ..LogQuery::default() };
            elsewhere(open(path.clone(), &query)).expect("a reader");
        }
    }
}
