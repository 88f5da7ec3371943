//! The json-file driver: appends records, rotates by size.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use memchr::memrchr;
use model::{LogSpec, Timestamp};
use shim_protocol::log::{Compressor, Encoder, LogError, Reader, Start, Stream, is_true, parse_size, rotate};

use super::lines::Lines;

/// An encoding buffer larger than this is given back when it is written, in bytes.
const KEEP: usize = 256 * 1024;

/// How many blocks are compressed at once: a quarter of a megabyte, some milliseconds.
const COMPRESSED_BLOCKS: u32 = 4;

/// A log in a file.
pub(crate) struct JsonFile {
    path: PathBuf,
    file: File,
    size: u64,
    rotation: Option<Rotation>,
    /// Compresses the last file that was full.
    compressor: Option<Compressor>,
    encoder: Encoder,
    lines: Lines,
    encoded: Vec<u8>,
    /// A write stopped within a record: the next one begins with a newline.
    torn: bool,
    /// Lines that could not be written.
    lost: u64,
}

/// When the log continues in a new file.
struct Rotation {
    /// The size of a file that is not passed.
    limit: u64,
    /// The size at which the next attempt is made: the limit, or more after a failure.
    next_at: u64,
    /// How many files there are at most.
    files: u32,
    /// Why the last attempt failed.
    failure: Option<String>,
    /// Whether files that are full are compressed.
    compresses: bool,
}

impl Rotation {
    fn of(settings: &BTreeMap<String, String>) -> Option<Self> {
        let limit = settings.get("max-size").and_then(|text| parse_size(text))?;
        let files = settings.get("max-file").and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
        let compresses = files > 1 && settings.get("compress").is_some_and(|text| is_true(text));
        Some(Self { limit, next_at: limit, files, failure: None, compresses })
    }

    /// An attempt failed: the next one is made when the file has grown by an eighth of the limit.
    fn put_off(&mut self, size: u64, error: &io::Error) {
        self.next_at = size.saturating_add(self.limit / 8).max(self.limit);
        self.failure = Some(error.to_string());
    }
}

impl JsonFile {
    /// Opens the log of a specification, with these options where it has none.
    pub(crate) fn of(spec: &LogSpec, defaults: &[(&str, &str)]) -> io::Result<Self> {
        let mut attributes = spec.selected.clone();
        if let Some(tag) = spec.attributes.get("tag") {
            attributes.insert("tag".to_owned(), tag.clone());
        }
        let mut options = spec.options.clone();
        for (name, value) in defaults {
            options.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        Self::open(spec.path.clone(), &options, &attributes)
    }

    /// Opens the log for appending. Options: `max-size`, `max-file`, `compress`.
    fn open(
        path: PathBuf,
        settings: &BTreeMap<String, String>,
        attributes: &BTreeMap<String, String>,
    ) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let size = file.metadata()?.len();
        let mut log = Self {
            torn: size > 0 && last_byte(&mut file)? != b'\n',
            path,
            file,
            size,
            rotation: Rotation::of(settings),
            encoder: Encoder::new(attributes),
            lines: Lines::default(),
            encoded: Vec::new(),
            compressor: None,
            lost: 0,
        };
        // One that the last run did not come to.
        log.begin_compression();
        Ok(log)
    }

    /// Logs output.
    pub(crate) fn write(&mut self, stream: Stream, output: &[u8]) {
        self.encoder.set_time(Timestamp::now());
        let (encoder, encoded) = (&self.encoder, &mut self.encoded);
        self.lines.take(stream, output, |line| encoder.encode(stream, line, encoded));
        self.put();
    }

    /// Logs what is left of begun lines, byte for byte: a newline that the process never wrote is not added.
    pub(crate) fn finish(&mut self) {
        // The end does not wait for it: the next run compresses the file.
        self.compressor = None;
        self.encoder.set_time(Timestamp::now());
        let (encoder, encoded) = (&self.encoder, &mut self.encoded);
        self.lines.finish(|stream, line| encoder.encode(stream, line, encoded));
        self.put();
    }

    /// Writes the encoded records; a new file begins where the next record would pass the limit.
    fn put(&mut self) {
        let encoded = std::mem::take(&mut self.encoded);
        let mut rest = &encoded[..];
        while !rest.is_empty() {
            let mut fits = self.fitting(rest);
            if fits == 0 {
                if self.rotate() {
                    continue;
                }
                // The old file is continued: a log that is too large is better than none.
                fits = first_record(rest);
            }
            self.append(&rest[..fits]);
            rest = &rest[fits..];
        }
        if encoded.capacity() <= KEEP {
            self.encoded = encoded;
            self.encoded.clear();
        }
    }

    /// How many bytes of whole records the file still takes; a record alone fits an empty file.
    fn fitting(&self, records: &[u8]) -> usize {
        let room = match &self.rotation {
            None => return records.len(),
            Some(rotation) => {
                usize::try_from(rotation.next_at.saturating_sub(self.size)).unwrap_or(usize::MAX)
            }
        };
        if records.len() <= room {
            return records.len();
        }
        match memrchr(b'\n', &records[..room]) {
            Some(newline) => newline + 1,
            None if self.size == 0 => first_record(records),
            None => 0,
        }
    }

    /// Begins a new file; false when that failed. It is tried again later.
    fn rotate(&mut self) -> bool {
        if let Some(mut compressor) = self.compressor.take() {
            // A file that is not compressed is a file of the log as well.
            let _ = compressor.advance(u32::MAX);
        }
        let Some(rotation) = &mut self.rotation else { return false };
        match rotate(&self.path, rotation.files) {
            Ok(file) => {
                self.file = file;
                self.torn = false;
                self.size = 0;
                rotation.next_at = rotation.limit;
                rotation.failure = None;
                self.begin_compression();
                true
            }
            Err(error) => {
                rotation.put_off(self.size, &error);
                false
            }
        }
    }

    fn begin_compression(&mut self) {
        if self.rotation.as_ref().is_some_and(|rotation| rotation.compresses) {
            self.compressor = Compressor::begin(&self.path).ok().flatten();
        }
    }

    /// Whether there is a file to compress.
    pub(crate) const fn is_compressing(&self) -> bool {
        self.compressor.is_some()
    }

    /// Compresses a part, small enough not to delay the event loop. A file that cannot be compressed stays as it
    /// is.
    pub(crate) fn compress(&mut self) {
        let Some(compressor) = &mut self.compressor else { return };
        if !matches!(compressor.advance(COMPRESSED_BLOCKS), Ok(false)) {
            self.compressor = None;
        }
    }

    /// Why the log does not go on in a new file though it is due; `None` when all is well.
    pub(crate) fn rotation_failure(&self) -> Option<&str> {
        self.rotation.as_ref()?.failure.as_deref()
    }

    fn append(&mut self, records: &[u8]) {
        if self.torn && self.file.write_all(b"\n").is_ok() {
            self.torn = false;
            self.size += 1;
        }
        let before = self.size;
        let mut rest = records;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(count) => {
                    rest = &rest[count..];
                    self.size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.torn = self.size > before || self.torn;
                    self.lost += memchr::memchr_iter(b'\n', rest).count() as u64;
                    return;
                }
            }
        }
    }

    /// Gives back memory that only much output needs.
    pub(crate) fn give_back(&mut self) {
        self.encoded = Vec::new();
    }

    /// The part of a line that is not logged yet.
    pub(crate) fn pending(&self, stream: Stream) -> &[u8] {
        self.lines.pending(stream)
    }

    /// Whether every record ever logged can still be read.
    pub(crate) const fn keeps_everything(&self) -> bool {
        self.rotation.is_none() && self.lost == 0
    }

    /// Lines that could not be written so far.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Reads what is logged.
    pub(crate) fn replay(&self, start: Start) -> Result<Reader, LogError> {
        Reader::open(&self.path, start, None)
    }
}

/// The length of the first record.
fn first_record(records: &[u8]) -> usize {
    memchr::memchr(b'\n', records).map_or(records.len(), |end| end + 1)
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn texts(path: &std::path::Path) -> Vec<String> {
        let mut reader = Reader::open(path, Start::Beginning, None).unwrap();
        let mut texts = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            texts.push(String::from_utf8(record.payload.to_vec()).unwrap());
        }
        texts
    }

    #[test]
    fn a_rotation_that_failed_is_tried_again_and_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let options = settings(&[("max-size", "10k"), ("max-file", "3")]);
        let mut log = JsonFile::open(path.clone(), &options, &BTreeMap::new()).unwrap();
        let mut written = Vec::new();
        let mut write = |log: &mut JsonFile, lines: usize| {
            for _ in 0..lines {
                let line = format!("line {}\n", written.len());
                log.write(Stream::Stdout, line.as_bytes());
                written.push(line);
            }
        };
        // rotate() opens its new file under this name.
        let obstacle = directory.path().join("log.new");
        std::fs::create_dir(&obstacle).unwrap();
        write(&mut log, 400);
        assert!(log.rotation_failure().is_some());
        assert!(std::fs::metadata(&path).unwrap().len() > 10_000);
        std::fs::remove_dir(&obstacle).unwrap();
        write(&mut log, 100);
        assert_eq!(log.rotation_failure(), None);
        assert!(std::fs::metadata(&path).unwrap().len() <= 10_000);
        assert_eq!(texts(&path), written);
    }

    #[test]
    fn files_stay_below_the_limit_and_hold_whole_records() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let options = settings(&[("max-size", "10k"), ("max-file", "3")]);
        let mut log = JsonFile::open(path.clone(), &options, &BTreeMap::new()).unwrap();
        let all: Vec<String> = (0..400).map(|number| format!("line {number}\n")).collect();
        log.write(Stream::Stdout, all.concat().as_bytes());
        log.finish();
        for age in 0..3 {
            let size = std::fs::metadata(shim_protocol::log::rotated(&path, age)).unwrap().len();
            assert!(size <= 10_240, "{size}");
        }
        assert!(!shim_protocol::log::rotated(&path, 3).exists());
        let kept = texts(&path);
        assert!(kept.len() > 200);
        assert_eq!(kept, all[400 - kept.len()..]);
    }

    #[test]
    fn half_a_record_from_before_spoils_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "{\"log\":\"half").unwrap();
        let mut log = JsonFile::open(path.clone(), &BTreeMap::new(), &BTreeMap::new()).unwrap();
        log.write(Stream::Stdout, b"whole\nrest");
        assert_eq!(texts(&path), ["whole\n"]);
        log.finish();
        assert_eq!(texts(&path), ["whole\n", "rest"]);
    }
}
