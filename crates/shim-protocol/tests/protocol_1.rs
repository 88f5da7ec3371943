//! The messages of protocol 1 as bytes: what shims of the release before read and write.
//!
//! These bytes never change. A new field needs a default, so that what an old side wrote is still read; a field
//! that goes would be missed by an old side.

#![expect(clippy::panic, reason = "a test may panic")]

use berth_shim_protocol::{Answer, Attach, DetachReason, Envelope, FailureKind, Notice, Received, Request};
use model::{ExecId, Signal};
use serde_json::Value;

const EXEC_ID: &str = "0101010101010101010101010101010101010101010101010101010101010101";

const ATTACH: &str = r#"{"client":5,"stdin":true,"stdout":true,"stderr":false,"logs":true,"stream":true,"framed":true,"detach_keys":[16,17],"early_input":[104,105]}"#;

const AT: &str = "2026-11-23T12:05:01.496100000Z";

fn attach() -> Attach {
    Attach {
        client: 5,
        stdin: true,
        stdout: true,
        stderr: false,
        logs: true,
        stream: true,
        framed: true,
        detach_keys: vec![16, 17],
        early_input: b"hi".to_vec(),
    }
}

/// Requests, and how they were written.
fn requests() -> Vec<(Request, String)> {
    let id = || ExecId::from_random([1; 32]);
    let resize = format!(r#"{{"exec_resize":{{"exec":"{EXEC_ID}","height":24,"width":80}}}}"#);
    vec![
        (Request::Start { interface: None }, r#"{"start":{"interface":null}}"#.to_owned()),
        (Request::Signal(Signal::TERM), r#"{"signal":15}"#.to_owned()),
        (Request::Pause, r#""pause""#.to_owned()),
        (Request::Unpause, r#""unpause""#.to_owned()),
        (Request::Attach(attach()), format!(r#"{{"attach":{ATTACH}}}"#)),
        (Request::Resize { height: 24, width: 80 }, r#"{"resize":{"height":24,"width":80}}"#.to_owned()),
        (Request::ExecResize { exec: id(), height: 24, width: 80 }, resize),
        (Request::Statistics, r#""statistics""#.to_owned()),
        (Request::Processes, r#""processes""#.to_owned()),
        (Request::Release, r#""release""#.to_owned()),
    ]
}

/// Whether all that `old` has stands in `new` too, with the same values.
fn contains(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            old.iter().all(|(key, old)| new.get(key).is_some_and(|new| contains(new, old)))
        }
        _ => new == old,
    }
}

#[test]
fn an_old_shim_reads_what_a_daemon_writes() {
    for (request, bytes) in requests() {
        assert_eq!(request.since(), 1, "{request:?}");
        let written = serde_json::to_value(Envelope { number: 7, request }).expect("JSON");
        let recorded = format!(r#"{{"number":7,"request":{bytes}}}"#);
        let recorded: Value = serde_json::from_str(&recorded).expect("JSON");
        assert!(contains(&written, &recorded), "{written} instead of {recorded}");
    }
}

#[test]
fn a_shim_reads_what_an_old_daemon_writes() {
    for (request, bytes) in requests() {
        let packet = format!(r#"{{"number":7,"request":{bytes}}}"#);
        let Received::Known(read) = Envelope::read(packet.as_bytes()) else { panic!("{packet} is not read") };
        assert_eq!((read.number, format!("{:?}", read.request)), (7, format!("{request:?}")));
    }
}

/// Reads a notice of an old shim.
fn notice(packet: &str) -> Notice {
    match Notice::read(packet.as_bytes()) {
        Received::Known(notice) => notice,
        other => panic!("{packet} is read as {other:?}"),
    }
}

#[test]
fn a_daemon_reads_what_an_old_shim_writes() {
    let exit = format!(r#"{{"code":137,"signal":9,"out_of_memory":false,"finished_at":"{AT}"}}"#);
    let created =
        notice(r#"{"created":{"init":{"pid":4711,"start_time":42},"cgroups":["/sys/fs/cgroup/a"]}}"#);
    assert!(matches!(created, Notice::Created { init, .. } if (init.pid, init.start_time) == (4711, 42)));
    assert!(matches!(notice(&format!(r#"{{"started":{{"at":"{AT}"}}}}"#)), Notice::Started { .. }));
    let failure = r#"{"kind":"program_not_found","message":"m"}"#;
    let failed = format!(r#"{{"start_failed":{{"failure":{failure},"exit_code":127,"at":"{AT}"}}}}"#);
    let Notice::StartFailed { failure, exit_code: 127, .. } = notice(&failed) else { panic!("{failed}") };
    assert_eq!(failure.kind, FailureKind::ProgramNotFound);
    let exited = notice(&format!(r#"{{"exited":{exit}}}"#));
    assert!(matches!(&exited, Notice::Exited(exit) if exit.code == 137), "{exited:?}");
    assert!(matches!(notice(r#""out_of_memory""#), Notice::OutOfMemory));
    let ended = notice(&format!(r#"{{"exec_exited":{{"exec":"{EXEC_ID}","exit":{exit}}}}}"#));
    assert!(matches!(&ended, Notice::ExecExited { exec, .. } if exec.as_str() == EXEC_ID), "{ended:?}");
    let detached = notice(r#"{"detached":{"client":5,"reason":"keys"}}"#);
    assert!(matches!(detached, Notice::Detached { client: 5, reason: DetachReason::Keys }));
    assert!(matches!(notice(r#"{"log_dropped":{"lines":3}}"#), Notice::LogDropped { lines: 3 }));
}

#[test]
fn a_daemon_reads_the_answers_of_an_old_shim() {
    let answer = |result: &str| match notice(&format!(r#"{{"reply":{{"number":7,"result":{result}}}}}"#)) {
        Notice::Reply { number: 7, result } => result,
        other => panic!("{other:?}"),
    };
    assert!(matches!(answer(r#"{"Ok":"done"}"#), Ok(Answer::Done)));
    assert!(matches!(answer(r#"{"Ok":{"processes":[7,8]}}"#), Ok(Answer::Processes(pids)) if pids == [7, 8]));
    let started = answer(r#"{"Ok":{"exec_started":{"process":{"pid":4711,"start_time":42}}}}"#);
    assert!(matches!(started, Ok(Answer::ExecStarted { process }) if process.pid == 4711));
    for (kind, wanted) in [
        ("program_not_found", FailureKind::ProgramNotFound),
        ("program_not_executable", FailureKind::ProgramNotExecutable),
        ("user_not_found", FailureKind::UserNotFound),
        ("not_found", FailureKind::NotFound),
        ("wrong_state", FailureKind::WrongState),
        ("refused", FailureKind::Refused),
        ("system", FailureKind::System),
    ] {
        let failure =
            answer(&format!(r#"{{"Err":{{"kind":"{kind}","message":"m"}}}}"#)).expect_err("a failure");
        assert_eq!((failure.kind, failure.message.as_str()), (wanted, "m"));
    }
}
