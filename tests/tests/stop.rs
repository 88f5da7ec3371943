//! Stop, restart and kill: signals, grace, codes.

use std::time::{Duration, Instant};

use berth_tests::{Engine, query, sh, wait};
use serde_json::json;

/// Prints `ready` once the trap is set, then on the signal prints that and exits with 5.
const TRAP: &str = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
/// Prints `ready` and cannot be ended by TERM.
const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 0.1; done";

/// Starts a container that prints when it is ready.
fn ready(engine: &Engine, script: &str) -> String {
    let id = engine.run(&sh(script));
    wait::until("the container's trap", || engine.logs(&id).0.contains("ready").then_some(()));
    id
}

#[test]
fn stop_asks_with_term_and_leaves_time() {
    let engine = Engine::start();
    let id = ready(&engine, TRAP);
    let _ = engine.post(&format!("/containers/{id}/stop?t=20")).expect(204);
    assert_eq!(engine.state(&id, "ExitCode"), 5);
    assert!(engine.logs(&id).0.contains("got it"));
    let _ = engine.post(&format!("/containers/{id}/stop?t=20")).expect(304);
}

#[test]
fn stop_without_a_time_leaves_ten_seconds() {
    let engine = Engine::start();
    let id = ready(&engine, "trap 'sleep 1; exit 6' TERM; echo ready; while :; do sleep 0.1; done");
    let _ = engine.post(&format!("/containers/{id}/stop")).expect(204);
    assert_eq!(engine.state(&id, "ExitCode"), 6, "it was not killed while it cleaned up");
}

#[test]
fn stop_kills_what_does_not_listen() {
    let engine = Engine::start();
    let id = ready(&engine, STUBBORN);
    let begin = Instant::now();
    let _ = engine.post(&format!("/containers/{id}/stop?t=1")).expect(204);
    assert!(begin.elapsed() >= Duration::from_millis(900), "the time asked for was left");
    assert_eq!(engine.state(&id, "ExitCode"), 137);
    assert_eq!(engine.state(&id, "Running"), false);
}

#[test]
fn stop_of_one_that_never_ran_has_nothing_to_do() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let _ = engine.post(&format!("/containers/{id}/stop?t=1")).expect(304);
}

#[test]
fn stop_refuses_a_time_that_is_no_number() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    for act in ["stop", "restart"] {
        let answer = engine.post(&format!("/containers/{id}/{act}?t=abc"));
        assert_eq!(answer.status(), 500, "{act}: {}", answer.text());
        assert_eq!(engine.state(&id, "Running"), true);
    }
}

#[test]
fn restart_gives_a_new_process() {
    let engine = Engine::start();
    let id = ready(&engine, TRAP);
    let pid = engine.pid(&id);
    let _ = engine.post(&format!("/containers/{id}/restart?t=20")).expect(204);
    assert_ne!(engine.pid(&id), pid);
    assert!(engine.logs(&id).0.contains("got it"), "it was asked with TERM first");
    let exited = engine.run(&sh("exit 2"));
    assert_eq!(engine.wait(&exited), 2);
    let _ = engine.post(&format!("/containers/{exited}/restart?t=1")).expect(204);
    assert_eq!(engine.wait(&exited), 2);
    let answer = engine.post("/containers/nosuch/restart").expect(404);
    assert_eq!(answer.text(), "no such id: nosuch\n");
}

#[test]
fn restart_of_what_cannot_start_says_why() {
    let engine = Engine::start();
    let id = engine.create(&json!({ "Image": "busybox", "Cmd": ["nosuch"] }));
    let answer = engine.post(&format!("/containers/{id}/restart")).expect(404);
    assert!(answer.text().starts_with(&format!("Cannot restart container {id}: ")), "{}", answer.text());
    assert!(answer.text().contains("executable file not found in $PATH"), "{}", answer.text());
}

#[test]
fn kill_waits_for_the_end_and_other_signals_do_not() {
    let engine = Engine::start();
    let id = ready(&engine, TRAP);
    let _ = engine.post(&format!("/containers/{id}/kill?signal=USR2")).expect(204);
    assert_eq!(engine.state(&id, "Running"), true, "a first process has no default for USR2");
    let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
    assert_eq!(engine.state(&id, "Running"), false, "kill answers when it is over");
    assert_eq!(engine.state(&id, "ExitCode"), 137);
}

#[test]
fn signals_come_by_name_and_number() {
    let engine = Engine::start();
    for signal in ["TERM", "SIGTERM", "15"] {
        let id = ready(&engine, TRAP);
        let _ = engine.post(&format!("/containers/{id}/kill?signal={signal}")).expect(204);
        assert_eq!(engine.wait(&id), 5, "{signal}");
    }
}

#[test]
fn bad_signals_are_refused_before_anything_else() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    for signal in ["FOO", "SIGFOO", "-1", "0x9", "65", "99999999999", "9x", "SIGSIGTERM", " KILL"] {
        for target in [id.as_str(), "nosuch"] {
            let answer = engine.post(&format!("/containers/{target}/kill{}", query(&[("signal", signal)])));
            assert_eq!(answer.status(), 500, "{signal}: {}", answer.status());
            assert_eq!(answer.text(), format!("Invalid signal: {signal}\n"));
        }
    }
    assert_eq!(engine.state(&id, "Running"), true);
}

#[test]
fn kill_of_what_does_not_run_is_refused() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let answer = engine.post(&format!("/containers/{id}/kill")).expect(500);
    assert_eq!(answer.text(), format!("Cannot kill container {id}: Container {id} is not running\n"));
    let answer = engine.post("/containers/nosuch/kill").expect(404);
    assert_eq!(answer.text(), "Cannot kill container nosuch: no such id: nosuch\n");
}

#[test]
fn a_paused_container_can_be_killed_and_stopped() {
    let engine = Engine::start();
    for act in ["kill", "stop?t=1"] {
        let id = engine.run(&sh("sleep 600"));
        let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
        let _ = engine.post(&format!("/containers/{id}/{act}")).expect(204);
        assert_eq!(engine.state(&id, "Running"), false, "{act}");
        assert_eq!(engine.state(&id, "Paused"), false, "{act}");
    }
}

#[test]
fn a_stop_is_not_held_up_by_a_wait_or_another_stop() {
    let engine = Engine::start();
    let id = ready(&engine, STUBBORN);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.wait(&id));
        let slow = scope.spawn(|| engine.post(&format!("/containers/{id}/stop?t=60")).status());
        let request = format!("POST /v1.20/containers/{id}/stop");
        wait::until("the stop to begin", || engine.log().contains(&request).then_some(()));
        let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
        assert_eq!(waiting.join().expect("wait"), 137);
        assert_eq!(slow.join().expect("stop"), 204);
    });
}
