//! A container's life through a real shim: made, started, ended, released. Needs root.

mod support;

use model::Signal;
use shim_protocol::{FailureKind, Notice, Request};
use support::*;

#[test]
fn a_container_runs_and_is_logged() {
    let place = Place::new();
    let spec = place.spec("echo out; echo err >&2; printf 'no newline'; exit 3");
    let (mut client, theirs) = client();
    let daemon = Daemon::start(&place, &spec, &mut [(attachment(1), theirs)]);
    let (out, err) = streams(&rest(&mut client));
    assert_eq!((&out[..], &err[..]), (&b"out\nno newline"[..], &b"err\n"[..]));
    let exit = daemon.finish();
    assert_eq!((exit.code, exit.signal, exit.out_of_memory), (3, None, false));
    let mut logged = place.logged();
    logged.sort();
    assert_eq!(logged, ["err:err\n", "out:no newline", "out:out\n"]);
    let record = std::fs::read(place.run().exit_record()).unwrap();
    assert_eq!(serde_json::from_slice::<model::Exit>(&record).unwrap(), exit);
    assert!(!place.run().socket().exists());
}

#[test]
fn a_signal_ends_it_with_128_and_its_number() {
    let place = Place::new();
    let mut daemon = Daemon::start(&place, &place.spec("exec sleep 1000"), &mut []);
    daemon.ask(Request::Signal(Signal::KILL), None).unwrap();
    let exit = daemon.finish();
    assert_eq!((exit.code, exit.signal), (137, Some(Signal::KILL)));
}

#[test]
fn a_program_that_is_missing_fails_the_start() {
    let place = Place::new();
    let mut spec = place.spec("");
    spec.process = process(&["nosuch"]);
    let mut daemon = Daemon::spawn(&place, &spec);
    daemon.wait(|notice| matches!(notice, Notice::Created { .. }));
    let (mut client, theirs) = client();
    daemon.attach(&attachment(1), &theirs);
    drop(theirs);
    daemon.ask(Request::Start { interface: None }, None).unwrap();
    let failed = daemon.wait(|notice| matches!(notice, Notice::StartFailed { .. }));
    let Notice::StartFailed { failure, exit_code, .. } = failed else { unreachable!() };
    assert_eq!((failure.kind, exit_code), (FailureKind::ProgramNotFound, 127));
    assert_eq!(failure.message, "exec: \"nosuch\": executable file not found in $PATH");
    let told = streams(&rest(&mut client));
    assert_eq!(String::from_utf8(told.1).unwrap(), format!("{}\n", failure.message));
    daemon.ask(Request::Release, None).unwrap();
    daemon.gone();
}

#[test]
fn a_start_can_be_given_up() {
    let place = Place::new();
    let mut daemon = Daemon::spawn(&place, &place.spec("echo never"));
    let created = daemon.wait(|notice| matches!(notice, Notice::Created { .. }));
    let Notice::Created { init, cgroups } = created else { unreachable!() };
    assert!(sys::process::is_alive(init.pid, init.start_time));
    daemon.ask(Request::Release, None).unwrap();
    daemon.gone();
    assert!(!sys::process::is_alive(init.pid, init.start_time));
    assert!(!cgroups.is_empty() && cgroups.iter().all(|cgroup| !cgroup.exists()), "{cgroups:?}");
    assert!(place.logged().is_empty());
}

#[test]
fn background_processes_end_with_init() {
    let place = Place::new();
    let mut daemon = Daemon::start(&place, &place.spec("sleep 1000 & echo up; exit 0"), &mut []);
    assert_eq!(daemon.exit().code, 0);
    assert!(daemon.ask(Request::Processes, None).is_err());
    assert_eq!(place.logged(), ["out:up\n"]);
    daemon.ask(Request::Release, None).unwrap();
    daemon.gone();
}

#[test]
fn what_comes_too_late_is_no_error() {
    let place = Place::new();
    let mut daemon = Daemon::start(&place, &place.spec("echo all; exit 2"), &mut []);
    assert_eq!(daemon.exit().code, 2);
    daemon.ask(Request::Signal(Signal::TERM), None).unwrap();
    let (mut client, theirs) = client();
    daemon.attach(&shim_protocol::Attach { logs: true, ..attachment(1) }, &theirs);
    drop(theirs);
    assert_eq!(streams(&rest(&mut client)).0, b"all\n");
    daemon.ask(Request::Release, None).unwrap();
    daemon.gone();
}
