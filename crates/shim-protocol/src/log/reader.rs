//! Reads a log forward over its rotated files, now and again as it grows.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memchr::memchr;
use model::Timestamp;

use super::decode::{self, Parts};
use super::files::{self, LogFile};
use super::names::{Identity, rotated};
use super::seek;
use super::time::{self, Instant};
use super::{LogError, MAXIMUM_LINE, Record};

/// How much is read at once, in bytes.
const BLOCK: usize = 128 * 1024;

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first record of the oldest file.
    Beginning,
    /// So many lines before the end; found from the end, whatever the log's size.
    Tail(u64),
    /// Behind what is there now.
    End,
}

/// A place between two records, at which a reader can go on later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    identity: Option<Identity>,
    offset: u64,
}

impl Position {
    /// Behind the last whole record of the log at `path` (the file that is written).
    ///
    /// # Errors
    /// [`LogError`] when the file cannot be opened or read.
    pub fn end_of(path: &Path) -> Result<Self, LogError> {
        let end = seek::end(path).map_err(|source| LogError::new("seek in", path, source))?;
        Ok(end.map_or(Self { identity: None, offset: 0 }, |(file, offset)| Self {
            identity: Some(file.identity),
            offset,
        }))
    }
}

/// Reads records one after the other. At the end of the log [`Reader::next_record`] returns `None`; called
/// again later it continues, over rotations too, with each record once.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    source: Option<Source>,
    since: Option<Instant>,
    /// Where reading ends, although the log grows.
    end: Option<Position>,
    buffer: Vec<u8>,
    /// The part of the buffer that is read from the file and not yet returned.
    unread: Range<usize>,
    /// How many bytes of `unread` were searched and hold no newline.
    searched: usize,
    /// Within a line that is too long to be a record.
    skipping: bool,
}

#[derive(Debug)]
struct Source {
    file: LogFile,
    /// The file's offset behind the buffer.
    offset: u64,
}

impl Reader {
    /// Opens the log at `path` (the file that is written). A log that does not exist yet is empty.
    /// Records before `since` are left out; with [`Start::Beginning`] they are not even read.
    ///
    /// # Errors
    /// [`LogError`] when a file cannot be opened or read.
    pub fn open(path: &Path, start: Start, since: Option<Timestamp>) -> Result<Self, LogError> {
        Self::open_up_to(None, path, start, since)
    }

    /// Opens what the log at `path` holds now: what is written later does not belong to it, however slowly it is read. Else as
    /// [`Reader::open`].
    ///
    /// # Errors
    /// [`LogError`] when a file cannot be opened or read.
    pub fn open_as_it_is(path: &Path, start: Start, since: Option<Timestamp>) -> Result<Self, LogError> {
        Self::open_up_to(Some(Position::end_of(path)?), path, start, since)
    }

    fn open_up_to(
        end: Option<Position>,
        path: &Path,
        start: Start,
        since: Option<Timestamp>,
    ) -> Result<Self, LogError> {
        let mut reader = Self {
            path: path.to_owned(),
            source: None,
            since: since.map(Instant::from),
            end,
            buffer: Vec::new(),
            unread: 0..0,
            searched: 0,
            skipping: false,
        };
        let place = match (start, reader.since) {
            (Start::Beginning, None) => seek::beginning(path),
            (Start::Beginning, Some(since)) => seek::since(path, since),
            (Start::Tail(lines), _) => {
                seek::tail(path, lines, end.and_then(|end| Some((end.identity?, end.offset))))
            }
            (Start::End, _) => seek::end(path),
        };
        if let Some((file, offset)) = place.map_err(|source| LogError::new("seek in", path, source))? {
            reader.take(file, offset)?;
        }
        Ok(reader)
    }

    /// Continues at a place of [`Reader::position`]. Where its file is rotated away, reading continues with
    /// the oldest there is.
    ///
    /// # Errors
    /// [`LogError`] when a file cannot be opened or read.
    pub fn resume(path: &Path, position: Position, since: Option<Timestamp>) -> Result<Self, LogError> {
        let mut reader = Self::open(path, Start::Beginning, None)?;
        reader.since = since.map(Instant::from);
        let Some(identity) = position.identity else {
            return Ok(reader);
        };
        if let Some(age) = files::age_of(path, identity) {
            let opened = LogFile::open(path, age);
            let opened = opened.map_err(|source| LogError::new("open", rotated(path, age), source))?;
            if let Some(file) = opened {
                reader.take(file, position.offset)?;
            }
        }
        Ok(reader)
    }

    /// The place behind the last record given out.
    #[must_use]
    pub fn position(&self) -> Position {
        let unread = self.unread.len() as u64;
        self.source.as_ref().map_or(Position { identity: None, offset: 0 }, |source| Position {
            identity: Some(source.file.identity),
            offset: source.offset.saturating_sub(unread),
        })
    }

    /// Ends reading at a place, although the log grows: what is written behind it does not belong to what is read. The
    /// first such place counts.
    ///
    /// # Errors
    /// [`LogError`] when a log that did not exist before cannot be opened.
    pub fn end_at(&mut self, end: Position) -> Result<(), LogError> {
        if self.end.is_some() {
            return Ok(());
        }
        if self.source.is_none() {
            self.appear()?;
        }
        self.end = Some(end);
        let Some(source) = &self.source else { return Ok(()) };
        if end.identity == Some(source.file.identity) {
            let behind = usize::try_from(source.offset.saturating_sub(end.offset)).unwrap_or(usize::MAX);
            self.unread.end -= behind.min(self.unread.len());
            self.searched = self.searched.min(self.unread.len());
        } else if self.is_behind(end, source.file.identity) {
            self.source = None;
            self.forget_buffer();
        }
        Ok(())
    }

    /// Ends reading at the log's present end, as [`Reader::end_at`] does.
    ///
    /// # Errors
    /// [`LogError`] when a file cannot be opened or read.
    pub fn end_here(&mut self) -> Result<(), LogError> {
        self.end_at(Position::end_of(&self.path)?)
    }

    /// Whether a file was begun after the one where reading ends, or that one is gone.
    fn is_behind(&self, end: Position, file: Identity) -> bool {
        let Some(last) = end.identity else { return false };
        match (files::age_of(&self.path, last), files::age_of(&self.path, file)) {
            (Some(last), Some(file)) => file < last,
            (None, _) => true,
            (Some(_), None) => false,
        }
    }

    /// Gives the buffer back while there is nothing to read; the next record needs one again.
    pub fn rest(&mut self) {
        if self.unread.is_empty() {
            self.buffer = Vec::new();
        }
    }

    /// The next record; `None` when all that is there now has been given out.
    ///
    /// # Errors
    /// [`LogError`] when a file cannot be opened or read.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, LogError> {
        let parts = loop {
            let Some(line) = self.next_line()? else {
                return Ok(None);
            };
            let start = line.start;
            if let Some(parts) = decode::scan(&mut self.buffer[line])
                && self.wanted(&parts, start)
            {
                break shift(parts, start);
            }
        };
        Ok(Some(parts.record(&self.buffer)))
    }

    /// Whether a record is not before `since`; one without a time is never wanted then.
    fn wanted(&self, parts: &Parts, start: usize) -> bool {
        self.since.is_none_or(|since| {
            let text = &self.buffer[start + parts.time.start..start + parts.time.end];
            time::parse(text).is_some_and(|time| time >= since)
        })
    }

    /// Where the next whole line lies in the buffer, without its newline.
    fn next_line(&mut self) -> Result<Option<Range<usize>>, LogError> {
        loop {
            let from = self.unread.start + self.searched;
            if let Some(newline) = memchr(b'\n', &self.buffer[from..self.unread.end]) {
                let line = self.unread.start..from + newline;
                self.unread.start = line.end + 1;
                self.searched = 0;
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Ok(Some(line));
            }
            self.searched = self.unread.len();
            if !self.fill()? && !self.next_file()? {
                return Ok(None);
            }
        }
    }

    /// Reads more behind what is unread; false at the end of the file.
    fn fill(&mut self) -> Result<bool, LogError> {
        if self.source.is_none() && (self.end.is_some() || !self.appear()?) {
            return Ok(false);
        }
        self.make_room();
        let Some(source) = self.source.as_mut() else {
            return Ok(false);
        };
        let mut space = &mut self.buffer[self.unread.end..];
        if let Some(end) = self.end.filter(|end| end.identity == Some(source.file.identity)) {
            let left = usize::try_from(end.offset.saturating_sub(source.offset)).unwrap_or(usize::MAX);
            let fitting = space.len().min(left);
            space = &mut space[..fitting];
        }
        loop {
            match source.file.records.read(space) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.unread.end += count;
                    source.offset += count as u64;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(LogError::new("read", &self.path, error)),
            }
        }
    }

    /// Makes room for reading: drops what was given out, then grows, then gives the line up.
    fn make_room(&mut self) {
        if self.unread.len() > MAXIMUM_LINE {
            self.skipping = true;
        }
        if self.skipping || self.unread.is_empty() {
            self.unread = 0..0;
            self.searched = 0;
        } else if self.unread.start > 0 {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        if self.buffer.len() - self.unread.end < BLOCK / 2 {
            self.buffer.resize((self.buffer.len() * 2).max(BLOCK), 0);
        }
    }

    /// Opens a log that did not exist before.
    fn appear(&mut self) -> Result<bool, LogError> {
        match seek::beginning(&self.path) {
            Ok(Some((file, offset))) => self.take(file, offset).map(|()| true),
            Ok(None) => Ok(false),
            Err(source) => Err(LogError::new("open", &self.path, source)),
        }
    }

    /// At the end of a file: continues with the one that followed it, or with the same one when it was
    /// emptied; false when there is nothing new.
    fn next_file(&mut self) -> Result<bool, LogError> {
        let failed = |act, path: &Path, source| LogError::new(act, path, source);
        let Some(source) = self.source.as_mut() else {
            return Ok(false);
        };
        if self.end.is_some_and(|end| end.identity == Some(source.file.identity)) {
            return Ok(false);
        }
        let length =
            source.file.records.metadata().map_err(|error| failed("look at", &self.path, error))?.len();
        if length < source.offset {
            source.file.records.rewind().map_err(|error| failed("rewind", &self.path, error))?;
            source.offset = 0;
            self.forget_buffer();
            return Ok(true);
        }
        let successor = files::successor(&self.path, source.file.identity)
            .map_err(|error| failed("find the next of", &self.path, error))?;
        let Some(file) = successor else {
            return Ok(false);
        };
        if self.end.is_some_and(|end| self.is_behind(end, file.identity)) {
            return Ok(false);
        }
        // It may have grown between its end and its renaming; it has no writer any more.
        if self.fill()? {
            return Ok(true);
        }
        self.take(file, 0).map(|()| true)
    }

    fn take(&mut self, mut file: LogFile, offset: u64) -> Result<(), LogError> {
        let failed = |source| LogError::new("open", &self.path, source);
        file.records.seek(SeekFrom::Start(offset)).map_err(failed)?;
        self.source = Some(Source { file, offset });
        self.forget_buffer();
        Ok(())
    }

    fn forget_buffer(&mut self) {
        self.unread = 0..0;
        self.searched = 0;
        self.skipping = false;
    }
}

fn shift(parts: Parts, by: usize) -> Parts {
    let shift = |range: Range<usize>| range.start + by..range.end + by;
    Parts { payload: shift(parts.payload), time: shift(parts.time), ..parts }
}
