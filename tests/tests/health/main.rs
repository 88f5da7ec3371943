//! Health checks: their settings, what is run, what is shown, and what survives what.

mod asked;
mod lasting;
mod probes;

use berth_tests::{Client, merged, wait};
use serde_json::{Value, json};

/// Nanoseconds of a millisecond.
const MILLISECOND: i64 = 1_000_000;

/// A container that sleeps without reaping, and whose health is checked often.
fn checked(test: &[&str], more: Value) -> Value {
    let check = merged(json!({ "Test": test, "Interval": 50 * MILLISECOND, "Retries": 2 }), more);
    json!({ "Image": "busybox", "Cmd": ["sleep", "600"], "StopSignal": "KILL", "Healthcheck": check })
}

/// `State.Health`.
fn health(engine: &Client, id: &str) -> Value {
    engine.state(id, "Health")
}

/// Waits until its health has this status; gives the health.
fn until(engine: &Client, id: &str, status: &str) -> Value {
    wait::until(status, || Some(health(engine, id)).filter(|health| health["Status"] == status))
}

/// Waits until so many results are kept; gives them.
fn results(engine: &Client, id: &str, count: usize) -> Vec<Value> {
    wait::until("results", || {
        let log = health(engine, id)["Log"].as_array().cloned().unwrap_or_default();
        (log.len() >= count).then_some(log)
    })
}

/// The reported states of its health.
fn told(engine: &Client, id: &str) -> Vec<String> {
    let events = engine.past_events(&json!({ "container": [id], "event": ["health_status"] }));
    let word = |event: &Value| event["Action"].as_str().expect("an action").to_owned();
    events.iter().map(word).collect()
}

/// What a list shows of it.
fn listed(engine: &Client, id: &str) -> Value {
    let all = engine.get("/containers/json?all=1").expect(200).json();
    let found = all.as_array().expect("a list").iter().find(|entry| entry["Id"] == id);
    found.expect("it is listed").clone()
}
