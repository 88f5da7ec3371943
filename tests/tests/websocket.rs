//! Attaching by websocket, RFC 6455 spoken by hand.

use berth_tests::http::Connection;
use berth_tests::{Engine, merged, sh, wait};
use serde_json::json;

const HANDSHAKE: [(&str, &str); 5] = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
    ("Origin", "http://localhost"),
];

const CLOSE: u8 = 8;

fn open(engine: &Engine, id: &str, parameters: &str) -> Connection {
    let path = format!("/containers/{id}/attach/ws?{parameters}");
    let (head, connection) = engine.open("GET", &path, &HANDSHAKE, b"");
    assert_eq!(head.status, 101);
    // The answer to the sample key of RFC 6455, section 1.3.
    assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    connection
}

/// Sends one masked frame.
fn send(connection: &mut Connection, opcode: u8, payload: &[u8]) {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x80 | opcode];
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | u8::try_from(length).expect("short")),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    connection.send(&frame).expect("a frame is sent");
}

/// Reads one frame: opcode and payload.
fn receive(connection: &mut Connection) -> (u8, Vec<u8>) {
    let head = connection.read_exactly(2).expect("a frame's head");
    assert_eq!(head[1] & 0x80, 0, "servers do not mask");
    let length = match head[1] {
        126 => {
            let bytes = connection.read_exactly(2).expect("a length");
            u64::from(u16::from_be_bytes(bytes.try_into().expect("two bytes")))
        }
        127 => {
            let bytes = connection.read_exactly(8).expect("a length");
            u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
        }
        short => u64::from(short),
    };
    let payload = connection.read_exactly(usize::try_from(length).expect("a length")).expect("a payload");
    (head[0] & 0x0f, payload)
}

/// Reads data frames until this text has come.
fn receive_until(connection: &mut Connection, wanted: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    while !seen.ends_with(wanted) {
        let (opcode, payload) = receive(connection);
        assert_ne!(opcode, CLOSE, "closed before {wanted:?}, after {seen:?}");
        seen.extend_from_slice(&payload);
    }
    seen
}

fn interactive(script: &str) -> serde_json::Value {
    merged(sh(script), json!({"OpenStdin": true}))
}

#[test]
fn text_and_binary_go_both_ways_without_heads() {
    let engine = Engine::start();
    let id = engine.run(&interactive("cat"));
    let mut socket = open(&engine, &id, "stream=1&stdin=1&stdout=1&stderr=1");
    send(&mut socket, 1, b"text\n");
    assert_eq!(receive_until(&mut socket, b"text\n"), b"text\n");
    send(&mut socket, 2, &[0xff, 0xfe, b'\n']);
    assert_eq!(receive_until(&mut socket, &[0xff, 0xfe, b'\n']), [0xff, 0xfe, b'\n']);
    let long = [vec![b'x'; 100_000], b"\n".to_vec()].concat();
    send(&mut socket, 1, &long);
    assert_eq!(receive_until(&mut socket, b"\n").len(), long.len());
    send(&mut socket, 9, b"are you there");
    assert_eq!(receive(&mut socket), (10, b"are you there".to_vec()));
}

#[test]
fn it_closes_when_the_container_ends_and_replays_logs() {
    let engine = Engine::start();
    let id = engine.run(&interactive("echo before; read line; echo after; exit 3"));
    wait::until("the first line", || (engine.logs(&id).0 == "before\n").then_some(()));
    let mut socket = open(&engine, &id, "logs=1&stream=1&stdin=1&stdout=1");
    receive_until(&mut socket, b"before\n");
    send(&mut socket, 1, b"go\n");
    receive_until(&mut socket, b"after\n");
    // RFC 6455, section 7.4.1: 1000, a normal end.
    assert_eq!(receive(&mut socket), (CLOSE, vec![0x03, 0xe8]));
    assert_eq!(engine.wait(&id), 3);
}

#[test]
fn a_start_right_after_the_handshake_loses_nothing() {
    let engine = Engine::start();
    for _ in 0..10 {
        let id = engine.create(&sh("echo first"));
        let mut socket = open(&engine, &id, "stream=1&stdout=1");
        engine.start(&id);
        assert_eq!(receive_until(&mut socket, b"first\n"), b"first\n");
        engine.remove(&id);
    }
}

#[test]
fn bad_handshakes_are_refused() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let without = |missing: &str| -> Vec<(&str, &str)> {
        HANDSHAKE.iter().copied().filter(|(name, _)| *name != missing).collect()
    };
    for (missing, status) in [
        ("Upgrade", 400),
        ("Connection", 400),
        ("Sec-WebSocket-Key", 400),
        ("Sec-WebSocket-Version", 400),
        ("Origin", 403),
    ] {
        let path = format!("/containers/{id}/attach/ws?stream=1&stdout=1");
        let answer = engine.call("GET", &path, &without(missing), b"");
        assert_eq!(answer.status(), status, "without {missing}");
    }
    let unknown = engine.call("GET", "/containers/nosuch/attach/ws", &HANDSHAKE, b"").expect(404);
    assert_eq!(unknown.text(), "no such id: nosuch\n");
}

/// Reads frames up to the goodbye; gives its code.
fn goodbye(connection: &mut Connection) -> Option<u16> {
    loop {
        let (opcode, payload) = receive(connection);
        if opcode == CLOSE {
            return payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        }
    }
}

#[test]
fn clients_that_break_the_rules_are_told_so() {
    let engine = Engine::start();
    let id = engine.run(&interactive("cat"));
    let connect = || open(&engine, &id, "stream=1&stdin=1&stdout=1");
    // RFC 6455, section 7.4.1: 1007 for text that is not UTF-8, 1009 for too much, 1002 for anything else.
    let mut socket = connect();
    send(&mut socket, 1, &[0xff, 0xfe]);
    assert_eq!(goodbye(&mut socket), Some(1007));
    let mut socket = connect();
    let mut head = vec![0x82, 0x80 | 127];
    head.extend_from_slice(&(64_u64 << 20).to_be_bytes());
    head.extend_from_slice(&[1, 2, 3, 4]);
    socket.send(&head).expect("the head of a frame");
    assert_eq!(goodbye(&mut socket), Some(1009));
    let mut socket = connect();
    socket.send(&[0x82, 3, b'a', b'b', b'c']).expect("a frame without a mask");
    assert_eq!(goodbye(&mut socket), Some(1002));
    // The largest messages pass, in fragments too.
    let mut socket = connect();
    let large = vec![0xfe; 3_000_000];
    send(&mut socket, 2, &large);
    let mut seen = Vec::new();
    while seen.len() < large.len() {
        seen.extend(receive(&mut socket).1);
    }
    assert!(seen == large);
    // A goodbye is answered.
    send(&mut socket, CLOSE, &[0x03, 0xe8]);
    assert_eq!(goodbye(&mut socket), Some(1000));
    assert_eq!(engine.state(&id, "Running"), true);
}

#[test]
fn pings_are_answered_when_the_container_takes_no_input() {
    let engine = Engine::start();
    let id = engine.run(&interactive("exec 0<&-; echo closed; sleep 600"));
    let mut socket = open(&engine, &id, "logs=1&stream=1&stdin=1&stdout=1");
    receive_until(&mut socket, b"closed\n");
    send(&mut socket, 2, &[b'x'; 100_000]);
    send(&mut socket, 9, b"there?");
    assert_eq!(receive(&mut socket), (10, b"there?".to_vec()));
}

#[test]
fn messages_that_do_not_end_share_a_budget() {
    let engine = Engine::start();
    let id = engine.run(&interactive("cat"));
    let connect = || open(&engine, &id, "stream=1&stdin=1&stdout=1");
    let length: u64 = 4 << 20;
    let mut unfinished = vec![0x82, 0x80 | 127];
    unfinished.extend_from_slice(&length.to_be_bytes());
    // The mask, and all of the payload but one byte.
    unfinished.resize(unfinished.len() + 3 + (4 << 20), 0);
    engine.forget_peak_memory();
    let before = engine.peak_memory();
    let mut begun = Vec::new();
    for _ in 0..40 {
        let mut socket = connect();
        // It is closed within the message where there is no room.
        let _ = socket.send(&unfinished);
        begun.push(socket);
    }
    // The last frame has 1013, try again later, in the registry of RFC 6455; one within the budget just ends.
    let is_refused = || {
        let mut socket = connect();
        let _ = socket.send(&unfinished);
        let _ = socket.half_close();
        socket.read_to_end().unwrap_or_default().ends_with(&[0x80 | CLOSE, 2, 0x03, 0xf5])
    };
    wait::until("a refusal", || is_refused().then_some(()));
    let mut socket = connect();
    send(&mut socket, 2, b"a short one is taken\n");
    receive_until(&mut socket, b"a short one is taken\n");
    drop(begun);
    wait::until("room again", || (!is_refused()).then_some(()));
    let grown = engine.peak_memory() - before;
    assert!(grown < 120 << 20, "{} MiB were held", grown >> 20);
}
