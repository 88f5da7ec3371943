//! Reads the log of the json-file driver.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shim_protocol::log::{Position, Reader};
use tokio::task::JoinHandle;

use super::pieces::Pieces;
use super::query::Run;
use super::wakeups::Wakeup;
use crate::error::Error;
use crate::outcome::joined;

/// How often a follower polls for new output where the kernel cannot wake it.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Output that comes in smaller intervals than this is given out together.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(5);

/// A log being read without waiting.
pub(super) struct LogPieces {
    reader: Reader,
    pieces: Pieces,
}

impl LogPieces {
    pub(super) const fn new(reader: Reader, pieces: Pieces) -> Self {
        Self { reader, pieces }
    }

    /// The next chunk for the client; `None` when there is nothing more now.
    fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        while !self.pieces.is_full() && !self.pieces.is_over() {
            let Some(record) = self.reader.next_record().map_err(io::Error::other)? else { break };
            self.pieces.push(&record)?;
        }
        let piece = self.pieces.take();
        if piece.is_none() {
            self.reader.rest();
        }
        Ok(piece)
    }

    /// Reads the next chunk on a thread that may wait for the disk.
    fn read(mut self, end: End) -> Read {
        tokio::task::spawn_blocking(move || {
            let ended = match end {
                End::None => Ok(()),
                End::At(position) => self.reader.end_at(position),
                End::Here => self.reader.end_here(),
            };
            let piece = ended.map_err(io::Error::other).and_then(|()| self.next_piece());
            (self, piece)
        })
    }
}

/// Where a log that is followed ends.
enum End {
    /// Not known yet.
    None,
    /// Where it ended with the run.
    At(Position),
    /// At the current end of the log: the run ended, and its end was not recorded.
    Here,
}

type Read = JoinHandle<(LogPieces, io::Result<Option<Vec<u8>>>)>;

/// A log being read, and followed as long as its container runs.
pub(super) struct FileStream {
    /// One chunk is read ahead, while the client takes the one before it.
    ahead: Option<Read>,
    follower: Option<Follower>,
    is_last: bool,
}

/// The wake-ups of a follower.
pub(super) struct Follower {
    pub(super) run: Run,
    /// `None` where the kernel cannot.
    pub(super) wakeup: Option<Wakeup>,
}

impl FileStream {
    pub(super) fn new(pieces: LogPieces, follower: Option<Follower>) -> Self {
        Self { ahead: Some(pieces.read(End::None)), follower, is_last: false }
    }

    /// Where reading ends as far as is recorded. The output of the next run is not for followers of this one.
    fn end(&self) -> End {
        let Some(Follower { run, .. }) = &self.follower else { return End::None };
        match run.log_end() {
            Some(position) => End::At(position),
            None if self.is_last => End::Here,
            None => End::None,
        }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let read = self.ahead.take()?;
            let (pieces, piece) = match joined(read.await) {
                Ok(read) => read,
                Err(error) => return Some(Err(error)),
            };
            match piece {
                Ok(Some(piece)) => {
                    self.ahead = Some(pieces.read(self.end()));
                    return Some(Ok(Bytes::from(piece)));
                }
                Ok(None) if self.is_last || pieces.pieces.is_over() => return None,
                Ok(None) => {
                    self.wait_for_more().await?;
                    self.ahead = Some(pieces.read(self.end()));
                }
                Err(source) => return Some(Err(Error::refused(format!("cannot read the log: {source}")))),
            }
        }
    }

    /// Waits until something is written, or notes that the container has ended so that the next read is
    /// the last. Without a follower there is nothing to wait for.
    async fn wait_for_more(&mut self) -> Option<()> {
        let Follower { run, wakeup } = self.follower.as_mut()?;
        let begun = Instant::now();
        let written = async {
            let is_woken = match wakeup {
                Some(wakeup) => wakeup.wait().await,
                None => false,
            };
            if !is_woken {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            tokio::time::sleep(SHORTEST_INTERVAL.saturating_sub(begun.elapsed())).await;
        };
        tokio::select! {
            biased;
            () = run.end() => self.is_last = true,
            () = written => {}
        }
        Some(())
    }
}
