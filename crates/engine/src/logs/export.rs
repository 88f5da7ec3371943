//! The Journal Export Format (systemd): fields of entries, an empty line behind each.

use model::Timestamp;
use shim_protocol::log::{Record, Stream};

/// An entry of a container.
pub(super) struct Entry {
    pub(super) record: OwnRecord,
    /// Its place in the journal.
    pub(super) cursor: Option<String>,
    pub(super) at: Timestamp,
}

/// A record that has no buffer to lie in.
pub(super) struct OwnRecord {
    stream: Stream,
    payload: Vec<u8>,
    time: String,
}

impl OwnRecord {
    pub(super) fn borrow(&self) -> Record<'_> {
        Record {
            stream: self.stream,
            payload: &self.payload,
            time_text: self.time.as_bytes(),
            newline_added: false,
        }
    }
}

/// Takes bytes as they come and gives entries.
#[derive(Default)]
pub(super) struct Parser {
    buffer: Vec<u8>,
    /// How much of the buffer is used.
    used: usize,
    fields: Fields,
}

/// The fields of the entry that is being read.
#[derive(Default)]
struct Fields {
    message: Option<Vec<u8>>,
    is_error: bool,
    is_partial: bool,
    cursor: Option<String>,
    microseconds: u64,
}

impl Parser {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next entry with a message; `None` until more comes.
    pub(super) fn next_entry(&mut self) -> Option<Entry> {
        loop {
            let rest = &self.buffer[self.used..];
            let newline = memchr::memchr(b'\n', rest)?;
            let line = &rest[..newline];
            if line.is_empty() {
                self.used += 1;
                if let Some(entry) = std::mem::take(&mut self.fields).finish() {
                    return Some(entry);
                }
            } else if let Some(equals) = memchr::memchr(b'=', line) {
                self.fields.set(&line[..equals], &line[equals + 1..]);
                self.used += newline + 1;
            } else {
                // A name alone: eight bytes of length, the value, a newline.
                let length = rest.get(newline + 1..)?.first_chunk::<8>()?;
                let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
                let value = rest.get(newline + 9..)?.get(..length.checked_add(1)?)?;
                self.fields.set(line, &value[..length]);
                self.used += newline + 9 + length + 1;
            }
        }
    }
}

impl Fields {
    fn set(&mut self, name: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"MESSAGE" => self.message = Some(value.to_vec()),
            b"PRIORITY" => self.is_error = value == b"3",
            b"CONTAINER_PARTIAL_MESSAGE" => self.is_partial = value == b"true",
            b"__CURSOR" => self.cursor = Some(text()),
            b"__REALTIME_TIMESTAMP" => self.microseconds = text().parse().unwrap_or_default(),
            _ => {}
        }
    }

    fn finish(self) -> Option<Entry> {
        let mut payload = self.message?;
        if !self.is_partial {
            payload.push(b'\n');
        }
        let seconds = i64::try_from(self.microseconds / 1_000_000).ok()?;
        let nanoseconds = u32::try_from(self.microseconds % 1_000_000).ok()? * 1000;
        let at = Timestamp::from_unix(seconds, nanoseconds).ok()?;
        let stream = if self.is_error { Stream::Stderr } else { Stream::Stdout };
        Some(Entry { record: OwnRecord { stream, payload, time: at.to_string() }, cursor: self.cursor, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_however_they_are_cut() {
        let text = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795728082279007\nPRIORITY=3\nMESSAGE=a=b\n\n\
            __CURSOR=c2\n__REALTIME_TIMESTAMP=1795728082279286\nMESSAGE\n\x05\0\0\0\0\0\0\0a\nb\xffc\n\
            CONTAINER_PARTIAL_MESSAGE=true\n\n__CURSOR=c3\nMESSAGE=\nPRIORITY=6\n\n";
        for size in [1, 7, 1000] {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for bytes in text.chunks(size) {
                parser.push(bytes);
                while let Some(entry) = parser.next_entry() {
                    let record = entry.record.borrow();
                    found.push((record.stream, record.payload.to_vec(), entry.cursor.clone()));
                }
            }
            let cursor = |text: &str| Some(text.to_owned());
            let wanted = [
                (Stream::Stderr, b"a=b\n".to_vec(), cursor("s=1;i=2")),
                (Stream::Stdout, b"a\nb\xffc".to_vec(), cursor("c2")),
                (Stream::Stdout, b"\n".to_vec(), cursor("c3")),
            ];
            assert_eq!(found, wanted, "{size}");
        }
    }
}
