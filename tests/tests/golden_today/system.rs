//! The engine as a whole and its events.

use berth_tests::{Engine, sh};

use crate::{check_all, check_kinds, past_events};

#[test]
fn answers_about_the_engine() {
    let engine = Engine::start();
    check_kinds(&engine, "info", "/info");
    check_kinds(&engine, "version", "/version");
    check_all(
        &engine,
        &[
            ("ping", "GET", "/_ping"),
            ("unknown-path", "GET", "/nosuch"),
            ("wrong-method", "DELETE", "/info"),
            ("disk-usage-unknown-type", "GET", "/system/df?type=nosuch"),
            ("events-bad-filter", "GET", "/events?until=1&filters=x"),
            ("session", "POST", "/session"),
            ("grpc", "POST", "/grpc"),
            ("ping-head", "HEAD", "/_ping"),
        ],
    );
}

#[test]
fn events_of_a_containers_life() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = engine.create_named("eventful", &sh("exit 3"));
    engine.start(&id);
    assert_eq!(engine.wait(&id), 3);
    let _ = engine.post(&format!("/containers/{id}/rename?name=renamed")).expect(204);
    engine.remove(&id);
    let _ = today.post_json("/volumes/create", &serde_json::json!({ "Name": "eventful" })).expect(201);
    let _ = today.delete("/volumes/eventful").expect(204);
    let _ = today.post("/images/busybox/tag?repo=eventful").expect(201);
    let _ = today.delete("/images/eventful").expect(200);
    let _ = today.post("/containers/prune").expect(200);
    check_all(&engine, &[("events", "GET", &past_events())]);
}
