//! Daemons that end and reconnect, and a shim that is killed. Needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use model::ExecId;
use shim_protocol::{Attach, Exec, Notice, Request, ShimProcesses};
use support::*;

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + TIMEOUT;
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn processes(place: &Place) -> ShimProcesses {
    serde_json::from_slice(&std::fs::read(place.run().processes()).unwrap()).unwrap()
}

#[test]
fn the_next_daemon_is_told_what_is_true_and_goes_on() {
    let place = Place::new();
    let mut spec = place.spec("read x; echo got:$x");
    spec.open_stdin = true;
    spec.stdin_once = true;
    let (mut client, theirs) = client();
    let typing = Attach { stdin: true, ..attachment(1) };
    let mut first = Daemon::start(&place, &spec, &mut [(typing, theirs)]);
    let id = ExecId::from_random([1; 32]);
    let process = process(&["sh", "-c", "sleep 0.3; exit 4"]);
    let exec = Exec { id: id.clone(), process, privileged: false, attach: None };
    first.ask(Request::Exec(Box::new(exec)), None).unwrap();
    let shim = first.shim;
    drop(first);
    std::thread::sleep(Duration::from_millis(600));
    let mut second = Daemon::connect(&place);
    let init = processes(&place).init.unwrap();
    second.wait(|notice| matches!(notice, Notice::Created { init: told, .. } if *told == init));
    second.wait(|notice| matches!(notice, Notice::Started { .. }));
    second
        .wait(|notice| matches!(notice, Notice::ExecExited { exec, exit } if *exec == id && exit.code == 4));
    let mut third = Daemon::connect(&place);
    third.wait(|notice| matches!(notice, Notice::Started { .. }));
    client.write_all(b"word\n").unwrap();
    assert_eq!(streams(&rest(&mut client)).0, b"got:word\n", "an attached client does not notice");
    third.shim = shim;
    assert_eq!(third.finish().code, 0);
}

#[test]
fn an_exit_without_a_daemon_is_on_disk_and_nothing_else_is_left() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &place.spec("sleep 0.3; echo last; exit 7"), &mut []);
    let shim = daemon.shim;
    drop(daemon);
    wait_until("an exit record", || place.run().exit_record().exists());
    let exit: model::Exit =
        serde_json::from_slice(&std::fs::read(place.run().exit_record()).unwrap()).unwrap();
    assert_eq!(exit.code, 7);
    sys::program::reap(shim.unwrap());
    assert!(!place.run().socket().exists());
    assert_eq!(place.logged(), ["out:last\n"]);
    assert!(processes(&place).cgroups.iter().all(|cgroup| !cgroup.exists()));
}

#[test]
fn an_exit_is_told_again_until_released() {
    let place = Place::new();
    let mut first = Daemon::start(&place, &place.spec("exit 6"), &mut []);
    assert_eq!(first.exit().code, 6);
    let mut second = Daemon::connect(&place);
    second.shim = first.shim;
    assert_eq!(second.finish().code, 6);
}

#[test]
fn a_container_that_is_not_started_does_not_wait_for_ever() {
    let place = Place::new();
    let mut daemon = Daemon::spawn(&place, &place.spec("echo never"));
    daemon.wait(|notice| matches!(notice, Notice::Created { .. }));
    let shim = daemon.shim.unwrap();
    drop(daemon);
    sys::program::reap(shim);
    let exit: model::Exit =
        serde_json::from_slice(&std::fs::read(place.run().exit_record()).unwrap()).unwrap();
    assert_eq!(exit.code, 128);
    let processes = processes(&place);
    let init = processes.init.unwrap();
    assert!(!sys::process::is_alive(init.pid, init.start_time));
    assert!(processes.cgroups.iter().all(|cgroup| !cgroup.exists()));
}

#[test]
fn another_daemon_may_start_what_the_first_made() {
    let place = Place::new();
    let mut first = Daemon::spawn(&place, &place.spec("exit 8"));
    first.wait(|notice| matches!(notice, Notice::Created { .. }));
    let shim = first.shim;
    drop(first);
    let mut second = Daemon::connect(&place);
    let (_, namespace) = second.wait_for(|notice| matches!(notice, Notice::Created { .. }));
    assert!(namespace.is_some(), "the network namespace comes with it");
    second.ask(Request::Start { interface: None }, None).unwrap();
    second.shim = shim;
    assert_eq!(second.finish().code, 8);
}

#[test]
fn a_killed_shim_takes_its_container_down() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &place.spec("sleep 1000 & exec sleep 1000"), &mut []);
    let processes = processes(&place);
    let shim = daemon.shim.unwrap();
    sys::process::kill(shim, processes.shim.start_time);
    sys::program::reap(shim);
    let init = processes.init.unwrap();
    wait_until("init is gone", || !sys::process::is_alive(init.pid, init.start_time));
    wait_until("the cgroups can be removed", || {
        processes.cgroups.iter().all(|cgroup| !cgroup.exists() || std::fs::remove_dir(cgroup).is_ok())
    });
    drop(daemon);
}

#[test]
fn the_cgroups_are_written_down_before_they_are_made() {
    let place = Place::new();
    let mut spec = place.spec("");
    spec.sysctls.insert("vm.swappiness".to_owned(), "1".to_owned());
    let mut daemon = Daemon::spawn(&place, &spec);
    daemon.wait(|notice| matches!(notice, Notice::StartFailed { .. }));
    let cgroups = processes(&place).cgroups;
    assert!(!cgroups.is_empty(), "refused before any was made, yet a daemon would find them");
    assert!(cgroups.iter().all(|cgroup| cgroup.is_absolute() && !cgroup.exists()), "{cgroups:?}");
    daemon.ask(Request::Release, None).unwrap();
    daemon.gone();
}

#[test]
fn garbage_from_a_daemon_ends_only_its_connection() {
    let place = Place::new();
    let mut spec = place.spec("read x; exit 3");
    spec.open_stdin = true;
    let mut first = Daemon::start(&place, &spec, &mut []);
    let garbage = sys::seqpacket::connect(&place.run().socket()).unwrap();
    sys::seqpacket::send(&garbage, b"{\"number\":1,\"request\":\"nonsense\"}", None).unwrap();
    wait_until("the connection ends", || {
        sys::seqpacket::receive(&garbage, 1 << 20).is_ok_and(|received| received.is_none())
    });
    let mut second = Daemon::connect(&place);
    second.wait(|notice| matches!(notice, Notice::Started { .. }));
    second.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    second.shim = first.shim.take();
    assert_eq!(second.finish().code, 137);
}
