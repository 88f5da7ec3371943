//! A log in the form that the kubelet reads and rotates: `time stream tag text`, a line each.
//!
//! The tag is `F` for a complete line and `P` for a part of one that continues in the next record of its stream: long
//! lines are split, and what a process leaves without a newline stays without one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use model::Timestamp;
use shim_protocol::log::Stream;

use super::lines::Lines;

/// Readers of logs may be in the file's group.
const MODE: u32 = 0o640;

/// A log in a file.
pub(crate) struct KubernetesFile {
    path: PathBuf,
    file: File,
    lines: Lines,
    /// Lines that could not be written.
    lost: u64,
}

impl KubernetesFile {
    /// Opens the file for appending; its directory is made where it is missing.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        Ok(Self { path: path.to_owned(), file: append(path)?, lines: Lines::default(), lost: 0 })
    }

    /// Opens the file again under its name. The old one stays where that fails.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        Ok(())
    }

    /// Logs output.
    pub(crate) fn write(&mut self, stream: Stream, output: &[u8]) {
        let now = Timestamp::now();
        let mut records = Vec::new();
        self.lines.take(stream, output, |line| put(&mut records, now, stream, line));
        self.append(&records);
    }

    /// Logs what is left of begun lines.
    pub(crate) fn finish(&mut self) {
        let now = Timestamp::now();
        let mut records = Vec::new();
        self.lines.finish(|stream, line| put(&mut records, now, stream, line));
        self.append(&records);
    }

    fn append(&mut self, records: &[u8]) {
        if !records.is_empty() && self.file.write_all(records).is_err() {
            self.lost += memchr::memchr_iter(b'\n', records).count() as u64;
        }
    }

    /// The part of a line that is not logged yet.
    pub(crate) fn pending(&self, stream: Stream) -> &[u8] {
        self.lines.pending(stream)
    }

    /// Lines that could not be written so far.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}

/// Adds a record.
fn put(records: &mut Vec<u8>, at: Timestamp, stream: Stream, line: &[u8]) {
    let (text, tag) = line.strip_suffix(b"\n").map_or((line, 'P'), |text| (text, 'F'));
    // Memory takes all that is written to it.
    let _ = write!(records, "{at} {} {tag} ", stream.name());
    records.extend_from_slice(text);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use shim_protocol::log::MAXIMUM_PAYLOAD;

    use super::*;

    /// The records without their times, which must be times.
    fn records(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let record = |line: &str| {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(Timestamp::parse(time).is_ok(), "{time}");
            rest.to_owned()
        };
        text.lines().map(record).collect()
    }

    #[test]
    fn lines_are_whole_and_pieces_say_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/0.log");
        let mut log = KubernetesFile::open(&path).unwrap();
        log.write(Stream::Stdout, b"one\ntw");
        log.write(Stream::Stderr, b"wrong\n\n");
        log.write(Stream::Stdout, b"o\nlast");
        log.finish();
        assert_eq!(
            records(&path),
            ["stdout F one", "stderr F wrong", "stderr F ", "stdout F two", "stdout P last"]
        );
        let long = vec![b'x'; MAXIMUM_PAYLOAD + 1];
        log.write(Stream::Stdout, &long);
        log.write(Stream::Stdout, b"\n");
        let records = records(&path);
        assert!(records[5].starts_with("stdout P x") && records[6] == "stdout F x");
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("0.log"), directory.path().join("0.log.1"));
        let mut log = KubernetesFile::open(&path).unwrap();
        log.write(Stream::Stdout, b"before\n");
        std::fs::rename(&path, &moved).unwrap();
        log.write(Stream::Stdout, b"between\n");
        log.reopen().unwrap();
        log.write(Stream::Stdout, b"behind\n");
        assert_eq!(records(&moved), ["stdout F before", "stdout F between"]);
        assert_eq!(records(&path), ["stdout F behind"]);
    }
}
