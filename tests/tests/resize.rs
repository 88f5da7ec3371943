//! Resizing the terminals of containers and execs.

use berth_tests::{Engine, merged, sh};
use serde_json::json;

#[test]
fn the_program_learns_its_terminals_size() {
    let engine = Engine::start();
    let body = merged(
        sh("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"),
        json!({ "Tty": true, "OpenStdin": true }),
    );
    let id = engine.create(&body);
    let mut stream = engine.attach(&id, "stream=1&stdout=1");
    engine.start(&id);
    stream.read_until(b"ready").expect("the trap");
    let _ = engine.post(&format!("/containers/{id}/resize?h=43&w=121")).expect(200);
    stream.read_until(b"43 121").expect("the new size");
}

#[test]
fn an_execs_terminal_is_resized() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done";
    let body = json!({ "AttachStdout": true, "Tty": true, "Cmd": ["sh", "-c", script] });
    let exec = engine.exec_create(&id, &body);
    let mut stream = engine.exec_start(&exec, &json!({ "Tty": true }));
    stream.read_until(b"ready").expect("the trap");
    let _ = engine.post(&format!("/exec/{exec}/resize?h=40&w=80")).expect(201);
    stream.read_until(b"40 80").expect("the new size");
}

#[test]
fn bad_sizes_and_wrong_states_are_refused() {
    let engine = Engine::start();
    let id = engine.run(&merged(sh("sleep 600"), json!({ "Tty": true })));
    for parameters in ["", "?h=40", "?w=80", "?h=&w=", "?h=abc&w=80", "?h=40&w=abc", "?h=40.5&w=80"] {
        let answer = engine.post(&format!("/containers/{id}/resize{parameters}"));
        assert_eq!(answer.status(), 500, "{parameters}: {}", answer.status());
        let answer = engine.post(&format!("/containers/nosuch/resize{parameters}"));
        assert_eq!(answer.status(), 500, "the query is looked at first: {parameters}");
    }
    let created = engine.create(&sh("true"));
    let answer = engine.post(&format!("/containers/{created}/resize?h=1&w=1")).expect(500);
    assert_eq!(answer.text(), format!("Container {created} is not running\n"));
    assert_eq!(engine.post("/containers/nosuch/resize?h=1&w=1").expect(404).text(), "no such id: nosuch\n");
    let _ = engine.post("/exec/nosuch/resize?h=1&w=1").expect(404);
    let exec = engine.exec_create(&id, &json!({ "Tty": true, "Cmd": ["true"] }));
    let answer = engine.post(&format!("/exec/{exec}/resize?h=1&w=1")).expect(500);
    assert_eq!(answer.text(), format!("Exec {exec} is not running\n"));
}
