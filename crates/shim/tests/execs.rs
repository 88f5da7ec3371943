//! Further processes in a running container. Needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use model::{ExecId, Exit};
use shim_protocol::{Answer, Attach, Exec, Failure, FailureKind, Notice, Request};
use support::*;

fn id(number: u8) -> ExecId {
    ExecId::from_random([number; 32])
}

fn exec(number: u8, script: &str, attach: Option<Attach>) -> Exec {
    Exec { id: id(number), process: process(&["sh", "-c", script]), privileged: false, attach }
}

fn run(daemon: &mut Daemon, exec: Exec, client: Option<&OwnedFd>) -> Result<Answer, Failure> {
    daemon.ask(Request::Exec(Box::new(exec)), client)
}

fn ended(daemon: &mut Daemon, number: u8) -> Exit {
    let wanted = id(number);
    match daemon.wait(|notice| matches!(notice, Notice::ExecExited { exec, .. } if *exec == wanted)) {
        Notice::ExecExited { exit, .. } => exit,
        other => panic!("{other:?}"),
    }
}

fn sleeping() -> (Place, Daemon) {
    let place = Place::new();
    let daemon = Daemon::start(&place, &place.spec("exec sleep 1000"), &mut []);
    (place, daemon)
}

fn kill(mut daemon: Daemon) -> Exit {
    daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    daemon.finish()
}

#[test]
fn streams_input_and_codes() {
    let (_place, mut daemon) = sleeping();
    let (mut client, theirs) = client();
    let attach = Attach { stdin: true, ..attachment(1) };
    let answer = run(&mut daemon, exec(1, "cat; echo err >&2; exit 9", Some(attach)), Some(&theirs)).unwrap();
    assert!(matches!(answer, Answer::ExecStarted { .. }));
    drop(theirs);
    client.write_all(b"through\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(streams(&rest(&mut client)), (b"through\n".to_vec(), b"err\n".to_vec()));
    assert_eq!(ended(&mut daemon, 1).code, 9);
    run(&mut daemon, exec(2, "kill -9 $$", None), None).unwrap();
    assert_eq!(ended(&mut daemon, 2).code, 137);
    assert_eq!(kill(daemon).code, 137);
}

#[test]
fn what_cannot_run_is_refused_and_its_client_untouched() {
    let (_place, mut daemon) = sleeping();
    let (mut client, theirs) = client();
    let mut missing = exec(1, "", Some(attachment(1)));
    missing.process = process(&["nosuch"]);
    let failure = run(&mut daemon, missing, Some(&theirs)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProgramNotFound);
    assert_eq!(failure.message, "exec: \"nosuch\": executable file not found in $PATH");
    sys::stream::send(&theirs, &[b"still open"]).unwrap();
    drop(theirs);
    assert_eq!(rest(&mut client), b"still open");
    kill(daemon);
}

#[test]
fn what_is_left_behind_does_not_hold_the_exec() {
    let (place, mut daemon) = sleeping();
    let (mut client, theirs) = client();
    // It ends only on request, and holds the output until then.
    let script =
        "(while [ ! -e /tmp/told ]; do sleep 0.1; done; echo late > /tmp/late; echo later) & echo now";
    run(&mut daemon, exec(1, script, Some(attachment(1))), Some(&theirs)).unwrap();
    drop(theirs);
    assert_eq!(streams(&rest(&mut client)).0, b"now\n");
    assert_eq!(ended(&mut daemon, 1).code, 0);
    let root = place.directory.path().join("root/tmp");
    std::fs::write(root.join("told"), "").unwrap();
    let until = Instant::now() + TIMEOUT;
    while !root.join("late").exists() {
        assert!(Instant::now() < until, "what is left behind has ended with the exec");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(daemon);
}

#[test]
fn what_is_left_behind_and_never_silent_does_not_hold_the_shim() {
    let (_place, mut daemon) = sleeping();
    let (mut client, theirs) = client();
    run(&mut daemon, exec(1, "yes & echo now", Some(attachment(1))), Some(&theirs)).unwrap();
    drop(theirs);
    assert_eq!(ended(&mut daemon, 1).code, 0);
    assert!(!rest(&mut client).is_empty());
    let (mut client, theirs) = support::client();
    run(&mut daemon, exec(2, "echo second", Some(attachment(2))), Some(&theirs)).unwrap();
    drop(theirs);
    assert_eq!(streams(&rest(&mut client)).0, b"second\n");
    kill(daemon);
}

#[test]
fn a_terminal_of_its_own() {
    let (_place, mut daemon) = sleeping();
    let (mut client, theirs) = client();
    let attach = Attach { framed: false, stdin: true, ..attachment(1) };
    let mut on_terminal = exec(1, "stty size; read x; stty size; echo got:$x", Some(attach));
    on_terminal.process.terminal = true;
    on_terminal.process.terminal_size = (30, 90);
    run(&mut daemon, on_terminal, Some(&theirs)).unwrap();
    drop(theirs);
    read_until(&mut client, "30 90\r\n");
    daemon.ask(Request::ExecResize { exec: id(1), height: 41, width: 101 }, None).unwrap();
    client.write_all(b"word\n").unwrap();
    assert_eq!(String::from_utf8(rest(&mut client)).unwrap(), "word\r\n41 101\r\ngot:word\r\n");
    assert_eq!(ended(&mut daemon, 1).code, 0);
    let gone = daemon.ask(Request::ExecResize { exec: id(1), height: 1, width: 1 }, None).unwrap_err();
    assert_eq!(gone.kind, FailureKind::Missing);
    kill(daemon);
}

#[test]
fn execs_end_with_the_container() {
    let (_place, mut daemon) = sleeping();
    let (mut client, theirs) = client();
    run(&mut daemon, exec(1, "echo up; exec sleep 1000", Some(attachment(1))), Some(&theirs)).unwrap();
    drop(theirs);
    read_until(&mut client, "up\n");
    daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    assert_eq!(rest(&mut client), b"");
    assert_eq!(ended(&mut daemon, 1).code, 137);
    assert_eq!(daemon.finish().code, 137);
}

#[test]
fn pause_statistics_and_processes() {
    let (_place, mut daemon) = sleeping();
    assert!(matches!(daemon.ask(Request::Pause, None), Ok(Answer::Done)));
    assert!(matches!(daemon.ask(Request::Unpause, None), Ok(Answer::Done)));
    run(&mut daemon, exec(1, "exec sleep 1000", None), None).unwrap();
    let Ok(Answer::Processes(processes)) = daemon.ask(Request::Processes, None) else { panic!() };
    assert_eq!(processes.len(), 2);
    let Ok(Answer::Statistics(statistics)) = daemon.ask(Request::Statistics, None) else { panic!() };
    assert!(statistics.cpu_total > 0 && statistics.memory_usage > 0, "{statistics:?}");
    daemon.ask(Request::Pause, None).unwrap();
    assert_eq!(kill(daemon).code, 137, "SIGKILL reaches a frozen container");
}
