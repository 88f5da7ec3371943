//! The shim that waits for the next start: used once, replaced when it cannot be used, and never left behind.

use std::collections::BTreeSet;

use berth_tests::{Engine, host, merged, sh, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn without_network(script: &str) -> Value {
    merged(sh(script), json!({ "HostConfig": { "NetworkMode": "none" } }))
}

/// Starts a container that ends at once, until a shim is parked behind it; gives the shim's pid.
fn park(engine: &Engine) -> u32 {
    wait::until("a parked shim", || {
        let id = engine.run(&without_network("true"));
        engine.remove(&id);
        wait_briefly(|| engine.parked_shims().into_iter().next())
    })
}

/// Runs a container that does not end with the shim that was parked before; gives its id and the shim's pid.
fn run_with_parked(engine: &Engine, body: &Value) -> (String, u32) {
    // A parked shim waits for seconds only: on a busy host it may end before the next start comes.
    wait::until("a container with the parked shim", || {
        let _ = park(engine);
        let shim = park(engine);
        let id = engine.run(body);
        if engine.shims().contains(&shim) {
            return Some((id, shim));
        }
        engine.remove(&id);
        None
    })
}

/// What is there soon or not at all.
fn wait_briefly<T>(ask: impl Fn() -> Option<T>) -> Option<T> {
    (0..100).find_map(|_| {
        let found = ask();
        if found.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        found
    })
}

/// One that has waited for seconds has ended by itself.
fn send(signal: Signal, pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    let _ = kill_process(pid, signal);
}

fn stop(pid: u32) {
    send(Signal::STOP, pid);
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    wait::until("the stop", || (!host::runs(pid) || state().contains(") T ")).then_some(()));
}

fn gone(pid: u32) {
    wait::until("the parked shim's end", || (!host::runs(pid)).then_some(()));
}

fn works(engine: &Engine) {
    let id = engine.run(&without_network("echo fine"));
    assert_eq!(engine.wait(&id), 0);
    assert_eq!(engine.logs(&id).0, "fine\n");
    engine.remove(&id);
}

#[test]
fn a_start_takes_the_parked_shim_with_a_network_of_its_own() {
    let engine = Engine::start();
    let script = "sleep 600 & ls /sys/class/net; ip addr show lo | grep -c 127.0.0.1/8; wait";
    let (id, shim) = run_with_parked(&engine, &without_network(script));
    wait::until("its output", || (engine.logs(&id).0 == "lo\n1\n").then_some(()));
    let network = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("a namespace");
    assert_ne!(network(engine.pid(&id)), network(shim));
    assert_eq!(network(shim), network(engine.daemon_pid()), "a shim stays in the daemon's network");
    assert_eq!(engine.exec(&id, &["echo", "fine"]).stdout, "fine\n");
    engine.remove(&id);
    gone(shim);
}

#[test]
fn a_parked_shim_serves_what_needs_none_of_what_it_made() {
    let engine = Engine::start();
    let holder = engine.run(&without_network("sleep 600"));
    let network = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("a namespace");
    for (mode, of) in
        [("host".to_owned(), engine.daemon_pid()), (format!("container:{holder}"), engine.pid(&holder))]
    {
        let body = merged(sh("sleep 600"), json!({ "HostConfig": { "NetworkMode": mode } }));
        let (id, shim) = run_with_parked(&engine, &body);
        assert_eq!(network(engine.pid(&id)), network(of), "{mode}");
        let held = std::fs::read_dir(format!("/proc/{shim}/fd")).expect("its descriptors").flatten();
        let held = held.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
        let networks = held.filter(|link| link.to_string_lossy().starts_with("net:")).count();
        assert_eq!(networks, 0, "{mode}: the network that it had made is given up");
        engine.remove(&id);
        gone(shim);
    }
    let user = merged(without_network("id -u; sleep 600"), json!({ "User": "7" }));
    let (id, _) = run_with_parked(&engine, &user);
    wait::until("its output", || (engine.logs(&id).0 == "7\n").then_some(()));
}

#[test]
fn a_parked_shim_that_was_killed_or_stopped_is_not_waited_for() {
    let engine = Engine::start();
    let killed = park(&engine);
    send(Signal::KILL, killed);
    gone(killed);
    works(&engine);
    let stopped = park(&engine);
    stop(stopped);
    works(&engine);
    gone(stopped);
    works(&engine);
}

#[test]
fn a_parked_shim_ends_when_no_start_follows_and_with_its_daemon() {
    let mut engine = Engine::start();
    let parked = park(&engine);
    gone(parked);
    assert_eq!(engine.parked_shims(), BTreeSet::new());
    let parked = park(&engine);
    engine.kill_daemon();
    gone(parked);
    engine.start_daemon();
    let parked = park(&engine);
    engine.stop_daemon();
    gone(parked);
    engine.start_daemon();
    works(&engine);
}

#[test]
fn many_starts_at_once_leave_one_parked_shim_at_most() {
    let engine = Engine::start();
    let ids: Vec<String> = (0..12).map(|_| engine.create(&without_network("sleep 600"))).collect();
    std::thread::scope(|scope| {
        for id in &ids {
            scope.spawn(|| engine.start(id));
        }
    });
    assert_eq!(engine.shims().len(), ids.len());
    assert!(engine.parked_shims().len() <= 1, "{:?}", engine.parked_shims());
    for id in &ids {
        engine.remove(id);
    }
    let none_left = || engine.shims().is_empty() && engine.parked_shims().is_empty();
    wait::until("the shims' end", || none_left().then_some(()));
}
