//! `POST /containers/{id}/wait`.

use berth_tests::{Engine, sh, wait};
use serde_json::json;

/// Waits until so many requests to wait for a container have come.
fn until_asked(engine: &Engine, id: &str, count: usize) {
    let request = format!("POST /v1.20/containers/{id}/wait");
    wait::until("the requests", || (engine.log().matches(&request).count() >= count).then_some(()));
}

#[test]
fn wait_gives_the_code_of_the_end() {
    let engine = Engine::start();
    for code in [0, 1, 3, 127, 200, 255] {
        let id = engine.run(&sh(&format!("exit {code}")));
        assert_eq!(engine.wait(&id), code);
        assert_eq!(engine.wait(&id), code, "again, after the end");
    }
}

#[test]
fn several_wait_at_once() {
    let engine = Engine::start();
    let id = engine.run(&sh("read x; exit 9"));
    let blocked = engine.run(&sh("sleep 600"));
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..5).map(|_| scope.spawn(|| engine.wait(&blocked))).collect();
        until_asked(&engine, &blocked, 5);
        let _ = engine.post(&format!("/containers/{blocked}/kill")).expect(204);
        for one in waiting {
            assert_eq!(one.join().expect("an answer"), 137);
        }
    });
    let _ = engine.wait(&id);
}

#[test]
fn one_that_never_ran_answers_at_once() {
    let engine = Engine::start();
    let id = engine.create(&sh("exit 3"));
    let answer = engine.post(&format!("/containers/{id}/wait")).expect(200);
    assert_eq!(answer.json(), json!({ "StatusCode": 0 }));
    let answer = engine.post("/containers/nosuch/wait").expect(404);
    assert_eq!(answer.text(), "no such id: nosuch\n");
}

#[test]
fn removal_ends_a_wait() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.post(&format!("/containers/{id}/wait")).status());
        until_asked(&engine, &id, 1);
        engine.remove(&id);
        assert_eq!(waiting.join().expect("an answer"), 200);
    });
}

#[test]
fn a_client_that_goes_leaves_the_container_running() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let mut connection = engine.connect();
    connection.request("POST", &format!("/v1.20/containers/{id}/wait"), &[], b"").expect("a request");
    until_asked(&engine, &id, 1);
    drop(connection);
    assert_eq!(engine.state(&id, "Running"), true);
}
