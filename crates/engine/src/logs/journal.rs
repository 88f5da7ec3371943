//! Reads the log of the journald driver through journalctl(1), which handles the journal's files, their
//! rotation and their compression.
//!
//! ```text
//! All ──end──▶ Over               without a follower: one run of journalctl
//! Past ──end──▶ Following ──container ends──▶ Last ──end──▶ Over
//! ```
//!
//! A follower begins behind the last entry of the past, by its cursor: journalctl that follows from the last
//! entry sometimes shows none.

use std::process::Stdio;

use bytes::Bytes;
use model::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};

use super::export::{Entry, Parser};
use super::pieces::Pieces;
use super::query::{LogQuery, Run};
use crate::container::Record;
use crate::error::Error;

/// How much is read at once, in bytes.
const BLOCK: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    All,
    Past,
    Following,
    Last,
    Over,
}

/// A container's entries in the journal.
pub(super) struct JournalStream {
    container: String,
    since: Option<Timestamp>,
    tail: Option<u64>,
    pieces: Pieces,
    stage: Stage,
    run: Option<Run>,
    reading: Option<Reading>,
    /// The last entry given out.
    cursor: Option<String>,
    /// When reading began: where the last run starts if nothing was read before.
    began: Timestamp,
}

/// A journalctl that writes entries; it ends with this value.
struct Reading {
    _program: Child,
    output: ChildStdout,
    parser: Parser,
    buffer: Vec<u8>,
}

impl JournalStream {
    pub(super) async fn open(record: &Record, query: &LogQuery, run: Option<Run>) -> Result<Self, Error> {
        let mut stream = Self {
            container: record.id.to_string(),
            since: query.since,
            tail: query.tail,
            pieces: Pieces::new(query, record),
            stage: if run.is_some() { Stage::Past } else { Stage::All },
            run,
            reading: None,
            cursor: None,
            began: Timestamp::now(),
        };
        synchronise().await?;
        stream.reading = Some(stream.spawn()?);
        Ok(stream)
    }

    /// Starts a journalctl for the stage.
    fn spawn(&self) -> Result<Reading, Error> {
        let mut command = Command::new("journalctl");
        command.args(["--quiet", "--output=export", "--all"]);
        command.arg("--output-fields=MESSAGE,PRIORITY,CONTAINER_PARTIAL_MESSAGE");
        if self.stage == Stage::Following {
            command.arg("--follow");
        }
        let mut since = self.since;
        match (&self.cursor, self.stage) {
            (Some(cursor), _) => {
                command.arg(format!("--after-cursor={cursor}"));
                since = None;
            }
            (None, Stage::Last) => since = Some(since.map_or(self.began, |since| since.max(self.began))),
            (None, Stage::All | Stage::Past | Stage::Following | Stage::Over) => {}
        }
        match self.tail {
            // For `--lines=0` the last one is read, for its cursor.
            Some(tail) if self.is_past() => command.arg(format!("--lines={}", tail.max(1))),
            // A follower would get the last ten alone.
            _ => command.arg("--lines=all"),
        };
        if let Some(since) = since.filter(|since| since.unix_seconds() > 0) {
            command.arg(format!("--since=@{}", since.unix_seconds()));
        }
        // What others write in the name of this container is not its log.
        command.arg(format!("_UID={}", rustix::process::geteuid().as_raw()));
        command.arg(format!("CONTAINER_ID_FULL={}", self.container));
        let mut program = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(unreadable)?;
        let output = program.stdout.take().ok_or_else(|| unreadable("it has no output"))?;
        Ok(Reading { _program: program, output, parser: Parser::default(), buffer: vec![0; BLOCK] })
    }

    /// Whether what is read now is counted from the end.
    fn is_past(&self) -> bool {
        matches!(self.stage, Stage::All | Stage::Past)
    }

    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            if let Some(piece) = self.pieces.take() {
                return Some(Ok(Bytes::from(piece)));
            }
            if self.stage == Stage::Over || self.pieces.is_over() {
                return None;
            }
            if let Err(error) = self.read().await {
                self.stage = Stage::Over;
                return Some(Err(error));
            }
        }
    }

    /// Reads a block, or continues with the next stage.
    async fn read(&mut self) -> Result<(), Error> {
        let Some(reading) = &mut self.reading else {
            self.stage = Stage::Over;
            return Ok(());
        };
        let ended = async {
            match (self.stage, &mut self.run) {
                (Stage::Following, Some(run)) => run.end().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            read = reading.output.read(&mut reading.buffer) => match read.map_err(unreadable)? {
                0 if self.stage == Stage::Past => {
                    self.stage = Stage::Following;
                    self.reading = Some(self.spawn()?);
                    Ok(())
                }
                0 => {
                    self.reading = None;
                    self.stage = Stage::Over;
                    Ok(())
                }
                count => self.take(count),
            },
            () = ended => {
                // The journal takes entries a moment after they were sent.
                synchronise().await?;
                self.stage = Stage::Last;
                self.reading = Some(self.spawn()?);
                Ok(())
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<(), Error> {
        let is_wanted = !(self.is_past() && self.tail == Some(0));
        let Some(reading) = &mut self.reading else { return Ok(()) };
        reading.parser.push(&reading.buffer[..count]);
        let earliest = match (self.stage, &self.cursor) {
            (Stage::Last, None) => Some(self.began),
            _ => self.since,
        };
        while let Some(entry) = reading.parser.next_entry() {
            let Entry { record, cursor, at } = &entry;
            self.cursor.clone_from(cursor);
            if is_wanted && earliest.is_none_or(|earliest| *at >= earliest) {
                self.pieces.push(&record.borrow()).map_err(unreadable)?;
            }
        }
        Ok(())
    }
}

/// Has the journal take everything that was sent to it.
async fn synchronise() -> Result<(), Error> {
    let mut command = Command::new("journalctl");
    command.arg("--sync").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.map(drop).map_err(unreadable)
}

fn unreadable(cause: impl std::fmt::Display) -> Error {
    Error::refused(format!("cannot read the journal with journalctl: {cause}"))
}
