//! `GET /events`: which, in which order, with which fields, for which listeners.

use std::time::{SystemTime, UNIX_EPOCH};

use berth_tests::http::Connection;
use berth_tests::{Engine, query, sh, wait};
use serde_json::{Value, json};

/// A listener whose head has come: it receives all that happens from now on.
fn listen(engine: &Engine, parameters: &[(&str, &str)]) -> Connection {
    let (head, connection) = engine.open("GET", &format!("/events{}", query(parameters)), &[], b"");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("application/json"));
    connection
}

/// Reads events until one with this action has come.
fn until(connection: &mut Connection, action: &str) -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    let mut text = String::new();
    while !events.iter().any(|event| event["status"] == action) {
        let chunk = connection.read_chunk().expect("an event").expect("no early end");
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some((line, rest)) = text.split_once('\n') {
            if !line.trim().is_empty() {
                events.push(serde_json::from_str(line).expect("JSON"));
            }
            text = rest.to_owned();
        }
    }
    events
}

/// Past events.
fn past(engine: &Engine, parameters: &[(&str, &str)]) -> Vec<Value> {
    let until = (now() + 1).to_string();
    let mut all = vec![("since", "1"), ("until", until.as_str())];
    all.extend_from_slice(parameters);
    let text = engine.get(&format!("/events{}", query(&all))).expect(200).text();
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["status"].as_str().expect("a status")).collect()
}

#[test]
fn the_life_of_a_container_in_order() {
    let engine = Engine::start();
    let mut listener = listen(&engine, &[]);
    let id = engine.create(&sh("sleep 600"));
    engine.start(&id);
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
    let _ = engine.post(&format!("/containers/{id}/rename?name=renamed")).expect(204);
    let _ = engine.exec(&id, &["true"]);
    let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
    let _ = engine.delete(&format!("/containers/{id}")).expect(204);
    let events = until(&mut listener, "destroy");
    let found: Vec<&str> = actions(&events).into_iter().filter(|action| *action != "resize").collect();
    assert_eq!(
        found,
        [
            "create",
            "start",
            "pause",
            "unpause",
            "rename",
            "exec_create: true ",
            "exec_start: true ",
            "kill",
            "die",
            "destroy"
        ]
    );
    for event in &events {
        assert_eq!((&event["id"], &event["from"]), (&json!(id), &json!("busybox")), "{event}");
        assert!(event["time"].as_u64().is_some_and(|time| time.abs_diff(now()) < 60), "{event}");
    }
}

#[test]
fn newer_clients_find_their_fields() {
    let engine = Engine::start();
    let id = engine.create_named("named", &sh("exit 3"));
    let filters = json!({ "container": [id], "type": ["container"] }).to_string();
    let mut listener = listen(&engine, &[("filters", &filters)]);
    engine.start(&id);
    let events = until(&mut listener, "die");
    let die = events.last().expect("an event");
    assert_eq!((&die["Type"], &die["Action"]), (&json!("container"), &json!("die")));
    assert_eq!(die["Actor"]["ID"], id.as_str());
    let attributes = &die["Actor"]["Attributes"];
    assert_eq!(
        (&attributes["exitCode"], &attributes["name"], &attributes["image"]),
        (&json!("3"), &json!("named"), &json!("busybox"))
    );
    assert!(
        die["timeNano"]
            .as_u64()
            .is_some_and(|time| time / 1_000_000_000 == die["time"].as_u64().unwrap_or(0)),
        "{die}"
    );
    let _ = engine.delete(&format!("/containers/{id}?v=1")).expect(204);
    let events = until(&mut listener, "destroy");
    assert_eq!(actions(&events).last(), Some(&"destroy"), "the listener that filters on it hears its end");
}

#[test]
fn a_failed_start_is_heard() {
    let engine = Engine::start();
    for (command, status, code) in [("nosuch", 404, "127"), ("/etc/passwd", 500, "126")] {
        let id = engine.create(&json!({ "Image": "busybox", "Cmd": [command] }));
        let mut listener = listen(&engine, &[("filters", &json!({ "container": [id] }).to_string())]);
        let _ = engine.post(&format!("/containers/{id}/start")).expect(status);
        let events = until(&mut listener, "die");
        assert_eq!(events.last().expect("an event")["Actor"]["Attributes"]["exitCode"], code);
        engine.remove(&id);
        let _ = until(&mut listener, "destroy");
    }
}

#[test]
fn filters_are_exact() {
    let engine = Engine::start();
    let one = engine.create_named("one", &sh("true"));
    let two = engine.create_named("two", &sh("true"));
    engine.start(&one);
    let _ = engine.wait(&one);
    let by = |filters: Value| {
        let events = past(&engine, &[("filters", &filters.to_string())]);
        events
            .iter()
            .map(|event| {
                (
                    event["status"].as_str().unwrap_or("").to_owned(),
                    event["id"].as_str().unwrap_or("").to_owned(),
                )
            })
            .collect::<Vec<_>>()
    };
    let event = |action: &str, id: &String| (action.to_owned(), id.clone());
    let lived = vec![event("create", &one), event("start", &one), event("die", &one)];
    assert_eq!(by(json!({ "container": ["one"] })), lived);
    assert_eq!(by(json!({ "container": [one] })), lived);
    assert_eq!(by(json!({ "container": [one[..12]] })), lived);
    assert_eq!(by(json!({ "container": { "one": true } })), lived);
    assert_eq!(by(json!({ "event": ["create"] })), [event("create", &one), event("create", &two)]);
    assert_eq!(by(json!({ "event": ["start", "die"], "container": ["one"] })), lived[1..]);
    assert_eq!(by(json!({ "container": ["nosuch"] })), []);
    assert_eq!(by(json!({ "event": ["nosuch"] })), []);
    assert_eq!(by(json!({ "image": ["busybox"], "event": ["die"] })), lived[2..]);
    assert_eq!(by(json!({ "image": ["other"], "type": ["container"] })), []);
    assert_eq!(by(json!({ "type": ["container"], "event": ["start"] })), lived[1..2]);
}

#[test]
fn since_and_until_limit_the_past() {
    let engine = Engine::start();
    let early = engine.create(&sh("true"));
    // Bounds are whole seconds.
    let made = now();
    wait::until("a second after it", || (now() > made + 1).then_some(()));
    let border = now();
    wait::until("the next second", || (now() > border).then_some(()));
    let late = engine.create(&sh("true"));
    let border = border.to_string();
    let ids = |parameters: &[(&str, &str)]| {
        let filter = json!({ "event": ["create"] }).to_string();
        let mut parameters = parameters.to_vec();
        parameters.push(("filters", &filter));
        let text = engine.get(&format!("/events{}", query(&parameters))).expect(200).text();
        text.lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).expect("JSON")["id"].as_str().unwrap_or("").to_owned()
            })
            .collect::<Vec<_>>()
    };
    let end = now().to_string();
    assert_eq!(ids(&[("since", "1"), ("until", &border)]), [early.as_str()]);
    assert_eq!(ids(&[("since", &border), ("until", &end)]), [late.as_str()]);
    assert_eq!(ids(&[("since", "1"), ("until", &end)]), [early.as_str(), late.as_str()]);
}

#[test]
fn a_listener_with_an_end_in_the_future_ends_then() {
    let engine = Engine::start();
    // On a busy machine the end may have come before the container has.
    berth_tests::wait::until("an event before the end", || {
        let until = now() + 2;
        let mut listener = listen(&engine, &[("until", &until.to_string())]);
        let id = engine.create(&sh("true"));
        let mut text = String::new();
        while let Some(chunk) = listener.read_chunk().expect("the stream") {
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert!(now() >= until, "it has ended too early");
        text.contains(&id).then_some(())
    });
}

#[test]
fn bad_values_are_refused() {
    let engine = Engine::start();
    for parameters in ["since=abc&until=1", "since=1&until=abc", "filters=%7Bbad", "filters=%5B%5D"] {
        let answer = engine.get(&format!("/events?{parameters}"));
        assert_eq!(answer.status(), 500, "{parameters}: {}", answer.status());
    }
    let answer = engine.get(&format!("/events{}", query(&[("filters", r#"{"nosuch":["x"]}"#)]))).expect(500);
    assert_eq!(answer.text(), "Invalid filter 'nosuch'\n");
}

#[test]
fn images_have_events_too() {
    let engine = Engine::start();
    let mut listener = listen(&engine, &[]);
    engine.import("other", berth_tests::rootfs::busybox());
    let events = until(&mut listener, "import");
    assert_eq!(events.last().expect("an event")["Type"], "image");
    let _ = engine.delete("/images/other").expect(200);
    let events = until(&mut listener, "delete");
    assert!(actions(&events).contains(&"untag"), "{events:?}");
}

#[test]
fn many_listeners_hear_everything() {
    let engine = Engine::start();
    let mut listeners: Vec<_> = (0..10).map(|_| listen(&engine, &[])).collect();
    let ids: Vec<String> = (0..20).map(|_| engine.create(&sh("true"))).collect();
    for id in &ids {
        let _ = engine.delete(&format!("/containers/{id}")).expect(204);
    }
    for listener in &mut listeners {
        let mut seen = Vec::new();
        while seen.len() < 40 {
            let events = until(listener, if seen.len() < 20 { "create" } else { "destroy" });
            seen.extend(events);
        }
        assert_eq!(seen.iter().filter(|event| event["status"] == "create").count(), 20);
        assert_eq!(seen.iter().filter(|event| event["status"] == "destroy").count(), 20);
    }
}
