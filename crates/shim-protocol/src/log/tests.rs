//! The log's format and reader, against generated output, rotation, damage and garbage.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use model::Timestamp;
use proptest::prelude::*;

use super::*;

fn encoder() -> Encoder {
    let mut encoder = Encoder::new(&BTreeMap::new());
    encoder.set_time(at(0));
    encoder
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix(1_795_435_501 + second, 496_100_000).unwrap()
}

fn encoded(stream: Stream, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder().encode(stream, payload, &mut out);
    out
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn line(number: u32) -> Vec<u8> {
    let mut encoder = encoder();
    encoder.set_time(at(i64::from(number)));
    let mut out = Vec::new();
    encoder.encode(Stream::Stdout, format!("line {number}\n").as_bytes(), &mut out);
    out
}

/// Everything a reader gives now, as text.
fn texts(reader: &mut Reader) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        texts.push(String::from_utf8_lossy(record.payload).trim_end().to_owned());
    }
    texts
}

fn lines(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

fn read(path: &Path, start: Start, since: Option<Timestamp>) -> Vec<String> {
    texts(&mut Reader::open(path, start, since).unwrap())
}

#[test]
fn what_is_written_later_does_not_belong_to_a_log_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let nothing = Reader::open_as_it_is(&path, Start::Beginning, None).unwrap();
    (0..100).for_each(|number| append(&path, &line(number)));
    append(&path, b"{\"log\":\"half");
    let mut readers = [Start::Beginning, Start::Tail(3), Start::Tail(0), Start::End]
        .map(|start| Reader::open_as_it_is(&path, start, None).unwrap());
    append(&path, b"\"}\n");
    (100..200).for_each(|number| append(&path, &line(number)));
    rotate(&path, 3).unwrap();
    (200..300).for_each(|number| append(&path, &line(number)));
    let wanted = [lines(0..100), lines(97..100), Vec::new(), Vec::new()];
    assert_eq!(readers.each_mut().map(texts), wanted);
    assert_eq!(readers.each_mut().map(texts), [const { Vec::<String>::new() }; 4], "nor later");
    assert_eq!(texts(&mut { nothing }), Vec::<String>::new());
    let mut rotated = Reader::open_as_it_is(&path, Start::Tail(150), None).unwrap();
    append(&path, &line(300));
    assert_eq!(texts(&mut rotated), lines(150..300));
}

#[test]
fn a_reader_that_is_to_end_reads_what_was_written_before_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let open = || Reader::open(&path, Start::Beginning, None).unwrap();
    let mut early = open();
    (0..10).for_each(|number| append(&path, &line(number)));
    let [mut unread, mut half_read, mut ahead, mut behind] = [open(), open(), open(), open()];
    half_read.next_record().unwrap().unwrap();
    let end = Position::end_of(&path).unwrap();
    (10..20).for_each(|number| append(&path, &line(number)));
    ahead.next_record().unwrap().unwrap();
    assert_eq!(texts(&mut behind), lines(0..20));
    for reader in [&mut early, &mut unread, &mut half_read, &mut ahead, &mut behind] {
        reader.end_at(end).unwrap();
    }
    early.end_here().unwrap();
    assert_eq!(texts(&mut early), lines(0..10), "the first end counts");
    assert_eq!(texts(&mut unread), lines(0..10));
    assert_eq!(texts(&mut half_read), lines(1..10));
    assert_eq!(texts(&mut ahead), lines(1..10), "what is in its buffer already goes");
    assert_eq!(texts(&mut behind), Vec::<String>::new());
    rotate(&path, 2).unwrap();
    append(&path, &line(20));
    let mut rotated = open();
    rotated.end_at(end).unwrap();
    let mut latest = Reader::open(&path, Start::Tail(1), None).unwrap();
    latest.end_at(end).unwrap();
    assert_eq!((texts(&mut rotated), texts(&mut latest)), (lines(0..10), Vec::new()));
    rotate(&path, 2).unwrap();
    append(&path, &line(21));
    let mut gone = open();
    gone.end_at(end).unwrap();
    assert_eq!(texts(&mut gone), Vec::<String>::new(), "all of it is rotated away");
}

#[test]
fn a_record_is_the_documented_line() {
    let attributes = BTreeMap::from([("a".to_owned(), "x\"y".to_owned())]);
    let mut encoder = Encoder::new(&attributes);
    encoder.set_time(Timestamp::from_unix(1_795_435_501, 7).unwrap());
    let mut out = Vec::new();
    encoder.encode(Stream::Stderr, b"a\tb\"\\\x01\xc3\xa9\xff\r\n", &mut out);
    let wanted = "{\"log\":\"a\\tb\\\"\\\\\\u0001\u{e9}\\udcff\\r\\n\",\"stream\":\"stderr\",\
                  \"attrs\":{\"a\":\"x\\\"y\"},\"time\":\"2026-11-23T12:05:01.000000007Z\"}\n";
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
}

#[test]
fn records_of_other_writers_are_read() {
    let mut line = br#" { "time" : "2026-11-23T12:05:01.79Z", "n": [1, {"x": null}], "stream":"stdout", "log":"\u00e9\ud83d\ude00\/\b\f\ud800x" } "#.to_vec();
    let record = decode(&mut line).unwrap();
    assert_eq!(record.payload, "\u{e9}\u{1f600}/\u{8}\u{c}\u{fffd}x".as_bytes());
    let mut shown = Vec::new();
    record.push_time(&mut shown);
    assert_eq!(shown, b"2026-11-23T12:05:01.790000000Z");
}

#[test]
fn a_newline_that_an_earlier_release_added_is_known() {
    let text =
        br#"{"log":"a\\u000a\n\u0001b\u000a","stream":"stdout","time":"2026-11-23T12:05:01.496100000Z"}"#;
    let mut line = text.to_vec();
    let record = decode(&mut line).unwrap();
    assert_eq!((record.payload, record.written()), (&b"a\\u000a\n\x01b\n"[..], &b"a\\u000a\n\x01b"[..]));
    let mut line = encoded(Stream::Stdout, b"\x01a\n");
    let record = decode(&mut line).unwrap();
    assert_eq!((record.payload, record.written()), (&b"\x01a\n"[..], &b"\x01a\n"[..]));
}

#[test]
fn only_a_piece_of_a_long_line_is_continued() {
    let is_continued = |payload: &[u8]| decode(&mut encoded(Stream::Stdout, payload)).unwrap().is_continued();
    assert!(is_continued(&vec![b'x'; MAXIMUM_PAYLOAD]));
    assert!(is_continued(&vec![b'x'; MAXIMUM_PAYLOAD - 3]));
    assert!(!is_continued(b"unfinished"));
    assert!(!is_continued(b"a line\n"));
}

#[test]
fn what_is_no_record_is_none() {
    for bad in [
        "",
        "{",
        "{}",
        "null",
        "[]",
        "{\"log\":\"x\"}",
        "{\"log\":\"x\",\"stream\":\"stdin\"}",
        "{\"log\":\"x\",\"stream\":\"stdout\"",
        "{\"log\":\"x\\\",\"stream\":\"stdout\"}",
        "{\"log\":\"\\u12\",\"stream\":\"stdout\"}",
        "{\"log\":\"x\",\"stream\":\"stdout\"}}",
        "{\"a\":},\"log\":\"x\",\"stream\":\"stdout\"}",
        "{\"log\":\"x\",,\"stream\":\"stdout\"}",
    ] {
        assert_eq!(decode(&mut bad.as_bytes().to_vec()), None, "{bad}");
    }
}

#[test]
fn long_lines_are_cut_between_characters() {
    let text = "\u{20ac}".repeat(10_000);
    let mut pieces = Vec::new();
    let used = split_lines(text.as_bytes(), |piece| pieces.push(piece.to_vec()));
    assert_eq!(pieces.len(), 1);
    assert!(pieces.iter().all(|piece| std::str::from_utf8(piece).is_ok()));
    assert_eq!(used, MAXIMUM_PAYLOAD / 3 * 3);
}

#[test]
fn reading_goes_on_as_the_log_grows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut reader = Reader::open(&path, Start::Beginning, None).unwrap();
    assert!(texts(&mut reader).is_empty());
    append(&path, &line(0));
    let second = line(1);
    append(&path, &second[..20]);
    assert_eq!(texts(&mut reader), lines(0..1), "half a line is not there yet");
    append(&path, &second[20..]);
    assert_eq!(texts(&mut reader), lines(1..2));
}

#[test]
fn a_follower_sees_each_line_once_over_rotations() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    append(&path, b"");
    let mut always = Reader::open(&path, Start::Beginning, None).unwrap();
    let mut seldom = Reader::open(&path, Start::Beginning, None).unwrap();
    let (mut often, mut rarely) = (Vec::new(), Vec::new());
    for number in 0..100 {
        append(&path, &line(number));
        if number % 7 == 0 {
            rotate(&path, 4).unwrap();
        }
        often.extend(texts(&mut always));
        if number % 20 == 0 {
            rarely.extend(texts(&mut seldom));
        }
    }
    rarely.extend(texts(&mut seldom));
    assert_eq!(often, lines(0..100));
    assert_eq!(rarely, lines(0..100));
    assert!(rotated(&path, 3).exists() && !rotated(&path, 4).exists());
}

#[test]
fn compressed_files_are_read_as_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    append(&path, b"");
    let mut always = Reader::open(&path, Start::Beginning, None).unwrap();
    let mut seldom = Reader::open(&path, Start::Beginning, None).unwrap();
    let (mut often, mut rarely) = (Vec::new(), Vec::new());
    for number in 0..9_000 {
        append(&path, &line(number));
        if number % 1_000 == 999 {
            rotate(&path, 12).unwrap();
            // One is left as it was, one is interrupted.
            let mut compressor = Compressor::begin(&path).unwrap().expect("a file");
            match number {
                3_999 => {}
                5_999 => assert!(!compressor.advance(1).unwrap()),
                _ => assert!(compressor.advance(u32::MAX).unwrap()),
            }
        }
        if number % 100 == 0 {
            often.extend(texts(&mut always));
        }
        if number % 2_500 == 0 {
            rarely.extend(texts(&mut seldom));
        }
    }
    often.extend(texts(&mut always));
    rarely.extend(texts(&mut seldom));
    assert!(often == lines(0..9_000) && rarely == lines(0..9_000));
    let packed = fs::read_dir(directory.path()).unwrap().flatten();
    let packed = packed.filter(|entry| entry.path().extension() == Some("gz".as_ref()));
    assert_eq!((packed.count(), fs::read_dir(directory.path()).unwrap().count()), (7, 10));
    for count in [0, 1, 999, 1_001, 8_999, 20_000] {
        let wanted = lines(9_000_u32.saturating_sub(count)..9_000);
        assert_eq!(read(&path, Start::Tail(u64::from(count)), None), wanted, "tail {count}");
    }
    for from in [0, 1, 999, 1_000, 5_500, 8_999] {
        assert_eq!(read(&path, Start::Beginning, Some(at(from))), lines(u32::try_from(from).unwrap()..9_000));
    }
    let mut reader = Reader::open(&path, Start::Beginning, None).unwrap();
    for _ in 0..1_500 {
        reader.next_record().unwrap().unwrap();
    }
    assert_eq!(texts(&mut Reader::resume(&path, reader.position(), None).unwrap()), lines(1_500..9_000));
    for _ in 0..12 {
        rotate(&path, 12).unwrap();
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 12, "the oldest are gone, compressed or not");
}

#[test]
fn rotation_keeps_one_file_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    append(&path, &line(0));
    let mut reader = Reader::open(&path, Start::Beginning, None).unwrap();
    let mut fresh = rotate(&path, 1).unwrap();
    fresh.write_all(&line(1)).unwrap();
    assert_eq!(texts(&mut reader), lines(0..2));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn tail_and_since_find_their_place_over_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    for number in 0..9_000 {
        append(&path, &line(number));
        if number % 3_000 == 2_999 && number < 8_000 {
            rotate(&path, 5).unwrap();
        }
    }
    assert_eq!(read(&path, Start::Beginning, None), lines(0..9_000));
    for count in [0, 1, 2, 2_999, 3_000, 3_001, 8_999, 9_000, 20_000] {
        let wanted = lines(9_000_u32.saturating_sub(count)..9_000);
        assert_eq!(read(&path, Start::Tail(u64::from(count)), None), wanted, "tail {count}");
    }
    for from in [0, 1, 2_999, 3_000, 3_001, 5_500, 8_999, 9_000] {
        assert_eq!(read(&path, Start::Beginning, Some(at(from))), lines(u32::try_from(from).unwrap()..9_000));
    }
    assert_eq!(read(&path, Start::Tail(5), Some(at(8_998))), lines(8_998..9_000));
    assert!(read(&path, Start::End, None).is_empty());
}

#[test]
fn tail_counts_lines_not_records() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let long = "x".repeat(MAXIMUM_PAYLOAD);
    for piece in ["one\n", &long, &long, "end\n", "unfinished", "of the next run\n"] {
        append(&path, &encoded(Stream::Stdout, piece.as_bytes()));
    }
    assert_eq!(read(&path, Start::Tail(1), None), ["of the next run"]);
    assert_eq!(read(&path, Start::Tail(2), None), ["unfinished", "of the next run"]);
    let three = [&long, &long, "end", "unfinished", "of the next run"];
    assert_eq!(read(&path, Start::Tail(3), None), three);
}

#[test]
fn a_position_is_taken_up_again_after_a_rotation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    (0..10).for_each(|number| append(&path, &line(number)));
    let mut reader = Reader::open(&path, Start::Beginning, None).unwrap();
    for _ in 0..4 {
        reader.next_record().unwrap().unwrap();
    }
    let position = reader.position();
    rotate(&path, 3).unwrap();
    append(&path, &line(10));
    assert_eq!(texts(&mut Reader::resume(&path, position, None).unwrap()), lines(4..11));
}

#[test]
fn damage_and_giants_are_stepped_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    append(&path, &line(0));
    append(&path, b"{\"log\":\"half of a reco\n\0\0\0\n\n");
    append(&path, &line(1));
    let mut giant = vec![b'x'; MAXIMUM_LINE + 100_000];
    giant.push(b'\n');
    append(&path, &giant);
    append(&path, &line(2));
    append(&path, b"{\"log\":\"cut");
    assert_eq!(read(&path, Start::Beginning, None), lines(0..3));
    assert_eq!(read(&path, Start::Tail(2), None), lines(1..3));
    assert_eq!(read(&path, Start::Beginning, Some(at(2))), lines(2..3));
    File::create(&path).unwrap();
    assert!(read(&path, Start::Tail(2), None).is_empty());
}

proptest! {
    #[test]
    fn any_bytes_come_back(payload in prop::collection::vec(any::<u8>(), 0..300), stderr: bool) {
        let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
        let mut line = encoded(stream, &payload);
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let record = decode(&mut line).unwrap();
        prop_assert_eq!((record.stream, record.payload), (stream, &payload[..]));
        prop_assert_eq!(record.time(), Some(at(0)));
    }

    #[test]
    fn text_is_json(text: String) {
        let line = encoded(Stream::Stdout, text.as_bytes());
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        prop_assert_eq!(value["log"].as_str(), Some(&text[..]));
    }

    #[test]
    fn garbage_never_panics(mut garbage in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..150) {
        let mut line = encoded(Stream::Stdout, &garbage);
        line.truncate(cut);
        decode(&mut line);
        decode(&mut garbage);
    }

    #[test]
    fn splitting_loses_nothing(output in prop::collection::vec(any::<u8>(), 0..100_000)) {
        let mut joined = Vec::new();
        let used = split_lines(&output, |piece| {
            assert!(!piece.is_empty() && piece.len() <= MAXIMUM_PAYLOAD);
            joined.extend_from_slice(piece);
        });
        prop_assert_eq!(joined.len(), used);
        prop_assert!(output.starts_with(&joined));
        prop_assert!(output.len() - used < MAXIMUM_PAYLOAD);
        prop_assert!(!output[used..].contains(&b'\n'));
    }
}
