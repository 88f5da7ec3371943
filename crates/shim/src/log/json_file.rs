//! The json-file driver: appends records, rotates by size.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use memchr::memrchr;
use model::Timestamp;
use shim_protocol::log::{Encoder, LogError, Reader, Start, Stream, parse_size, rotate};

use super::lines::Lines;

/// An encoding buffer larger than this is given back when it is written, in bytes.
const KEEP: usize = 256 * 1024;

/// A log in a file.
pub(crate) struct JsonFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: Option<u64>,
    files: u32,
    encoder: Encoder,
    lines: Lines,
    encoded: Vec<u8>,
    /// A write stopped within a record: the next one begins with a newline.
    torn: bool,
    /// Lines that could not be written.
    lost: u64,
}

impl JsonFile {
    /// Opens the log for appending. Options: `max-size`, `max-file`.
    pub(crate) fn open(
        path: PathBuf,
        settings: &BTreeMap<String, String>,
        attributes: &BTreeMap<String, String>,
    ) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            torn: size > 0 && last_byte(&mut file)? != b'\n',
            path,
            file,
            size,
            limit: settings.get("max-size").and_then(|text| parse_size(text)),
            files: settings.get("max-file").and_then(|text| text.parse().ok()).unwrap_or(1).max(1),
            encoder: Encoder::new(attributes),
            lines: Lines::default(),
            encoded: Vec::new(),
            lost: 0,
        })
    }

    /// Logs output.
    pub(crate) fn write(&mut self, stream: Stream, output: &[u8]) {
        self.encoder.set_time(Timestamp::now());
        let (encoder, encoded) = (&self.encoder, &mut self.encoded);
        self.lines.take(stream, output, |line| encoder.encode(stream, line, encoded));
        self.put();
    }

    /// Logs what is left of begun lines, with the newline that the process never wrote: readers show
    /// line by line, as the reference's logs have it.
    pub(crate) fn finish(&mut self) {
        self.encoder.set_time(Timestamp::now());
        let (encoder, encoded) = (&self.encoder, &mut self.encoded);
        self.lines.finish(|stream, line| encoder.encode_unfinished(stream, line, encoded));
        self.put();
    }

    /// Writes the encoded records; a new file begins where the next record would pass the limit.
    fn put(&mut self) {
        let encoded = std::mem::take(&mut self.encoded);
        let mut rest = &encoded[..];
        while !rest.is_empty() {
            let fits = self.fitting(rest);
            if fits == 0 {
                self.rotate();
                continue;
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
        let room = match self.limit {
            None => return records.len(),
            Some(limit) => usize::try_from(limit.saturating_sub(self.size)).unwrap_or(usize::MAX),
        };
        if records.len() <= room {
            return records.len();
        }
        match memrchr(b'\n', &records[..room]) {
            Some(newline) => newline + 1,
            None if self.size == 0 => memchr::memchr(b'\n', records).map_or(records.len(), |end| end + 1),
            None => 0,
        }
    }

    fn rotate(&mut self) {
        match rotate(&self.path, self.files) {
            Ok(file) => {
                self.file = file;
                self.torn = false;
            }
            // The old file goes on: a log that is too large is better than none.
            Err(_) => self.limit = None,
        }
        self.size = 0;
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

    /// What of a line is not logged yet.
    pub(crate) fn pending(&self, stream: Stream) -> &[u8] {
        self.lines.pending(stream)
    }

    /// Whether every record ever logged can still be read.
    pub(crate) const fn keeps_everything(&self) -> bool {
        self.limit.is_none() && self.lost == 0
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
        assert_eq!(texts(&path), ["whole\n", "rest\n"]);
    }
}
