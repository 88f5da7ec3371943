//! Finds places in a log without reading it: from the end by lines, by time with a binary search.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::{memchr, memrchr};

use super::decode::{self, decode};
use super::files::LogFile;
use super::names::Identity;
use super::time::{self, Instant};
use super::{MAXIMUM_LINE, files};

/// How much is read at once, in bytes.
const BLOCK: u64 = 64 * 1024;

/// A file and the offset of a record in it; `None` when there is no log.
pub(crate) type Place = Option<(LogFile, u64)>;

/// The first record of the oldest file.
pub(crate) fn beginning(path: &Path) -> io::Result<Place> {
    for age in files::ages(path) {
        if let Some(file) = LogFile::open(path, age)? {
            return Ok(Some((file, 0)));
        }
    }
    Ok(None)
}

/// Behind the last whole line.
pub(crate) fn end(path: &Path) -> io::Result<Place> {
    let Some(file) = LogFile::open(path, 0)? else {
        return Ok(None);
    };
    let length = file.records.metadata()?.len();
    let end = BackwardLines::before(&file.records, length).end_of_lines()?;
    Ok(Some((file, end)))
}

/// So many lines before an end: that of a file, or of all. A line is what ends with a newline, and the last of all.
pub(crate) fn tail(path: &Path, count: u64, end: Option<(Identity, u64)>) -> io::Result<Place> {
    let mut seen = 0;
    let mut found = None;
    let mut awaited = end;
    for age in files::ages(path).into_iter().rev() {
        let Some(file) = LogFile::open(path, age)? else {
            continue;
        };
        let length = match awaited {
            Some((identity, offset)) if identity == file.identity => {
                awaited = None;
                offset
            }
            // Begun behind the end.
            Some(_) => continue,
            None => file.records.metadata()?.len(),
        };
        let enough = tail_of_file(&file.records, length, count, &mut seen)?;
        let done = enough.is_some();
        found = Some((file, enough.unwrap_or(0)));
        if done {
            break;
        }
    }
    Ok(found)
}

/// The offset at which the last lines begin; `None` when the file has not enough of them.
fn tail_of_file(file: &File, length: u64, count: u64, seen: &mut u64) -> io::Result<Option<u64>> {
    let mut lines = BackwardLines::before(file, length);
    let mut start = lines.end_of_lines()?;
    if count == 0 {
        return Ok(Some(start));
    }
    while let Some((offset, line)) = lines.previous()? {
        if let Some(record) = decode(line) {
            *seen += u64::from(*seen == 0 || !record.is_continued());
            if *seen > count {
                return Ok(Some(start));
            }
        }
        start = offset;
    }
    Ok(None)
}

/// The first record that may be at or after a time: the last file that begins before it, then a binary
/// search. Where the clock was set back, the reader's own filter decides record by record.
pub(crate) fn since(path: &Path, since: Instant) -> io::Result<Place> {
    let mut chosen = None;
    for age in files::ages(path) {
        let Some(file) = LogFile::open(path, age)? else {
            continue;
        };
        let begins_before = record_at(&file.records, 0, file.records.metadata()?.len())?
            .is_some_and(|(_, time)| time < since);
        if chosen.is_none() || begins_before {
            chosen = Some(file);
        } else {
            break;
        }
    }
    let Some(file) = chosen else {
        return Ok(None);
    };
    let (mut low, mut high) = (0, file.records.metadata()?.len());
    while high - low > BLOCK {
        let middle = low + (high - low) / 2;
        match record_at(&file.records, middle, high)? {
            Some((offset, time)) if time < since => low = offset,
            _ => high = middle,
        }
    }
    Ok(Some((file, low)))
}

/// The first dated record that begins at or behind an offset (0, or anywhere within a line).
fn record_at(file: &File, offset: u64, end: u64) -> io::Result<Option<(u64, Instant)>> {
    let mut at = offset;
    let mut buffer = Vec::new();
    let mut within_line = offset > 0;
    while at < end {
        read_at(file, at, BLOCK.min(end - at), &mut buffer)?;
        let mut start = 0;
        while let Some(length) = memchr(b'\n', &buffer[start..]) {
            let line = start..start + length;
            start = line.end + 1;
            let offset = at + line.start as u64;
            if !std::mem::take(&mut within_line)
                && let Some(parts) = decode::scan(&mut buffer[line.clone()])
                && let Some(time) = time::parse(&buffer[line][parts.time])
            {
                return Ok(Some((offset, time)));
            }
        }
        if start == 0 {
            // A line longer than a block: only what begins behind it counts.
            within_line = true;
            start = buffer.len();
        }
        if start == 0 {
            return Ok(None);
        }
        at += start as u64;
    }
    Ok(None)
}

fn read_at(file: &File, offset: u64, length: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    buffer.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(())
}

/// Gives a file's whole lines from the last before an offset to the first.
struct BackwardLines<'a> {
    file: &'a File,
    /// The file's bytes from `offset` to the end of what is not given out yet.
    buffer: Vec<u8>,
    offset: u64,
    /// The part of the buffer behind the last newline is no whole line.
    end: usize,
}

impl<'a> BackwardLines<'a> {
    /// Of the file's first bytes.
    const fn before(file: &'a File, length: u64) -> Self {
        Self { file, buffer: Vec::new(), offset: length, end: 0 }
    }

    /// The offset behind the last newline; what follows it is dropped.
    fn end_of_lines(&mut self) -> io::Result<u64> {
        loop {
            if let Some(newline) = memrchr(b'\n', &self.buffer[..self.end]) {
                self.end = newline + 1;
                return Ok(self.offset + self.end as u64);
            }
            self.end = 0;
            if !self.load()? {
                return Ok(0);
            }
        }
    }

    /// The line before, with the offset at which it begins; its bytes may be overwritten.
    fn previous(&mut self) -> io::Result<Option<(u64, &mut [u8])>> {
        if self.end == 0 && !self.load()? {
            return Ok(None);
        }
        let last = loop {
            let last = self.end - 1;
            if let Some(newline) = memrchr(b'\n', &self.buffer[..last]) {
                break newline + 1..last;
            }
            if self.end > MAXIMUM_LINE {
                self.end = 1;
            }
            if !self.load()? {
                break 0..last.min(self.end);
            }
        };
        self.end = last.start;
        Ok(Some((self.offset + last.start as u64, &mut self.buffer[last])))
    }

    /// Puts the block before in front of the buffer; false at the file's start.
    fn load(&mut self) -> io::Result<bool> {
        let length = BLOCK.min(self.offset);
        if length == 0 {
            return Ok(false);
        }
        let mut block = Vec::new();
        read_at(self.file, self.offset - length, length, &mut block)?;
        if block.len() as u64 != length {
            return Ok(false);
        }
        block.extend_from_slice(&self.buffer[..self.end]);
        self.end = block.len();
        self.buffer = block;
        self.offset -= length;
        Ok(true)
    }
}
