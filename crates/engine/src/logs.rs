//! Reads a container's log for clients: framed or raw, with times, from the end, following.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::Timestamp;
use shim_protocol::log::{Reader, Start, Stream};
use tokio::sync::watch;

use crate::container::Record;
use crate::engine::Engine;
use crate::error::Error;

/// Bytes of output gathered before they are given out.
const PIECE: usize = 128 * 1024;

/// How often a follower looks for new output.
const LOOK: Duration = Duration::from_millis(25);

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
    /// Heads before pieces; `None` is as the container's terminal says.
    pub framed: Option<bool>,
}

/// A log being read.
pub struct LogStream {
    pieces: Option<LogPieces>,
    follow: Option<watch::Receiver<Arc<Record>>>,
    exits: u64,
    is_last: bool,
}

/// A log being read without waiting.
pub(crate) struct LogPieces {
    reader: Reader,
    query: LogQuery,
    framed: bool,
    /// Whether the last record of each stream ended its line.
    at_line_start: [bool; 2],
}

impl Engine {
    /// Opens a container's log.
    ///
    /// # Errors
    /// Unknown container, no stream chosen, or a driver whose logs cannot be read.
    pub async fn logs(self: &Arc<Self>, reference: &str, query: LogQuery) -> Result<LogStream, Error> {
        if !query.stdout && !query.stderr {
            return Err(Error::bad_parameter("Bad parameters: you must choose at least one stream"));
        }
        let container = self.find(reference)?;
        let record = container.record();
        let follow = (query.follow && !matches!(record.phase, crate::container::Phase::Removing))
            .then(|| container.watch());
        let pieces = self.open_logs(&record, &query)?;
        Ok(LogStream { pieces: Some(pieces), follow, exits: record.exits, is_last: false })
    }

    pub(crate) fn open_logs(&self, record: &Record, query: &LogQuery) -> Result<LogPieces, Error> {
        let driver = record.host_config.log_config.driver.as_str();
        if driver != "json-file" {
            return Err(Error::refused(format!(
                "\"logs\" endpoint is supported only for \"json-file\" and \"journald\" logging drivers, not for \"{driver}\""
            )));
        }
        let start = query.tail.map_or(Start::Beginning, Start::Tail);
        let reader = Reader::open(&self.log_path(record), start, query.since).map_err(log_error)?;
        let framed = query.framed.unwrap_or(!record.config.tty);
        Ok(LogPieces { reader, query: query.clone(), framed, at_line_start: [true; 2] })
    }
}

fn log_error(error: shim_protocol::log::LogError) -> Error {
    let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    Error::refused(format!("{error}{cause}"))
}

impl LogPieces {
    /// The next piece for the client; `None` when there is nothing more now.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            let Some(record) = self.reader.next_record().map_err(io::Error::other)? else { break };
            let (wanted, index) = match record.stream {
                Stream::Stdout => (self.query.stdout, 0),
                Stream::Stderr => (self.query.stderr, 1),
            };
            if !wanted {
                continue;
            }
            let head = piece.len();
            if self.framed {
                piece.extend_from_slice(&[0; 8]);
            }
            let body = piece.len();
            if self.query.timestamps && self.at_line_start[index] {
                record.push_time(&mut piece);
                piece.push(b' ');
            }
            piece.extend_from_slice(record.payload);
            self.at_line_start[index] = record.ends_line();
            if self.framed {
                let length = u32::try_from(piece.len() - body).map_err(io::Error::other)?;
                piece[head..body].copy_from_slice(&record.stream.frame_head(length));
            }
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

impl LogStream {
    /// The next piece; `None` at the end of the log, or of the container for a follower.
    ///
    /// # Errors
    /// When a log file cannot be read.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let mut pieces = self.pieces.take()?;
            let read = tokio::task::spawn_blocking(move || {
                let piece = pieces.next_piece();
                (pieces, piece)
            });
            let (pieces, piece) = match crate::container::connect::joined(read.await) {
                Ok(read) => read,
                Err(error) => return Some(Err(error)),
            };
            match piece {
                Ok(Some(piece)) => {
                    self.pieces = Some(pieces);
                    return Some(Ok(Bytes::from(piece)));
                }
                Ok(None) if self.is_last || self.follow.is_none() => return None,
                Ok(None) => {
                    self.pieces = Some(pieces);
                    self.wait_for_more().await;
                }
                Err(source) => return Some(Err(Error::refused(format!("cannot read the log: {source}")))),
            }
        }
    }

    /// Waits a moment, or notes that the container has ended so that the next read is the last.
    async fn wait_for_more(&mut self) {
        let Some(changes) = &mut self.follow else { return };
        let exits = self.exits;
        let ended = changes.wait_for(|record| {
            record.exits > exits
                || !(record.is_running() || matches!(record.phase, crate::container::Phase::Starting))
        });
        if let Ok(ended) = tokio::time::timeout(LOOK, ended).await {
            drop(ended);
            self.is_last = true;
        }
    }
}
