//! Writes records: escapes by machine words, formats the date once a second.

use std::collections::BTreeMap;

use memchr::memchr;
use model::Timestamp;

use super::time::{self, Instant, TEXT_LENGTH};
use super::{MAXIMUM_PAYLOAD, Stream};

/// How every record begins.
const HEAD: &[u8] = b"{\"log\":\"";

/// Encodes records with one set of attributes.
#[derive(Debug)]
pub struct Encoder {
    stdout_tail: Vec<u8>,
    stderr_tail: Vec<u8>,
    second: i64,
    time: [u8; TEXT_LENGTH],
}

impl Encoder {
    /// Takes the attributes that every record shows (`attrs`); none leaves the field away.
    #[must_use]
    pub fn new(attributes: &BTreeMap<String, String>) -> Self {
        let now = Instant::from(Timestamp::now());
        Self {
            stdout_tail: tail(Stream::Stdout, attributes),
            stderr_tail: tail(Stream::Stderr, attributes),
            second: now.seconds,
            time: time::text(now),
        }
    }

    /// Sets the time that the following records carry.
    pub fn set_time(&mut self, at: Timestamp) {
        let instant = Instant::from(at);
        if instant.seconds == self.second {
            time::put_fraction(&mut self.time, instant.nanoseconds);
        } else {
            self.second = instant.seconds;
            self.time = time::text(instant);
        }
    }

    /// Appends one record, its newline included. The payload is one of [`split_lines`].
    pub fn encode(&self, stream: Stream, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(HEAD);
        escape(payload, out);
        self.end(stream, out);
    }

    fn end(&self, stream: Stream, out: &mut Vec<u8>) {
        out.extend_from_slice(match stream {
            Stream::Stdout => &self.stdout_tail,
            Stream::Stderr => &self.stderr_tail,
        });
        out.extend_from_slice(&self.time);
        out.extend_from_slice(b"\"}\n");
    }
}

/// The part of a record behind the text, up to the time.
fn tail(stream: Stream, attributes: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = b"\",\"stream\":\"".to_vec();
    out.extend_from_slice(stream.name().as_bytes());
    out.push(b'"');
    if !attributes.is_empty() {
        out.extend_from_slice(b",\"attrs\":{");
        for (index, (name, value)) in attributes.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
            escape(name.as_bytes(), &mut out);
            out.extend_from_slice(b"\":\"");
            escape(value.as_bytes(), &mut out);
            out.push(b'"');
        }
        out.push(b'}');
    }
    out.extend_from_slice(b",\"time\":\"");
    out
}

/// Cuts output into the payloads of records: lines with their newlines, or parts of at most
/// [`MAXIMUM_PAYLOAD`] where a line is longer, never within a character. Passes each to `each` and returns
/// how many bytes of `output` it used; the rest is the beginning of a line.
pub fn split_lines(output: &[u8], mut each: impl FnMut(&[u8])) -> usize {
    let mut used = 0;
    loop {
        let rest = &output[used..];
        let window = &rest[..rest.len().min(MAXIMUM_PAYLOAD)];
        let length = match memchr(b'\n', window) {
            Some(newline) => newline + 1,
            None if window.len() == MAXIMUM_PAYLOAD => character_boundary(window),
            None => return used,
        };
        each(&rest[..length]);
        used += length;
    }
}

/// The length of `text` without a character that is cut off at its end.
fn character_boundary(text: &[u8]) -> usize {
    let last = text.len().saturating_sub(3);
    for at in (last..text.len()).rev() {
        let needed = match text[at] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            0x80..=0xbf => continue,
            _ => return text.len(),
        };
        return if at + needed > text.len() { at } else { text.len() };
    }
    text.len()
}

/// Appends the text of a JSON string; what is no UTF-8 becomes `\udc80` to `\udcff`.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        match std::str::from_utf8(rest) {
            Ok(_) => {
                escape_text(rest, out);
                return;
            }
            Err(error) => {
                let (valid, broken) = rest.split_at(error.valid_up_to());
                escape_text(valid, out);
                let length = error.error_len().unwrap_or(broken.len());
                for byte in &broken[..length] {
                    out.extend_from_slice(b"\\udc");
                    push_hexadecimal(*byte, out);
                }
                rest = &broken[length..];
            }
        }
    }
}

fn escape_text(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let plain = plain_prefix(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(byte) = rest.get(plain) else {
            return;
        };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                out.extend_from_slice(b"\\u00");
                push_hexadecimal(*other, out);
            }
        }
        rest = &rest[plain + 1..];
    }
}

fn push_hexadecimal(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

/// How many bytes at the start need no escape. Eight at a time: a byte of `flags` has its high bit
/// set where the byte is a control character, a quote or a backslash (the well-known "has zero byte"
/// and "has less" tests; the lowest flag is always exact).
fn plain_prefix(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 128;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let flags = control | quote | backslash;
        if flags != 0 {
            return at + (flags.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    at + text[at..].iter().position(special).unwrap_or(text.len() - at)
}
