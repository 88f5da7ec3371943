//! Past events by moments and filters, as they were recorded.

use std::time::{Duration, SystemTime};

use berth_tests::{Engine, wait};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Outcome, expected, read, text};

/// A recorded request.
#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    path: String,
    expected: Outcome,
    here: Option<Outcome>,
    why: Option<String>,
}

/// What was before the test is no matter: such answers begin with this.
const BEFORE: &str = "… ";

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970").as_secs()
}

/// Waits until another second begins; gives the one that has ended.
fn next_second() -> u64 {
    let before = now();
    wait::until("the next second", || (now() > before).then_some(()));
    std::thread::sleep(Duration::from_millis(50));
    before
}

/// An engine with a container that runs and one more, whose ids begin with other digits; the second from which on they were made.
fn begin() -> (Engine, u64, String, String) {
    loop {
        let engine = Engine::start();
        let since = next_second() + 1;
        let one = engine.create_named("f1", &json!({ "Image": "busybox", "Cmd": ["sleep", "600"] }));
        engine.start(&one);
        let two = engine.create_named("f2", &json!({ "Image": "busybox", "Cmd": ["true"] }));
        if one[..3] != two[..3] {
            return (engine, since, one, two);
        }
    }
}

#[test]
fn past_events_are_those_that_were_recorded() {
    let (engine, since, one, two) = begin();
    engine.start(&two);
    let _ = engine.wait(&two);
    let _ = engine.post("/images/busybox/tag?repo=ftag&tag=v1").expect(201);
    let _ = engine.delete("/images/ftag:v1").expect(200);
    let _ = next_second();
    let _ = engine.post("/containers/f1/kill").expect(204);
    let _ = engine.wait(&one);
    let until = next_second();
    engine.start(&one);
    let _ = engine.get("/containers/f1/top").expect(200);
    let _ = next_second();
    let busybox = engine.get("/images/busybox/json").expect(200).json();
    let marks = |path: &str| {
        let busybox = busybox["Id"].as_str().expect("an id");
        let times = path
            .replace("<SINCE>", &since.to_string())
            .replace("<UNTIL>", &until.to_string())
            .replace("<NOW>", &now().to_string())
            .replace("<SOON>", &(now() + 1).to_string())
            .replace("<FUTURE>", &(now() + 1000).to_string());
        let ids = times.replace("<ID1:12>", &one[..12]).replace("<ID1:3>", &one[..3]).replace("<ID1>", &one);
        ids.replace("<BUSYBOX>", busybox)
    };
    let cases: Vec<Case> = read(include_str!("events.jsonl"));
    for case in &cases {
        let (version, path) = case.path.trim_start_matches("/v").split_once('/').expect("a version");
        let answer = engine.at(version).get(&format!("/{}", marks(path)));
        let wanted = expected(&case.expected, case.here.as_ref(), case.why.as_ref());
        let text = match answer.status() {
            400.. => text(&answer),
            _ => actions(&answer.text()),
        };
        let has_all = wanted.text.strip_prefix(BEFORE).is_some_and(|end| text.ends_with(end));
        let text = if has_all { wanted.text.clone() } else { text };
        assert_eq!(Outcome { status: answer.status(), text }, wanted, "{}: {}", case.name, case.path);
    }
}

/// What happened, one word each.
fn actions(lines: &str) -> String {
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
    let words: Vec<String> =
        events.map(|event| event["status"].as_str().expect("an action").to_owned()).collect();
    words.join(" ")
}
