//! `POST /containers/{id}/attach`: streams, with and without `Upgrade`.

use std::time::Duration;

use berth_tests::frames::{self, STDERR, STDOUT};
use berth_tests::{Engine, merged, sh};
use serde_json::{Value, json};

/// A container that takes stdin.
fn with_stdin(script: &str) -> Value {
    merged(sh(script), json!({ "OpenStdin": true, "StdinOnce": true, "AttachStdin": true }))
}

#[test]
fn the_first_byte_is_seen_when_attached_before_the_start() {
    let engine = Engine::start();
    let id = engine.create(&sh("echo first; echo wrong >&2; echo last"));
    let mut stream = engine.attach(&id, "stream=1&stdout=1&stderr=1");
    engine.start(&id);
    let bytes = stream.read_to_end().expect("the stream's end");
    assert_eq!(frames::split(&bytes), (b"first\nlast\n".to_vec(), b"wrong\n".to_vec()));
}

#[test]
fn without_upgrade_the_answer_is_200_and_the_same_stream() {
    let engine = Engine::start();
    let id = engine.create(&with_stdin("cat; echo end"));
    let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
    let (head, mut stream) = engine.open("POST", &path, &[], b"");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("application/vnd.docker.raw-stream"));
    engine.start(&id);
    stream.send(b"hello\n").expect("stdin");
    stream.half_close().expect("the end of stdin");
    let bytes = stream.read_to_end().expect("the stream's end");
    assert_eq!(frames::split(&bytes).0, b"hello\nend\n");
    assert_eq!(engine.wait(&id), 0);
}

#[test]
fn upgraded_answers_name_the_protocol() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let path = format!("/containers/{id}/attach?stream=1&stdout=1");
    let (head, _stream) = engine.open("POST", &path, &[("Connection", "Upgrade"), ("Upgrade", "tcp")], b"");
    assert_eq!(head.status, 101);
    assert_eq!(head.header("upgrade"), Some("tcp"));
    assert_eq!(head.header("connection").map(str::to_lowercase), Some("upgrade".to_owned()));
    assert_eq!(head.header("content-type"), Some("application/vnd.docker.raw-stream"));
}

#[test]
fn bytes_right_behind_the_head_belong_to_the_stream() {
    let engine = Engine::start();
    let id = engine.run(&with_stdin("cat"));
    let mut connection = engine.connect();
    let request = format!(
        "POST /v1.20/containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\
         Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\nearly bytes\n"
    );
    connection.send(request.as_bytes()).expect("head and stream in one write");
    connection.half_close().expect("the end of stdin");
    assert_eq!(connection.read_head().expect("an answer").status, 101);
    let bytes = connection.read_to_end().expect("the stream's end");
    assert_eq!(frames::split(&bytes).0, b"early bytes\n");
}

#[test]
fn every_byte_passes_both_ways() {
    let engine = Engine::start();
    let id = engine.create(&with_stdin("cat"));
    let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1&stderr=1");
    engine.start(&id);
    let sent: Vec<u8> =
        (0..3_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut writer = stream.writer().expect("a second handle");
    let bytes = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::io::Write::write_all(&mut writer, &sent).expect("stdin");
            writer.shutdown(std::net::Shutdown::Write).expect("the end of stdin");
        });
        stream.read_to_end().expect("the stream's end")
    });
    let (stdout, _) = frames::split(&bytes);
    assert!(stdout == sent, "{} bytes came of {}, or others", stdout.len(), sent.len());
}

#[test]
fn a_slow_reader_holds_the_container_back_and_loses_nothing() {
    let engine = Engine::start();
    let id = engine.create(&sh("dd if=/dev/zero bs=65536 count=200 2>/dev/null; echo done >&2"));
    let mut stream = engine.attach(&id, "stream=1&stdout=1&stderr=1");
    engine.start(&id);
    std::thread::sleep(Duration::from_millis(500));
    let bytes = stream.read_to_end().expect("the stream's end");
    let (stdout, stderr) = frames::split(&bytes);
    assert_eq!(stdout.len(), 65_536 * 200);
    assert_eq!(stderr, b"done\n");
}

#[test]
fn only_the_streams_asked_for() {
    let engine = Engine::start();
    for (parameters, wanted) in [
        ("stream=1&stdout=1", ("out\n", "")),
        ("stream=1&stderr=1", ("", "err\n")),
        ("stream=1&stdout=1&stderr=1", ("out\n", "err\n")),
    ] {
        let id = engine.create(&sh("echo out; echo err >&2"));
        let mut stream = engine.attach(&id, parameters);
        engine.start(&id);
        let (stdout, stderr) = frames::split(&stream.read_to_end().expect("the stream's end"));
        assert_eq!((stdout.as_slice(), stderr.as_slice()), (wanted.0.as_bytes(), wanted.1.as_bytes()));
    }
}

#[test]
fn logs_come_before_the_stream() {
    let engine = Engine::start();
    let id = engine.run(&with_stdin("echo before; cat"));
    berth_tests::wait::until("the first line", || engine.logs(&id).0.contains("before").then_some(()));
    let mut stream = engine.attach(&id, "logs=1&stream=1&stdin=1&stdout=1");
    stream.send(b"after\n").expect("stdin");
    stream.half_close().expect("the end of stdin");
    let bytes = stream.read_to_end().expect("the stream's end");
    assert_eq!(frames::split(&bytes).0, b"before\nafter\n");
}

#[test]
fn logs_without_a_stream_end() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo line; sleep 600"));
    berth_tests::wait::until("the line", || engine.logs(&id).0.contains("line").then_some(()));
    let mut stream = engine.attach(&id, "logs=1&stdout=1&stderr=1");
    assert_eq!(frames::split(&stream.read_to_end().expect("the end")).0, b"line\n");
}

#[test]
fn attach_to_an_exited_container_ends() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo line"));
    assert_eq!(engine.wait(&id), 0);
    let mut stream = engine.attach(&id, "logs=1&stream=1&stdout=1");
    assert_eq!(frames::split(&stream.read_to_end().expect("the end")).0, b"line\n");
}

#[test]
fn several_clients_see_the_same() {
    let engine = Engine::start();
    let id = engine.create(&sh("echo out; echo err >&2"));
    let mut clients: Vec<_> = (0..4).map(|_| engine.attach(&id, "stream=1&stdout=1&stderr=1")).collect();
    engine.start(&id);
    for client in &mut clients {
        let bytes = client.read_to_end().expect("the stream's end");
        assert_eq!(frames::split(&bytes), (b"out\n".to_vec(), b"err\n".to_vec()));
    }
}

#[test]
fn a_client_that_goes_disturbs_nobody() {
    let engine = Engine::start();
    let id = engine.create(&with_stdin("i=0; while [ $i -lt 50 ]; do echo $i; i=$((i+1)); sleep 0.01; done"));
    let leaving = engine.attach(&id, "stream=1&stdin=1&stdout=1");
    let mut staying = engine.attach(&id, "stream=1&stdout=1");
    engine.start(&id);
    drop(leaving);
    let (stdout, _) = frames::split(&staying.read_to_end().expect("the stream's end"));
    let wanted: String = (0..50).map(|number| format!("{number}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&stdout), wanted);
    assert_eq!(engine.wait(&id), 0);
}

#[test]
fn stdin_stays_open_for_the_next_client_unless_it_is_once() {
    let engine = Engine::start();
    let id = engine.run(&merged(sh("cat"), json!({ "OpenStdin": true })));
    for line in ["first\n", "second\n"] {
        let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1");
        stream.send(line.as_bytes()).expect("stdin");
        let seen = frames::read_until(&mut stream, STDOUT, line.as_bytes()).expect("the line");
        assert_eq!(seen, line.as_bytes());
    }
    assert_eq!(engine.state(&id, "Running"), true);
}

#[test]
fn a_terminal_is_one_raw_stream() {
    let engine = Engine::start();
    let body =
        merged(with_stdin("echo out; echo err >&2; read line; echo got $line"), json!({ "Tty": true }));
    let id = engine.create(&body);
    let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1&stderr=1");
    engine.start(&id);
    stream.read_until(b"err\r\n").expect("both lines");
    stream.send(b"typed\n").expect("stdin");
    let seen = stream.read_to_end().expect("the stream's end");
    assert_eq!(String::from_utf8_lossy(&seen), "typed\r\ngot typed\r\n");
}

#[test]
fn errors_come_before_the_stream() {
    let engine = Engine::start();
    let answer = engine.post("/containers/nosuch/attach?stream=1&stdout=1").expect(404);
    assert_eq!(answer.text(), "no such id: nosuch\n");
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "tcp")];
    let answer =
        engine.call("POST", "/containers/nosuch/attach?stream=1&stdout=1", &upgrade, b"").expect(404);
    assert_eq!(answer.text(), "no such id: nosuch\n");
}

#[test]
fn stderr_frames_carry_their_stream() {
    let engine = Engine::start();
    let id = engine.create(&sh("echo err >&2"));
    let mut stream = engine.attach(&id, "stream=1&stdout=1&stderr=1");
    engine.start(&id);
    let frame = frames::read_frame(&mut stream).expect("a frame");
    assert_eq!(frame, Some((STDERR, b"err\n".to_vec())));
}

#[test]
fn a_client_that_takes_the_past_slowly_holds_nobody_up() {
    let engine = Engine::start();
    let id = engine.run(&sh("head -c 8000000 /dev/zero | tr '\\0' x | fold -w 1000"));
    assert_eq!(engine.wait(&id), 0);
    let mut slow = engine.attach(&id, "logs=1&stream=1&stdout=1");
    let started = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !started.load(std::sync::atomic::Ordering::Relaxed) && slow.read_some().is_ok() {
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let answer = engine.post(&format!("/containers/{id}/start"));
        started.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = answer.expect(204);
    });
    assert_eq!(engine.wait(&id), 0);
}

/// What the first run writes fills every buffer on the way to a client that does not read; it ends when `/go` is there.
/// The second run writes something else.
const TWO_RUNS: &str = "
    if [ -e /go ]; then yes second | head -c 200000; exit; fi
    yes $(head -c 8000 /dev/zero | tr '\\0' f) | head -c 8000000
    echo full >&2
    while [ ! -e /go ]; do sleep 0.05; done";

/// A container in its first run, all of whose output is in its log.
fn in_its_first_run(engine: &Engine) -> String {
    let id = engine.run(&sh(TWO_RUNS));
    let is_full = || engine.get(&format!("/containers/{id}/logs?stderr=1&tail=1")).expect(200).body;
    berth_tests::wait::until("its output", || (frames::split(&is_full()).1 == b"full\n").then_some(()));
    id
}

/// Ends the first run, and waits for all that the second one writes.
fn run_again(engine: &Engine, id: &str) {
    assert_eq!(engine.exec(id, &["touch", "/go"]).code, 0);
    assert_eq!(engine.wait(id), 0);
    engine.start(id);
    assert_eq!(engine.wait(id), 0);
}

#[test]
fn a_slow_client_that_is_shown_the_past_gets_nothing_of_the_next_run() {
    let engine = Engine::start();
    let id = in_its_first_run(&engine);
    let mut slow = engine.attach(&id, "logs=1&stream=1&stdout=1");
    run_again(&engine, &id);
    let seen = slow.read_to_end().expect("the stream's end");
    assert!(!seen.windows(6).any(|window| window == b"second"), "of {} bytes", seen.len());
}

#[test]
fn a_slow_follower_of_the_log_gets_nothing_of_the_next_run() {
    let engine = Engine::start();
    let id = in_its_first_run(&engine);
    let path = format!("/containers/{id}/logs?follow=1&stdout=1");
    let (head, mut slow) = engine.open("GET", &path, &[], b"");
    run_again(&engine, &id);
    let body = slow.read_body("GET", &head).expect("all of the log");
    let seen = frames::split(&body).0;
    assert!(!seen.windows(6).any(|window| window == b"second"), "of {} bytes", seen.len());
    assert_eq!(seen.len(), 8_000_000);
}
