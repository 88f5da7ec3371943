//! `GET /containers/{id}/logs`.

use std::io::Write;

use berth_tests::frames;
use berth_tests::{Engine, merged, sh, wait};
use serde_json::json;

/// What a request for logs gives on stdout and stderr.
fn logs(engine: &Engine, id: &str, parameters: &str) -> (String, String) {
    let answer = engine.get(&format!("/containers/{id}/logs?{parameters}")).expect(200);
    let (stdout, stderr) = frames::split(&answer.body);
    (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn streams_are_chosen() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo out; echo err >&2"));
    assert_eq!(engine.wait(&id), 0);
    assert_eq!(logs(&engine, &id, "stdout=1"), ("out\n".to_owned(), String::new()));
    assert_eq!(logs(&engine, &id, "stderr=1"), (String::new(), "err\n".to_owned()));
    assert_eq!(logs(&engine, &id, "stdout=1&stderr=1"), ("out\n".to_owned(), "err\n".to_owned()));
    for parameters in ["", "stdout=0&stderr=0", "follow=1"] {
        let answer = engine.get(&format!("/containers/{id}/logs?{parameters}")).expect(400);
        assert_eq!(answer.text(), "Bad parameters: you must choose at least one stream\n");
    }
    assert_eq!(engine.get("/containers/nosuch/logs?stdout=1").expect(404).text(), "no such id: nosuch\n");
}

#[test]
fn tail_counts_lines() {
    let engine = Engine::start();
    let id = engine.run(&sh("seq 1 100"));
    assert_eq!(engine.wait(&id), 0);
    let last = |count: u32| (101 - count..=100).map(|number| format!("{number}\n")).collect::<String>();
    for (tail, wanted) in
        [("all", 100), ("5", 5), ("1", 1), ("100", 100), ("1000", 100), ("abc", 100), ("-1", 100)]
    {
        assert_eq!(logs(&engine, &id, &format!("stdout=1&tail={tail}")).0, last(wanted), "tail={tail}");
    }
    assert_eq!(logs(&engine, &id, "stdout=1&tail=0").0, "");
}

#[test]
fn timestamps_and_since() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo one; sleep 2.1; echo two"));
    assert_eq!(engine.wait(&id), 0);
    let (stamped, _) = logs(&engine, &id, "stdout=1&timestamps=1");
    let lines: Vec<&str> = stamped.lines().collect();
    assert_eq!(lines.len(), 2, "{stamped}");
    for (line, text) in lines.iter().zip(["one", "two"]) {
        let (time, rest) = line.split_once(' ').expect("a time and a line");
        assert_eq!(rest, text);
        assert!(time.len() == 30 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    }
    let last = lines[1].split(' ').next().expect("a time");
    let date = std::process::Command::new("date").args(["-d", last, "+%s"]).output().expect("date(1)").stdout;
    let since: u64 = String::from_utf8_lossy(&date).trim().parse().expect("seconds");
    assert_eq!(logs(&engine, &id, &format!("stdout=1&since={since}")).0, "two\n");
    assert_eq!(logs(&engine, &id, &format!("stdout=1&since={}", since + 100)).0, "");
    assert_eq!(logs(&engine, &id, "stdout=1&since=0").0, "one\ntwo\n");
    let answer = engine.get(&format!("/containers/{id}/logs?stdout=1&since=abc"));
    assert_eq!(answer.status(), 500);
}

#[test]
fn follow_gives_all_and_ends_with_the_container() {
    let engine = Engine::start();
    let id = engine.run(&sh("i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); sleep 0.01; done"));
    let followed = logs(&engine, &id, "stdout=1&follow=1").0;
    let wanted: String = (0..100).map(|number| format!("{number}\n")).collect();
    assert_eq!(followed, wanted);
    assert_eq!(logs(&engine, &id, "stdout=1&follow=1").0, wanted, "after the end it ends at once");
}

#[test]
fn follow_with_tail_begins_at_the_end() {
    let engine = Engine::start();
    let id = engine.run(&merged(sh("echo a; echo b; read x; echo c"), json!({ "OpenStdin": true })));
    wait::until("the lines", || engine.logs(&id).0.contains('b').then_some(()));
    let mut following = engine.connect();
    let path = format!("/v1.20/containers/{id}/logs?stdout=1&follow=1&tail=1");
    following.request("GET", &path, &[], b"").expect("a request");
    let head = following.read_head().expect("an answer");
    assert_eq!(head.status, 200);
    let begun = following.read_chunk().expect("what was there").expect("a chunk");
    engine.attach(&id, "stream=1&stdin=1").send(b"\n").expect("stdin");
    let rest = following.read_body("GET", &head).expect("the rest");
    assert_eq!(frames::split(&[begun, rest].concat()).0, b"b\nc\n");
}

#[test]
fn a_line_without_an_end_and_long_lines_come_back_exactly() {
    let engine = Engine::start();
    let id = engine.run(&sh("head -c 300000 /dev/zero | tr '\\0' x; echo; printf 'no end'"));
    assert_eq!(engine.wait(&id), 0);
    let wanted = format!("{}\nno end", "x".repeat(300_000));
    let found = logs(&engine, &id, "stdout=1").0;
    assert!(found == wanted, "{} bytes of {}", found.len(), wanted.len());
    assert_eq!(logs(&engine, &id, "stdout=1&tail=1").0, "no end");
    let file = format!("containers/{id}/{id}-json.log");
    let file = std::fs::read_to_string(engine.data_root().join(file)).expect("the log");
    assert!(
        file.lines().last().is_some_and(|line| line.starts_with(r#"{"log":"no end","stream""#)),
        "{file}"
    );
}

#[test]
fn a_follower_gets_an_unfinished_last_line_as_it_is() {
    let engine = Engine::start();
    let id = engine.run(&merged(sh("echo begun; read x; printf 'no end'"), json!({ "OpenStdin": true })));
    let (_, mut follower) = engine.open("GET", &format!("/containers/{id}/logs?stdout=1&follow=1"), &[], b"");
    let mut bytes = follower.read_chunk().expect("a line").expect("a line");
    engine.attach(&id, "stream=1&stdin=1").send(b"\n").expect("input");
    while let Some(chunk) = follower.read_chunk().expect("the stream") {
        bytes.extend(chunk);
    }
    assert_eq!(String::from_utf8_lossy(&berth_tests::frames::split(&bytes).0), "begun\nno end");
}

#[test]
fn a_rotation_that_fails_is_reported_and_tried_again() {
    let engine = Engine::start();
    let options = json!({ "max-size": "64k", "max-file": "2" });
    let log = json!({ "HostConfig": { "LogConfig": { "Type": "json-file", "Config": options } } });
    let id = engine
        .create(&merged(sh("while read x; do seq 1 2000; done"), merged(log, json!({ "OpenStdin": true }))));
    let path = engine.data_root().join(format!("containers/{id}/{id}-json.log"));
    let beside = |end: &str| std::path::PathBuf::from(format!("{}{end}", path.display()));
    // The next file of the log is begun under this name.
    std::fs::create_dir(beside(".new")).expect("an obstacle");
    let mut stream = engine.attach(&id, "stream=1&stdin=1");
    engine.start(&id);
    stream.send(b"\n").expect("input");
    wait::until("the failure in the daemon's log", || {
        engine.log().contains(&format!("cannot rotate the log of container {id}")).then_some(())
    });
    std::fs::remove_dir(beside(".new")).expect("no obstacle");
    stream.send(b"\n").expect("input");
    // For a moment the old file has both names.
    wait::until("the rotated file, and the next one in its place", || {
        let length = std::fs::metadata(&path).expect("the log").len();
        (beside(".1").exists() && length <= 64_000).then_some(())
    });
}

#[test]
fn bytes_that_are_no_text_do_not_break_the_log() {
    let engine = Engine::start();
    let id = engine.run(&sh("printf 'a\\377\\000b\\n'; echo \"quote \\\" back \\\\ <&>\"; echo ü"));
    assert_eq!(engine.wait(&id), 0);
    let found = logs(&engine, &id, "stdout=1").0;
    assert!(found.contains("quote \" back \\ <&>\nü\n"), "{found:?}");
    assert!(found.starts_with('a') && found.contains("b\n"), "{found:?}");
}

#[test]
fn logs_of_two_runs_follow_each_other() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo run"));
    let _ = engine.wait(&id);
    engine.start(&id);
    let _ = engine.wait(&id);
    assert_eq!(logs(&engine, &id, "stdout=1").0, "run\nrun\n");
}

#[test]
fn a_terminals_log_is_raw() {
    let engine = Engine::start();
    let id = engine.run(&merged(sh("echo out; echo err >&2"), json!({ "Tty": true })));
    assert_eq!(engine.wait(&id), 0);
    let answer = engine.get(&format!("/containers/{id}/logs?stdout=1&stderr=1")).expect(200);
    assert_eq!(answer.text(), "out\r\nerr\r\n");
}

#[test]
fn the_driver_none_has_nothing_to_read() {
    let engine = Engine::start();
    let body =
        merged(sh("echo line"), json!({ "HostConfig": { "LogConfig": { "Type": "none", "Config": {} } } }));
    let id = engine.run(&body);
    assert_eq!(engine.wait(&id), 0);
    let answer = engine.get(&format!("/containers/{id}/logs?stdout=1"));
    assert!(!answer.text().contains("line"), "{}", answer.text());
}

#[test]
fn rotation_keeps_the_number_of_files_asked_for() {
    let engine = Engine::start();
    let log = json!({ "Type": "json-file", "Config": { "max-size": "10k", "max-file": "3" } });
    let id = engine.run(&merged(sh("seq 1 5000"), json!({ "HostConfig": { "LogConfig": log } })));
    assert_eq!(engine.wait(&id), 0);
    let path = engine.inspect(&id)["LogPath"].as_str().expect("a path").to_owned();
    let directory = std::path::Path::new(&path).parent().expect("a directory");
    let logs_there = std::fs::read_dir(directory).expect("the directory").flatten();
    let count = logs_there.filter(|entry| entry.file_name().to_string_lossy().contains("-json.log")).count();
    assert_eq!(count, 3);
    let (stdout, _) = logs(&engine, &id, "stdout=1");
    assert!(stdout.ends_with("4999\n5000\n"), "the newest lines are kept");
}

#[test]
fn a_reader_that_goes_ends_its_follow() {
    let engine = Engine::start();
    let id = engine.run(&sh("while :; do echo line; sleep 0.01; done"));
    for _ in 0..20 {
        let path = format!("/containers/{id}/logs?stdout=1&follow=1");
        let (head, mut stream) = engine.open("GET", &path, &[], b"");
        assert_eq!(head.status, 200);
        let _ = stream.read_some().expect("some lines");
    }
    assert_eq!(engine.state(&id, "Running"), true);
}

/// Bytes that a process has read.
fn bytes_read(pid: u32) -> u64 {
    let counters = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("the process");
    let line = counters.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("rchar");
    line.parse().expect("a number")
}

/// Writes records of a kilobyte, ten a second from 2026 on; gives their number. `BERTH_LOG_MEGABYTES=10000` makes
/// them ten gigabytes.
fn write_much(path: &str) -> u64 {
    let given = std::env::var("BERTH_LOG_MEGABYTES").ok().and_then(|text| text.parse().ok());
    let count = given.unwrap_or(100) * 1000;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("the log"));
    let filling = "x".repeat(920);
    for number in 0..count {
        let (tenths, seconds) = (number % 10, number / 10);
        let (day, hour) = (1 + seconds / 86_400, seconds / 3600 % 24);
        let (minute, second) = (seconds / 60 % 60, seconds % 60);
        writeln!(
            file,
            r#"{{"log":"{number} {filling}\n","stream":"stdout","time":"2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}.{tenths}Z"}}"#
        )
        .expect("a record");
    }
    count
}

#[test]
fn the_end_of_a_huge_log_is_found_without_reading_it() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo line"));
    assert_eq!(engine.wait(&id), 0);
    let path = engine.inspect(&id)["LogPath"].as_str().expect("a path").to_owned();
    let count = write_much(&path);
    let numbers = |parameters: &str| -> Vec<u64> {
        let before = bytes_read(engine.daemon_pid());
        let (stdout, _) = logs(&engine, &id, &format!("stdout=1&{parameters}"));
        let read = bytes_read(engine.daemon_pid()) - before;
        assert!(read < 3_000_000, "{parameters}: {read} bytes were read");
        stdout
            .lines()
            .map(|line| line.split(' ').next().and_then(|word| word.parse().ok()).expect("a number"))
            .collect()
    };
    let last = |wanted: u64| (count - wanted..count).collect::<Vec<_>>();
    assert_eq!(numbers("tail=3"), last(3));
    assert_eq!(numbers("tail=500"), last(500));
    // The first moment of 2026, in seconds since 1970.
    let begin = 1_767_225_600;
    assert_eq!(numbers(&format!("since={}", begin + count / 10 - 5)), last(50));
    assert_eq!(numbers(&format!("since={}&tail=3", begin + count / 10 - 5)), last(3));
    assert_eq!(numbers(&format!("since={}", begin + count / 10)), last(0));
    // A busy disk frees so much slowly: not while the end of the test is checked.
    drop(std::fs::File::create(&path).expect("the log"));
}
