//! The messages of protocol 1 as bytes: what shims of the first releases read and write.
//!
//! These bytes never change. A new field needs a default, so that what an old side wrote is still read; a field
//! that goes would be missed by an old side.

#![expect(clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;

use berth_shim_protocol::{
    Answer, Attach, DetachReason, Envelope, Exec, FailureKind, Notice, Received, Request,
};
use model::{ExecId, InterfaceAddressConfig, InterfaceConfig, ProcessSpec, ResourceLimit, Resources, Signal};
use serde_json::Value;

const EXEC_ID: &str = "0101010101010101010101010101010101010101010101010101010101010101";

const ATTACH: &str = r#"{"client":5,"stdin":true,"stdout":true,"stderr":false,"logs":true,"stream":true,"framed":true,"detach_keys":[16,17],"early_input":[104,105]}"#;

const EXEC: &str = r#"{"process":{"arguments":["sh"],"environment":["A=b"],"working_directory":"/w","user":"1:2","additional_groups":["3"],"terminal":true,"terminal_size":[24,80],"capabilities":["CAP_CHOWN"],"no_new_privileges":true,"resource_limits":[{"name":"nofile","soft":1,"hard":2}],"oom_score_adjustment":-5},"privileged":true,"attach":null}"#;

const RESOURCES: &str = r#"{"memory":1048576,"memory_swap":-1,"memory_reservation":4096,"kernel_memory":8192,"memory_swappiness":60,"oom_kill_disable":true,"cpu_shares":512,"cpu_period":1000,"cpu_quota":2000,"cpuset_cpus":"0-2,4","cpuset_mems":"0,1","blkio_weight":10,"block_device_limits":[],"pids_limit":7}"#;

const INTERFACE: &str = r#"{"name":"eth0","address":"172.17.0.2","prefix_length":16,"gateway":"172.17.0.1"}"#;

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
        quiet: false,
    }
}

fn exec() -> Exec {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Exec {
        id: ExecId::from_random([1; 32]),
        process: ProcessSpec {
            arguments: words(&["sh"]),
            environment: words(&["A=b"]),
            working_directory: "/w".to_owned(),
            user: "1:2".to_owned(),
            additional_groups: words(&["3"]),
            groups_of_user: model::GroupsOfUser::default(),
            terminal: true,
            terminal_size: (24, 80),
            capabilities: words(&["CAP_CHOWN"]),
            no_new_privileges: true,
            resource_limits: vec![ResourceLimit { name: "nofile".to_owned(), soft: 1, hard: 2 }],
            oom_score_adjustment: Some(-5),
        },
        privileged: true,
        attach: None,
    }
}

fn resources() -> Resources {
    Resources {
        memory: Some(1 << 20),
        memory_swap: Some(-1),
        memory_reservation: Some(4096),
        kernel_memory: Some(8192),
        memory_swappiness: Some(60),
        oom_kill_disable: true,
        cpu_shares: Some(512),
        cpu_period: Some(1000),
        cpu_quota: Some(2000),
        cpuset_cpus: "0-2,4".to_owned().try_into().ok(),
        cpuset_mems: "0,1".to_owned().try_into().ok(),
        blkio_weight: Some(10),
        block_device_limits: Vec::new(),
        pids_limit: Some(7),
        huge_pages: BTreeMap::new(),
        unified: BTreeMap::new(),
    }
}

fn interface() -> InterfaceConfig {
    let ipv4 = InterfaceAddressConfig {
        address: [172, 17, 0, 2].into(),
        prefix_length: 16,
        gateway: Some([172, 17, 0, 1].into()),
    };
    InterfaceConfig { name: "eth0".to_owned(), ipv4: Some(ipv4), has_ipv6: false }
}

/// Requests, and how they were written.
fn requests() -> Vec<(Request, String)> {
    let id = || ExecId::from_random([1; 32]);
    let resize = format!(r#"{{"exec_resize":{{"exec":"{EXEC_ID}","height":24,"width":80}}}}"#);
    let exec_bytes = format!(r#"{{"exec":{{"id":"{EXEC_ID}",{}}}"#, EXEC.trim_start_matches('{'));
    vec![
        (
            Request::Start { interface: Some(interface()) },
            format!(r#"{{"start":{{"interface":{INTERFACE}}}}}"#),
        ),
        (Request::Exec(Box::new(exec())), exec_bytes),
        (Request::Update(Box::new(resources())), format!(r#"{{"update":{RESOURCES}}}"#)),
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
        ("missing", FailureKind::Missing),
        ("wrong_state", FailureKind::WrongState),
        ("refused", FailureKind::Refused),
        ("system", FailureKind::System),
    ] {
        let failure =
            answer(&format!(r#"{{"Err":{{"kind":"{kind}","message":"m"}}}}"#)).expect_err("a failure");
        assert_eq!((failure.kind, failure.message.as_str()), (wanted, "m"));
    }
}
