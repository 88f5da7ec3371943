//! Encodes a log's records into chunks for a client.

use std::collections::BTreeMap;
use std::io;

use model::Timestamp;
use serde::Serialize;
use shim_protocol::log::{Record, Stream};

use super::query::{LogForm, LogQuery};
use crate::log_options;

/// Bytes of output gathered before they are given out.
const PIECE: usize = 128 * 1024;

/// Records on their way to one client.
pub(super) struct Pieces {
    stdout: bool,
    stderr: bool,
    timestamps: bool,
    until: Option<Timestamp>,
    /// The container's attributes that the driver selects, if they are shown.
    details: Option<BTreeMap<String, String>>,
    form: LogForm,
    framed: bool,
    /// Whether the last record of each stream ended its line.
    at_line_start: [bool; 2],
    /// A record was newer than `until`: all that follow are.
    is_over: bool,
    piece: Vec<u8>,
}

/// A record as an object.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LineObject<'a> {
    line: &'a str,
    source: &'static str,
    timestamp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attrs: Option<&'a BTreeMap<String, String>>,
}

impl Pieces {
    pub(super) fn new(query: &LogQuery, container: &crate::record::Record) -> Self {
        let framed = query.framed.unwrap_or(!container.settings.terminal);
        Self {
            stdout: query.stdout,
            stderr: query.stderr,
            timestamps: query.timestamps,
            until: query.until,
            details: query.details.then(|| log_options::selected(container)),
            form: query.form,
            framed: framed && query.form == LogForm::Lines,
            at_line_start: [true; 2],
            is_over: false,
            piece: Vec::new(),
        }
    }

    /// Adds a record, unless the client did not request its stream or its time.
    pub(super) fn push(&mut self, record: &Record<'_>) -> io::Result<()> {
        let (wanted, index) = match record.stream {
            Stream::Stdout => (self.stdout, 0),
            Stream::Stderr => (self.stderr, 1),
        };
        if let Some(until) = self.until {
            self.is_over |= record.time().is_some_and(|time| time > until);
        }
        if !wanted || self.is_over {
            return Ok(());
        }
        let is_at_start = std::mem::replace(&mut self.at_line_start[index], !record.is_continued());
        match self.form {
            LogForm::Objects { prefix } => self.push_object(record, prefix),
            LogForm::Lines => self.push_line(record, is_at_start),
        }
    }

    fn push_line(&mut self, record: &Record<'_>, is_at_start: bool) -> io::Result<()> {
        let header = self.piece.len();
        if self.framed {
            self.piece.extend_from_slice(&[0; 8]);
        }
        let body = self.piece.len();
        if self.timestamps && is_at_start {
            record.push_time(&mut self.piece);
            self.piece.push(b' ');
        }
        if let Some(details) = self.details.as_ref().filter(|_| is_at_start) {
            push_details(details, &mut self.piece);
        }
        self.piece.extend_from_slice(record.written());
        if self.framed {
            let length = u32::try_from(self.piece.len() - body).map_err(io::Error::other)?;
            self.piece[header..body].copy_from_slice(&record.stream.frame_header(length));
        }
        Ok(())
    }

    fn push_object(&mut self, record: &Record<'_>, prefix: &[u8]) -> io::Result<()> {
        let mut time = Vec::new();
        record.push_time(&mut time);
        let object = LineObject {
            line: &String::from_utf8_lossy(record.written()),
            source: record.stream.name(),
            timestamp: &String::from_utf8_lossy(&time),
            attrs: self.details.as_ref().filter(|details| !details.is_empty()),
        };
        self.piece.extend_from_slice(prefix);
        serde_json::to_writer(&mut self.piece, &object)?;
        self.piece.push(b'\n');
        Ok(())
    }

    /// Whether enough has come together.
    pub(super) const fn is_full(&self) -> bool {
        self.piece.len() >= PIECE
    }

    /// Whether nothing more is wanted.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// The collected bytes; `None` if there are none.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        if self.piece.is_empty() {
            return None;
        }
        let next = if self.is_full() { Vec::with_capacity(PIECE + PIECE / 4) } else { Vec::new() };
        Some(std::mem::replace(&mut self.piece, next))
    }
}

/// Writes `name=value,name=value `, escaped as in the query of a URL.
fn push_details(details: &BTreeMap<String, String>, out: &mut Vec<u8>) {
    for (index, (name, value)) in details.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_escaped(name, out);
        out.push(b'=');
        push_escaped(value, out);
    }
    out.push(b' ');
}

fn push_escaped(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push(b'+'),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(byte),
            byte => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_escaped() {
        let details =
            [("a b", "c,d"), ("tier", "web")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut out = Vec::new();
        push_details(&details.into(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "a+b=c%2Cd,tier=web ");
        out.clear();
        push_details(&BTreeMap::new(), &mut out);
        assert_eq!(out, b" ");
    }
}
