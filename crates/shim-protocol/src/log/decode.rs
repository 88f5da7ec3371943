//! Reads records: a scanner of one JSON object that unescapes in place.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::time::TEXT_LENGTH;
use super::{Record, Stream};

/// Where the parts of a record lie in its line after [`scan`].
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) stream: Stream,
    pub(crate) payload: Range<usize>,
    pub(crate) time: Range<usize>,
    pub(crate) newline_added: bool,
}

impl Parts {
    /// The parts as they lie in the line.
    pub(crate) fn record<'a>(&self, line: &'a [u8]) -> Record<'a> {
        Record {
            stream: self.stream,
            payload: &line[self.payload.clone()],
            time_text: &line[self.time.clone()],
            newline_added: self.newline_added,
        }
    }
}

/// Decodes one line (with or without its newline), overwriting it. `None` when it is no record.
pub fn decode(line: &mut [u8]) -> Option<Record<'_>> {
    let parts = scan(line)?;
    Some(parts.record(line))
}

/// Finds a record's parts; the text is unescaped where it lies.
pub(crate) fn scan(line: &mut [u8]) -> Option<Parts> {
    own_layout(line).or_else(|| any_layout(line))
}

/// A record just as the encoder writes it without attributes: only the text's length varies.
fn own_layout(line: &mut [u8]) -> Option<Parts> {
    const HEAD: &[u8] = b"{\"log\":\"";
    const MIDDLE: &[u8] = b"\",\"stream\":\"std";
    const TIME: &[u8] = b"\",\"time\":\"";
    const END: &[u8] = b"\"}";
    const TAIL: usize = MIDDLE.len() + 3 + TIME.len() + TEXT_LENGTH + END.len();
    let text_end = line.len().checked_sub(TAIL).filter(|end| *end >= HEAD.len())?;
    let (text, tail) = line.split_at_mut(text_end);
    let (middle, tail) = tail.split_at(MIDDLE.len());
    let (name, tail) = tail.split_at(3);
    let stream = match name {
        b"out" => Stream::Stdout,
        b"err" => Stream::Stderr,
        _ => return None,
    };
    if !text.starts_with(HEAD) || middle != MIDDLE || !tail.starts_with(TIME) || !tail.ends_with(END) {
        return None;
    }
    let time = text_end + MIDDLE.len() + 3 + TIME.len();
    let time = time..time + TEXT_LENGTH;
    // Most lines have one escape, that of their newline at the end.
    let content = &mut text[HEAD.len()..];
    let length = match memchr2(b'"', b'\\', content) {
        None => content.len(),
        Some(at) if content[at..] == *b"\\n" => {
            content[at] = b'\n';
            at + 1
        }
        Some(_) => return None,
    };
    Some(Parts { stream, payload: HEAD.len()..HEAD.len() + length, time, newline_added: false })
}

fn any_layout(line: &mut [u8]) -> Option<Parts> {
    let mut scanner = Scanner { line, at: 0, coded_newline: 0 };
    let (mut payload, mut stream, mut time, mut coded_newline) = (None, None, 0..0, 0);
    scanner.expect(b'{')?;
    loop {
        let key = scanner.string()?;
        scanner.expect(b':')?;
        match &scanner.line[key] {
            b"log" => {
                payload = Some(scanner.string()?);
                coded_newline = scanner.coded_newline;
            }
            b"stream" => {
                let name = scanner.string()?;
                stream = Some(match &scanner.line[name] {
                    b"stdout" => Stream::Stdout,
                    b"stderr" => Stream::Stderr,
                    _ => return None,
                });
            }
            b"time" => time = scanner.string()?,
            _ => scanner.skip_value()?,
        }
        match scanner.token()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scanner.end()?;
    let payload = payload?;
    let newline_added = !payload.is_empty() && payload.end == coded_newline;
    Some(Parts { stream: stream?, payload, time, newline_added })
}

struct Scanner<'a> {
    line: &'a mut [u8],
    at: usize,
    /// The place behind the last newline that was written as `\u000a`.
    coded_newline: usize,
}

impl Scanner<'_> {
    /// The next byte that is no white space.
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.line.get(self.at)?;
            self.at += 1;
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
        }
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.token()? == wanted).then_some(())
    }

    /// Nothing but white space is left.
    fn end(&self) -> Option<()> {
        self.line[self.at..].iter().all(u8::is_ascii_whitespace).then_some(())
    }

    /// A string; unescapes it in place (no escape is shorter than what it stands for).
    fn string(&mut self) -> Option<Range<usize>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut write = start;
        loop {
            // Escapes come in crowds where output is binary; searching for each costs more than comparing.
            while self.line.get(self.at) == Some(&b'\\') {
                self.at += 1;
                write = self.escape(write)?;
            }
            let plain = memchr2(b'"', b'\\', &self.line[self.at..])?;
            if write != self.at {
                self.line.copy_within(self.at..self.at + plain, write);
            }
            write += plain;
            self.at += plain;
            if self.line[self.at] == b'"' {
                self.at += 1;
                return Some(start..write);
            }
        }
    }

    /// One escape behind its backslash; writes what it stands for and returns the new end.
    fn escape(&mut self, write: usize) -> Option<usize> {
        let kind = *self.line.get(self.at)?;
        self.at += 1;
        let byte = match kind {
            b'n' => b'\n',
            b'"' | b'\\' | b'/' => kind,
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'u' => return self.unicode(write),
            _ => return None,
        };
        self.line[write] = byte;
        Some(write + 1)
    }

    fn unicode(&mut self, write: usize) -> Option<usize> {
        let unit = self.four_digits()?;
        if unit == 0x0a {
            self.coded_newline = write + 1;
        }
        let code = match unit {
            0xd800..=0xdbff => self.low_surrogate(unit),
            // The encoder's form of a byte that is no UTF-8.
            0xdc80..=0xdcff => {
                self.line[write] = u8::try_from(unit - 0xdc00).ok()?;
                return Some(write + 1);
            }
            other => other,
        };
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let length = character.encode_utf8(&mut self.line[write..self.at]).len();
        Some(write + length)
    }

    /// The second half of a pair; without one, the first half stands for nothing.
    fn low_surrogate(&mut self, high: u32) -> u32 {
        let before = self.at;
        if self.line[self.at..].starts_with(b"\\u") {
            self.at += 2;
            if let Some(low @ 0xdc00..=0xdfff) = self.four_digits() {
                return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            }
        }
        self.at = before;
        high
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.line.get(self.at..self.at + 4)?;
        let value = digits
            .iter()
            .try_fold(0, |value, digit| char::from(*digit).to_digit(16).map(|digit| value * 16 + digit))?;
        self.at += 4;
        Some(value)
    }

    /// A value of no interest: a string, a literal, or a nested one.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.token()? {
                b'"' => {
                    self.at -= 1;
                    self.string()?;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                b',' | b':' if depth == 0 => return None,
                b',' | b':' => {}
                _ => self.skip_literal(),
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// The rest of a number, `true`, `false` or `null`.
    fn skip_literal(&mut self) {
        let rest = &self.line[self.at..];
        let ends = |byte: &u8| memchr(*byte, b",]}\" \t\r\n").is_some();
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
    }
}
