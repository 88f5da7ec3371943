//! Requests that many clients begin and do not end: together they get a share of the memory, then 503, and small
//! requests are served all the while.

use std::fs;

use berth_tests::http::Connection;
use berth_tests::{Engine, wait};
use serde_json::json;

use super::Target;

/// What the daemon may hold of memory under any of these attacks.
const MAXIMUM_MEMORY: u64 = 150 << 20;
/// A body that is as large as one may be, but for its last megabyte.
const HALF: usize = 15 << 20;

/// Bytes of memory that the daemon holds.
fn memory(engine: &Engine) -> u64 {
    let status =
        fs::read_to_string(format!("/proc/{}/status", engine.daemon_pid())).expect("the daemon's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// The text of an answer that came before the request was over.
fn refusal(connection: &mut Connection) -> (u16, String) {
    let head = connection.read_head().expect("an answer");
    let body = connection.read_body("POST", &head).expect("a body");
    (head.status, String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn bodies_that_do_not_end_share_a_budget() {
    let engine = Target::start();
    let head = format!(
        "POST /v1.20/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        16 << 20
    );
    let part = vec![b' '; HALF];
    let mut unfinished = Vec::new();
    for _ in 0..4 {
        let mut connection = engine.connect();
        connection.send(head.as_bytes()).expect("a head");
        connection.send(&part).expect("most of a body");
        unfinished.push(connection);
    }
    let held = || (memory(&engine) > 4 * HALF as u64).then_some(());
    wait::until("the bodies to arrive", held);
    for _ in 0..8 {
        let mut connection = engine.connect();
        connection.send(head.as_bytes()).expect("a head");
        // The answer may come in the midst of it.
        let _ = connection.send(&part);
        let text = "too many requests are unfinished, try again\n".to_owned();
        assert_eq!(refusal(&mut connection), (503, text));
    }
    assert_eq!(engine.get("/_ping").text(), "OK");
    assert_eq!(engine.get("/containers/json").expect(200).json(), json!([]));
    assert!(memory(&engine) < MAXIMUM_MEMORY, "{} bytes", memory(&engine));
    drop(unfinished);
    // What they held is free again.
    let created = || {
        let mut connection = engine.connect();
        connection.send(head.as_bytes()).ok()?;
        connection.send(&part).ok()?;
        connection.send(&vec![b' '; (16 << 20) - HALF]).ok()?;
        let head = connection.read_head().ok()?;
        (head.status == 500).then_some(())
    };
    wait::until("room for a whole body", created);
}

#[test]
fn heads_that_do_not_end_share_the_budget() {
    let engine = Target::start();
    let part = format!("GET /_ping HTTP/1.1\r\nHost: x\r\nX-Long: {}", "a".repeat(250 << 10));
    let mut unfinished = Vec::new();
    let mut refused = None;
    for _ in 0..400 {
        let mut connection = engine.connect();
        // One that is refused may get the response in the midst of it.
        let _ = connection.send(part.as_bytes());
        unfinished.push(connection);
    }
    for connection in &mut unfinished[390..] {
        refused = Some(refusal(connection));
    }
    let text = "503 Service Unavailable: too many requests are unfinished, try again\n".to_owned();
    assert_eq!(refused, Some((503, text)));
    assert_eq!(engine.get("/_ping").text(), "OK");
    assert!(memory(&engine) < MAXIMUM_MEMORY, "{} bytes", memory(&engine));
}

#[test]
fn bodies_of_endless_small_values_are_refused_before_they_are_read() {
    let engine = Target::start();
    let body = format!("{{\"Labels\":[{}0]}}", "0,".repeat(7 << 20));
    let headers = [("Content-Type", "application/json")];
    let answer = engine.call("POST", "/containers/create", &headers, body.as_bytes());
    let text = "invalid request body: it has more than 262144 values\n";
    assert_eq!((answer.head.status, answer.text().as_str()), (500, text));
    assert!(memory(&engine) < MAXIMUM_MEMORY, "{} bytes", memory(&engine));
}
