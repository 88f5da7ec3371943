//! `GET /events` over time: since and until in every form, over the daemon's end, and for those too slow to listen.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use berth_tests::{Engine, merged, query, sh};
use serde_json::{Value, json};

/// Events of a stream that ends by itself.
fn past(engine: &Engine, parameters: &[(&str, &str)]) -> Vec<Value> {
    let answer = engine.get(&format!("/events{}", query(parameters))).expect(200);
    answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn statuses(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["status"].as_str().expect("a status")).collect()
}

fn nanoseconds(event: &Value) -> u64 {
    event["timeNano"].as_u64().expect("a time")
}

/// A moment as seconds with all digits of their fraction.
fn seconds(nanoseconds: u64) -> String {
    format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
}

/// The same moment as RFC 3339, by the host's own date(1).
fn date(nanoseconds: u64, zone: &str) -> String {
    let whole = format!("@{}", nanoseconds / 1_000_000_000);
    let output = std::process::Command::new("date")
        .env("TZ", zone)
        .args(["-d", &whole, "+%Y-%m-%dT%H:%M:%S.NANO%:z"])
        .output();
    let text = String::from_utf8(output.expect("date(1)").stdout).expect("text");
    text.trim().replace("NANO", &format!("{:09}", nanoseconds % 1_000_000_000))
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_nanos()).expect("this age")
}

#[test]
fn moments_in_every_form() {
    let engine = Engine::start();
    for name in ["aa", "bb", "cc"] {
        let _ = engine.create_named(name, &sh("true"));
    }
    let far = (now() / 1_000_000_000 - 1).to_string();
    let all = past(&engine, &[("since", "0"), ("until", &seconds(now()))]);
    let created: Vec<&Value> = all.iter().filter(|event| event["status"] == "create").collect();
    assert_eq!(created.len(), 3, "{all:?}");
    let middle = nanoseconds(created[1]);
    let names = |since: &str, until: &str| -> Vec<String> {
        let only = json!({ "event": ["create"] }).to_string();
        let events = past(&engine, &[("since", since), ("until", until), ("filters", &only)]);
        events
            .iter()
            .map(|event| event["Actor"]["Attributes"]["name"].as_str().expect("it").to_owned())
            .collect()
    };
    let end = seconds(now());
    for since in [
        seconds(middle),
        date(middle, "UTC"),
        date(middle, "EST5"),
        date(middle, "UTC").replace("+00:00", "Z"),
    ] {
        assert_eq!(names(&since, &end), ["bb", "cc"], "from {since} on, that moment too");
        assert_eq!(names("0", &since), ["aa", "bb"], "up to {since}, that moment too");
        assert_eq!(names(&since, &since), ["bb"]);
    }
    assert_eq!(names(&seconds(middle + 1), &end), ["cc"]);
    assert_eq!(names("0", &seconds(middle - 1)), ["aa"]);
    for since in ["0", "1", "-5", "1970-01-01T00:00:00Z", "0.5", &far[..1]] {
        assert_eq!(names(since, &end), ["aa", "bb", "cc"], "{since}");
    }
    for (since, until) in
        [("9999999999", "1"), (end.as_str(), "0"), ("0", "0"), ("0", "-5"), ("", &end), ("-1", &end)]
    {
        assert_eq!(names(since, until), Vec::<String>::new(), "{since} to {until}");
    }
    for bad in ["abc", "1.", "1e5", "10m", "2013-07-17", "99999999999999999999"] {
        for name in ["since", "until"] {
            let answer = engine.get(&format!("/events{}", query(&[(name, bad)]))).expect(500);
            assert!(answer.text().contains(name) && answer.text().contains(bad), "{}", answer.text());
        }
    }
}

#[test]
fn filters_in_every_form() {
    let engine = Engine::start();
    let labelled = merged(sh("true"), json!({ "Labels": { "tier": "web", "odd": "" } }));
    let one = engine.create_named("one", &labelled);
    let two = engine.create_named("two", &merged(sh("true"), json!({ "Labels": { "tier": "db" } })));
    let _ = engine.post("/images/busybox/tag?repo=reg.example:5000/app&tag=v1").expect(201);
    let _ = engine.delete("/images/reg.example:5000/app:v1").expect(200);
    let count = |filters: Value| {
        let text = filters.to_string();
        past(&engine, &[("since", "1"), ("until", &seconds(now())), ("filters", &text)]).len()
    };
    for (filters, expected) in [
        (json!({ "label": ["tier"] }), 2),
        (json!({ "label": ["tier=web"] }), 1),
        (json!({ "label": { "tier=web": true, "odd": true } }), 1),
        (json!({ "label": { "tier=web": false } }), 1),
        (json!({ "label": ["tier=web", "tier=db"] }), 0),
        (json!({ "container": { "one": true } }), 1),
        (json!({ "container": { "one": true, "two": true }, "event": { "create": true } }), 2),
        (json!({ "container": [one, two] }), 2),
        (json!({ "container": ["nosuch", "two"] }), 1),
        (json!({ "image": ["reg.example:5000/app"] }), 2),
        (json!({ "image": ["reg.example:5000/app:v1"] }), 2),
        (json!({ "image": ["reg.example:5000/app:v2"] }), 0),
        (json!({ "type": ["image"], "event": ["tag", "untag"] }), 2),
        (json!({ "type": ["container"], "event": ["tag"] }), 0),
        (json!({ "event": [] }), past(&engine, &[("since", "1"), ("until", &seconds(now()))]).len()),
        (json!(null), past(&engine, &[("since", "1"), ("until", &seconds(now()))]).len()),
    ] {
        assert_eq!(count(filters.clone()), expected, "{filters}");
    }
    engine.remove(&one);
    assert_eq!(count(json!({ "event": ["destroy"] })), 1, "it is recorded before the answer");
    assert_eq!(count(json!({ "container": ["one"] })), 0, "a name means no former container");
    assert_eq!(count(json!({ "container": [one] })), 2, "which is found by its id");
    for bad in ["{", "[]", "5", "\"x\"", r#"{"event":"start"}"#, r#"{"event":[1]}"#, r#"{"event":{"a":1}}"#] {
        let answer = engine.get(&format!("/events{}", query(&[("filters", bad)]))).expect(500);
        assert!(answer.text().contains("filters"), "{bad}: {}", answer.text());
    }
}

#[test]
fn a_removal_is_past_when_it_is_answered_and_live_in_the_order_of_the_answers() {
    let mut engine = Engine::start();
    let (_, mut listener) = engine.open("GET", "/events", &[], b"");
    let mut expected = Vec::new();
    for _ in 0..20 {
        let id = engine.create(&sh("true"));
        engine.remove(&id);
        let only = json!({ "container": [id], "event": ["destroy"] }).to_string();
        let until = [("since", "1"), ("until", &seconds(now())[..]), ("filters", &only)];
        assert_eq!(statuses(&past(&engine, &until)), ["destroy"], "right after the answer");
        expected.extend([("create", id.clone()), ("destroy", id)]);
    }
    let mut text = String::new();
    while text.lines().count() < expected.len() {
        let chunk = listener.read_chunk().expect("events").expect("no early end");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    let heard: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let heard: Vec<(&str, String)> = heard
        .iter()
        .map(|event| (event["status"].as_str().expect("it"), event["id"].as_str().expect("it").to_owned()))
        .collect();
    assert_eq!(heard, expected);
    engine.replace_daemon();
    let events = past(&engine, &[("since", "1"), ("until", &seconds(now()))]);
    assert_eq!(events.last().expect("an event")["id"], json!(expected.last().expect("a removal").1));
}

#[test]
fn what_happened_outlives_the_daemon_however_it_ends() {
    let mut engine = Engine::start();
    let first = engine.create(&sh("true"));
    engine.kill_daemon();
    engine.start_daemon();
    let second = engine.create(&sh("true"));
    engine.stop_daemon();
    engine.start_daemon();
    let only = json!({ "container": [first, second] }).to_string();
    let events = past(&engine, &[("since", "1"), ("until", &seconds(now())), ("filters", &only)]);
    assert_eq!(statuses(&events), ["create", "create"]);
    assert_eq!((&events[0]["id"], &events[1]["id"]), (&json!(first), &json!(second)));
    assert_eq!((&events[0]["from"], &events[0]["Type"]), (&json!("busybox"), &json!("container")));
    assert!(nanoseconds(&events[0]) < nanoseconds(&events[1]));
}

#[test]
fn who_does_not_listen_is_cut_off_and_holds_nobody_up() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let (head, mut slow) = engine.open("GET", "/events", &[], b"");
    assert_eq!(head.status, 200);
    let (_, mut quick) = engine.open("GET", "/events", &[], b"");
    let path = format!("/containers/{id}/top");
    let heard = std::thread::scope(|scope| {
        let listener = scope.spawn(move || {
            let mut heard = 0;
            while heard < 8000 {
                let chunk = quick.read_chunk().expect("events").expect("no early end");
                heard += chunk.iter().filter(|byte| **byte == b'\n').count();
            }
            heard
        });
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let _ = engine.get(&path).expect(200);
                }
            });
        }
        listener.join().expect("the listener's end")
    });
    assert_eq!(heard, 8000, "who reads hears all");
    slow.set_timeout(Duration::from_secs(20)).expect("a limit");
    let mut text = String::new();
    while let Some(chunk) = slow.read_chunk().expect("what was sent before, and the end") {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("whole lines");
    assert_eq!((&last["status"], &last["Type"]), (&json!("overflow"), &json!("daemon")));
    let seen = text.lines().count() - 1;
    assert!(seen > 0 && seen < 8000, "{seen} were buffered");
    assert_eq!(past(&engine, &[("since", "1"), ("until", &seconds(now()))]).len(), 1024, "so many are kept");
}
