//! Makes pieces for a client of a log's records.

use std::io;

use shim_protocol::log::{Record, Stream};

use super::query::LogQuery;

/// Bytes of output gathered before they are given out.
const PIECE: usize = 128 * 1024;

/// Records on their way to one client.
pub(super) struct Pieces {
    stdout: bool,
    stderr: bool,
    timestamps: bool,
    framed: bool,
    /// Whether the last record of each stream ended its line.
    at_line_start: [bool; 2],
    piece: Vec<u8>,
}

impl Pieces {
    pub(super) fn new(query: &LogQuery, terminal: bool) -> Self {
        Self {
            stdout: query.stdout,
            stderr: query.stderr,
            timestamps: query.timestamps,
            framed: query.framed.unwrap_or(!terminal),
            at_line_start: [true; 2],
            piece: Vec::new(),
        }
    }

    /// Adds a record, unless the client does not want its stream.
    pub(super) fn push(&mut self, record: &Record<'_>) -> io::Result<()> {
        let (wanted, index) = match record.stream {
            Stream::Stdout => (self.stdout, 0),
            Stream::Stderr => (self.stderr, 1),
        };
        if !wanted {
            return Ok(());
        }
        let header = self.piece.len();
        if self.framed {
            self.piece.extend_from_slice(&[0; 8]);
        }
        let body = self.piece.len();
        if self.timestamps && self.at_line_start[index] {
            record.push_time(&mut self.piece);
            self.piece.push(b' ');
        }
        self.piece.extend_from_slice(record.written());
        self.at_line_start[index] = !record.is_continued();
        if self.framed {
            let length = u32::try_from(self.piece.len() - body).map_err(io::Error::other)?;
            self.piece[header..body].copy_from_slice(&record.stream.frame_header(length));
        }
        Ok(())
    }

    /// Whether enough has come together.
    pub(super) const fn is_full(&self) -> bool {
        self.piece.len() >= PIECE
    }

    /// What has come together; `None` when nothing has.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        if self.piece.is_empty() {
            return None;
        }
        let next = if self.is_full() { Vec::with_capacity(PIECE + PIECE / 4) } else { Vec::new() };
        Some(std::mem::replace(&mut self.piece, next))
    }
}
