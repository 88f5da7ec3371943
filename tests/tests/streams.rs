//! Streams under strain: much data, many clients, clients that stop reading or vanish, detach keys.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::Shutdown;
use std::thread;

use berth_tests::frames::{self, STDERR, STDOUT};
use berth_tests::http::Connection;
use berth_tests::{Engine, Options, host, merged, sh, wait};
use serde_json::{Value, json};

/// Megabytes sent each way; `BERTH_STREAM_MEGABYTES=1000` makes it a gigabyte.
fn megabytes() -> usize {
    let given = std::env::var("BERTH_STREAM_MEGABYTES").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(16)
}

/// Bytes that repeat only after a length that no buffer has, so that a lost, doubled or swapped part shows.
fn pattern() -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..1_000_003).map(next).collect()
}

/// Checks bytes against the pattern as they come.
struct Checked<'a> {
    pattern: &'a [u8],
    count: usize,
}

impl Checked<'_> {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = self.count % self.pattern.len();
            let length = bytes.len().min(self.pattern.len() - at);
            assert!(
                bytes[..length] == self.pattern[at..at + length],
                "wrong bytes between {} and {}",
                self.count,
                self.count + length
            );
            self.count += length;
            bytes = &bytes[length..];
        }
    }
}

/// Sends so many repetitions of the pattern to a `cat` and checks what comes back, at the same time.
fn through(stream: &mut Connection, pattern: &[u8], times: usize) {
    let mut writer = stream.writer().expect("a second handle");
    let mut checked = Checked { pattern, count: 0 };
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..times {
                writer.write_all(pattern).expect("input");
            }
            writer.shutdown(Shutdown::Write).expect("the end of the input");
        });
        while let Some((from, bytes)) = frames::read_frame(stream).expect("a frame") {
            assert_eq!(from, STDOUT);
            checked.take(&bytes);
        }
    });
    assert_eq!(checked.count, times * pattern.len());
}

fn with_stdin(script: &str) -> Value {
    merged(sh(script), json!({ "OpenStdin": true, "StdinOnce": true, "AttachStdin": true }))
}

/// The only shim of an engine.
fn shim(engine: &Engine) -> u32 {
    let shims: BTreeSet<u32> = engine.shims();
    assert_eq!(shims.len(), 1, "{shims:?}");
    *shims.first().expect("a shim")
}

/// Kilobytes of a process that are no file's.
fn anonymous_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

#[test]
fn attach_exec_and_logs_carry_much_exactly() {
    let engine = Engine::start();
    let pattern = pattern();
    let id = engine.create(&with_stdin("cat"));
    let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1&stderr=1");
    engine.start(&id);
    through(&mut stream, &pattern, megabytes());
    assert_eq!(engine.wait(&id), 0);

    // All of it was logged, byte for byte, though it is no text.
    let path = format!("/containers/{id}/logs?stdout=1&stderr=1&follow=1");
    let (head, mut stream) = engine.open("GET", &path, &[("Connection", "Upgrade"), ("Upgrade", "tcp")], b"");
    assert_eq!(head.status, 101);
    let mut checked = Checked { pattern: &pattern, count: 0 };
    let wanted = megabytes() * pattern.len();
    while let Some((_, bytes)) = frames::read_frame(&mut stream).expect("a frame") {
        // The log ends an unfinished last line.
        let length = bytes.len().min(wanted - checked.count);
        checked.take(&bytes[..length]);
    }
    assert_eq!(checked.count, wanted);
    engine.remove(&id);

    let id = engine.run(&sh("sleep 600"));
    let body = json!({ "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Cmd": ["cat"] });
    let exec = engine.exec_create(&id, &body);
    let mut stream = engine.exec_start(&exec, &json!({}));
    through(&mut stream, &pattern, megabytes());
    assert_eq!(engine.get(&format!("/exec/{exec}/json")).json()["ExitCode"], 0);
}

#[test]
fn each_direction_ends_by_itself() {
    let engine = Engine::start();
    // The client's: output goes on long after it.
    let id = engine.create(&with_stdin("cat; for i in 1 2 3; do sleep 0.2; echo $i; done"));
    let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1");
    engine.start(&id);
    stream.send(b"in\n").expect("input");
    stream.half_close().expect("the end of the input");
    assert_eq!(frames::split(&stream.read_to_end().expect("the end")).0, b"in\n1\n2\n3\n");
    // The container's: input still arrives when its outputs are closed.
    let id = engine.create(&with_stdin("exec >&- 2>&-; cat > /got; wc -c < /got > /count"));
    let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1&stderr=1");
    engine.start(&id);
    thread::sleep(std::time::Duration::from_millis(200));
    stream.send(&[b'x'; 300_000]).expect("input");
    stream.half_close().expect("the end of the input");
    assert_eq!(engine.wait(&id), 0);
    let copied = engine.get(&format!("/containers/{id}/archive?path=/count")).expect(200);
    assert!(berth_tests::http::contains(&copied.body, b"300000\n"));
}

#[test]
fn much_sent_right_behind_the_head_belongs_to_the_stream() {
    let engine = Engine::start();
    let pattern = pattern();
    for body in ["", "{\"stream\":true}"] {
        let id = engine.run(&with_stdin("cat"));
        let mut connection = engine.connect();
        let mut bytes = format!(
            "POST /v1.20/containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\
             Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&pattern);
        let mut writer = connection.writer().expect("a second handle");
        let mut checked = Checked { pattern: &pattern, count: 0 };
        thread::scope(|scope| {
            scope.spawn(move || {
                writer.write_all(&bytes).expect("head and stream");
                writer.shutdown(Shutdown::Write).expect("the end of the input");
            });
            assert_eq!(connection.read_head().expect("an answer").status, 101);
            while let Some((_, bytes)) = frames::read_frame(&mut connection).expect("a frame") {
                checked.take(&bytes);
            }
        });
        assert_eq!(checked.count, pattern.len(), "the request's body is no part of the stream");
    }
}

#[test]
fn clients_that_stop_reading_hold_up_nobody_and_cost_little() {
    let engine = Engine::start();
    let script = "read line; dd if=/dev/zero bs=1000000 count=60 2>/dev/null | tr '\\0' x; echo; echo end >&2; sleep 600";
    let id = engine.create(&merged(sh(script), json!({ "OpenStdin": true })));
    let mut stuck: Vec<_> = (0..20).map(|_| engine.attach(&id, "stream=1&stdout=1&stderr=1")).collect();
    let mut reading = engine.attach(&id, "stream=1&stdin=1&stdout=1&stderr=1");
    engine.start(&id);
    let shim = shim(&engine);
    reading.send(b"go\n").expect("input");
    let mut count = 0;
    while let Some((from, bytes)) = frames::read_frame(&mut reading).expect("a frame") {
        if from == STDERR {
            assert_eq!(bytes, b"end\n");
            break;
        }
        count += bytes.len();
        assert_eq!(engine.get("/containers/json").expect(200).json().as_array().map(Vec::len), Some(1));
    }
    assert_eq!(count, 60_000_001, "who reads gets all, while others do not");
    wait::until("the end in the log", || (engine.logs(&id).1 == "end\n").then_some(()));
    let held = anonymous_memory(shim);
    assert!(held < 24 * 1024, "{held} kB are held for twenty clients that do not read");
    // One of them reads on: nothing is lost for it.
    let mut late = stuck.pop().expect("one of them");
    let mut count = 0;
    while let Some((STDOUT, bytes)) = frames::read_frame(&mut late).expect("a frame") {
        count += bytes.len();
    }
    assert_eq!(count, 60_000_001);
}

#[test]
fn two_hundred_clients_see_the_same_and_leave_nothing() {
    let engine = Engine::start();
    let id = engine.create(&merged(sh("read line; seq 1 2000; read line"), json!({ "OpenStdin": true })));
    engine.start(&id);
    let shim = shim(&engine);
    let before = (host::descriptors_of(engine.daemon_pid()), host::descriptors_of(shim));
    let mut clients: Vec<_> = (0..200).map(|_| engine.attach(&id, "stream=1&stdout=1&stderr=1")).collect();
    let mut typing = engine.attach(&id, "stream=1&stdin=1");
    typing.send(b"\n").expect("input");
    let wanted: String = (1..=2000).map(|number| format!("{number}\n")).collect();
    for client in &mut clients {
        let seen = frames::read_until(client, STDOUT, b"\n2000\n").expect("all lines");
        assert_eq!(String::from_utf8_lossy(&seen), wanted);
    }
    drop(clients);
    drop(typing);
    let now = || (host::descriptors_of(engine.daemon_pid()), host::descriptors_of(shim));
    wait::until("the descriptors to be closed", || {
        (now().0 <= before.0 && now().1 <= before.1).then_some(())
    });
}

#[test]
fn clients_that_vanish_free_everything() {
    let address = "127.0.0.1:22378";
    let arguments = ["--host".to_owned(), format!("tcp://{address}")].to_vec();
    let engine = Engine::start_with(Options { arguments, ..Options::default() });
    let id = engine.run(&merged(sh("sleep 600"), json!({ "OpenStdin": true })));
    let shim = shim(&engine);
    let tcp = |status: u16, request: &str| {
        let mut connection = host::connect(engine.network_pid(), address.parse().expect("an address"));
        connection.send(request.as_bytes()).expect("a request");
        assert_eq!(connection.read_head().expect("an answer").status, status, "{request}");
        connection
    };
    // The first exec opens what the shim keeps for all.
    assert_eq!(engine.exec(&id, &["true"]).code, 0);
    let upgrade = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    let websocket = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://localhost\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let before = (host::sockets_of(engine.daemon_pid()), host::descriptors_of(shim));
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(engine.attach(&id, "stream=1&stdout=1&stderr=1"));
        clients.push(engine.attach(&id, "stream=1&stdin=1&stdout=1"));
        clients.push(engine.open("GET", &format!("/containers/{id}/logs?stdout=1&follow=1"), &[], b"").1);
        let exec =
            engine.exec_create(&id, &json!({ "AttachStdin": true, "AttachStdout": true, "Cmd": ["cat"] }));
        clients.push(engine.exec_start(&exec, &json!({})));
        let attach = format!("/containers/{id}/attach");
        clients.push(tcp(101, &format!("POST {attach}?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n{upgrade}")));
        clients.push(tcp(101, &format!("GET {attach}/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n{websocket}")));
        clients.push(tcp(200, &format!("GET /containers/{id}/stats HTTP/1.1\r\n{upgrade}")));
        clients.push(tcp(200, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    let during = (host::sockets_of(engine.daemon_pid()), host::descriptors_of(shim));
    assert!(during.0 > before.0 && during.1 > before.1, "{before:?} {during:?}");
    drop(clients);
    let now = || (host::sockets_of(engine.daemon_pid()), host::descriptors_of(shim));
    wait::until("the descriptors to be closed", || {
        (now().0 <= before.0 && now().1 <= before.1).then_some(())
    });
    assert_eq!(engine.state(&id, "Running"), true);
}

/// Types on a terminal, packet by packet, after which its stream ends.
fn type_until_the_end(stream: &mut Connection, packets: &[&[u8]]) -> io::Result<Vec<u8>> {
    for packet in packets {
        stream.send(packet)?;
        thread::sleep(std::time::Duration::from_millis(50));
    }
    stream.read_to_end()
}

#[test]
fn detach_keys_end_the_attachment_of_a_terminal_only() {
    let engine = Engine::start();
    let terminal = json!({ "OpenStdin": true, "Tty": true, "Image": "busybox", "Cmd": ["sh", "-c", "stty raw -echo; echo raw; cat"] });
    let id = engine.run(&terminal);
    let log = || engine.get(&format!("/containers/{id}/logs?stdout=1")).text();
    wait::until("a raw terminal", || (log() == "raw\n").then_some(()));
    // In one packet, over two, and after a false start.
    for packets in
        [&[&b"a\x10\x11"[..]][..], &[b"b\x10", b"\x11"], &[b"c\x10\x10", b"d\x10", b"\x10\x11 lost"]]
    {
        let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1");
        let _ = type_until_the_end(&mut stream, packets).expect("the end of the attachment");
        assert_eq!(engine.state(&id, "Running"), true);
    }
    // A line is logged when it ends.
    engine.attach(&id, "stream=1&stdin=1").send(b"\n").expect("the end of the line");
    let seen = wait::until("what was typed", || {
        let log = log();
        log.contains("d\x10").then_some(log)
    });
    assert_eq!(seen, "raw\nabc\x10\x10d\x10\n", "what is not the sequence is input, the sequence is not");
    // An exec's terminal likewise; its process lives on.
    let body = json!({ "AttachStdin": true, "AttachStdout": true, "Tty": true, "Cmd": ["cat"] });
    let exec = engine.exec_create(&id, &body);
    let mut stream = engine.exec_start(&exec, &json!({ "Tty": true }));
    let _ = type_until_the_end(&mut stream, &[b"x\n\x10", b"\x11"]).expect("the end of the attachment");
    assert_eq!(engine.get(&format!("/exec/{exec}/json")).json()["Running"], true);
    // Without a terminal they are bytes like all others.
    let id = engine.create(&with_stdin("cat"));
    let mut stream = engine.attach(&id, "stream=1&stdin=1&stdout=1");
    engine.start(&id);
    stream.send(b"\x10\x11\x10").expect("input");
    stream.send(b"\x11 all\n").expect("input");
    stream.half_close().expect("the end of the input");
    assert_eq!(frames::split(&stream.read_to_end().expect("the end")).0, b"\x10\x11\x10\x11 all\n");
}

#[test]
fn readers_and_senders_that_stop_do_not_use_up_the_engine() {
    let engine = Engine::start();
    let id = engine.run(&sh("dd if=/dev/zero of=/big bs=1000000 count=8 2>/dev/null; sleep 600"));
    wait::until("the file", || {
        (engine.exec(&id, &["stat", "-c", "%s", "/big"]).stdout == "8000000\n").then_some(())
    });
    let mut stuck = Vec::new();
    for _ in 0..50 {
        let (head, connection) = engine.open("GET", &format!("/containers/{id}/export"), &[], b"");
        assert_eq!(head.status, 200);
        stuck.push(connection);
        let mut connection = engine.connect();
        let head = "PUT /v1.20/containers/{id}/archive?path=/tmp HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n";
        connection.send(head.replace("{id}", &id).as_bytes()).expect("a head without a body");
        stuck.push(connection);
    }
    let other = engine.run(&sh("echo still; exit 3"));
    assert_eq!(engine.wait(&other), 3);
    assert_eq!(engine.logs(&other).0, "still\n");
    assert_eq!(engine.exec(&id, &["echo", "here"]).stdout, "here\n");
}
