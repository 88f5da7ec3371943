//! What protocol 2 added, as bytes. These never change, see `protocol_1.rs`.

#![expect(clippy::panic, reason = "a test may panic")]

use berth_shim_protocol::{Answer, Envelope, FailureKind, Notice, Received, Request};

/// A daemon of protocol 2 sends these, in this order, as its first packets.
const REQUESTS: [&str; 2] =
    [r#"{"number":0,"request":{"hello":{"protocol":2}}}"#, r#"{"number":1,"request":"execs"}"#];

const EXECS: &str = r#"{"reply":{"number":1,"result":{"Ok":{"execs":[["0101010101010101010101010101010101010101010101010101010101010101",{"pid":4711,"start_time":42}]]}}}}"#;

const UNSUPPORTED: &str = r#"{"reply":{"number":7,"result":{"Err":{"kind":"unsupported","message":"m"}}}}"#;

/// Reads a shim's notice, which is written in the same way.
fn notice(packet: &str) -> Notice {
    let Received::Known(notice) = Notice::read(packet.as_bytes()) else { panic!("{packet} is not read") };
    assert_eq!(serde_json::to_string(&notice).expect("JSON"), packet);
    notice
}

#[test]
fn requests_are_written_and_read_as_ever() {
    let requests = [Request::Hello { protocol: 2 }, Request::Execs];
    for ((number, request), bytes) in (0..).zip(requests).zip(REQUESTS) {
        assert_eq!(request.since(), 2, "{request:?}");
        let read = Envelope::read(bytes.as_bytes());
        let Received::Known(read) = read else { panic!("{bytes} is read as {read:?}") };
        assert_eq!((read.number, format!("{:?}", read.request)), (number, format!("{request:?}")));
        assert_eq!(serde_json::to_string(&Envelope { number, request }).expect("JSON"), bytes);
    }
}

#[test]
fn notices_are_written_and_read_as_ever() {
    assert!(matches!(notice(r#"{"hello":{"protocol":2}}"#), Notice::Hello { protocol: 2 }));
    let rotation = notice(r#"{"log_not_rotated":{"error":"e"}}"#);
    assert_eq!(rotation.since(), 2);
    assert!(matches!(&rotation, Notice::LogNotRotated { error } if error == "e"), "{rotation:?}");
}

#[test]
fn answers_are_written_and_read_as_ever() {
    let Notice::Reply { number: 1, result: Ok(Answer::Execs(execs)) } = notice(EXECS) else {
        panic!("it lists execs");
    };
    let [(exec, process)] = &execs[..] else { panic!("{execs:?}") };
    assert_eq!((exec.as_str(), process.pid, process.start_time), (&"01".repeat(32)[..], 4711, 42));
    let Notice::Reply { number: 7, result: Err(failure) } = notice(UNSUPPORTED) else {
        panic!("it is a failure");
    };
    assert_eq!(failure.kind, FailureKind::Unsupported);
}
