//! Whole answers of each endpoint that differ, or could, between versions: what is shown today in
//! `golden/<answer>.<version>.json`, with what each run has of its own masked. `BERTH_GOLDEN=write` replaces them.

use std::fs;
use std::path::{Path, PathBuf};

use berth_tests::{Engine, merged, sh, wait};
use serde_json::{Value, json};

/// The versions between which the shapes of answers differ, and the oldest that clients of then speak.
const VERSIONS: [&str; 4] = ["1.12", "1.18", "1.19", "1.20"];

/// Status, kind and body of an answer in one version, masked.
fn answer(engine: &Engine, version: &str, method: &str, path: &str, body: Option<&Value>) -> Value {
    let mut connection = engine.connect();
    let text = body.map(Value::to_string).unwrap_or_default();
    let headers: &[(&str, &str)] = if body.is_some() { &[("Content-Type", "application/json")] } else { &[] };
    connection.request(method, &format!("/v{version}{path}"), headers, text.as_bytes()).expect("a request");
    let head = connection.read_head().expect("an answer");
    let body = connection.read_body(method, &head).expect("a body");
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = serde_json::from_str(&text).ok().or_else(|| objects(&text)).unwrap_or(Value::String(text));
    let kind = head.header("content-type").unwrap_or_default();
    json!({ "status": head.status, "content-type": kind, "body": masked(engine, "", body) })
}

/// The objects of a stream of them, one a line.
fn objects(text: &str) -> Option<Value> {
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    lines.ok().filter(|lines| !lines.is_empty()).map(Value::Array)
}

/// The body without what differs from run to run: ids, times, places on the host.
fn masked(engine: &Engine, field: &str, value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| {
                    let value = masked(engine, &name, value);
                    (masked_text(engine, &name), value)
                })
                .collect(),
        ),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| masked(engine, field, item)).collect())
        }
        Value::String(text) => Value::String(match field {
            "LowerDir" | "RootDir" => "PLACES".to_owned(),
            _ => masked_text(engine, &text),
        }),
        Value::Number(number)
            if matches!(field, "Created" | "Size" | "VirtualSize" | "time" | "timeNano") =>
        {
            Value::String(if number.as_u64() == Some(0) { "0" } else { "NUMBER" }.to_owned())
        }
        other => other,
    }
}

fn masked_text(engine: &Engine, text: &str) -> String {
    let text = text.replace(&engine.directory().display().to_string(), "DIRECTORY");
    let mut masked = String::new();
    let mut word = String::new();
    let end_word = |word: &mut String, masked: &mut String| {
        let digits = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        masked.push_str(match word.len() {
            64 if digits => "ID",
            12 if digits => "SHORT",
            _ => word,
        });
        word.clear();
    };
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
        } else {
            end_word(&mut word, &mut masked);
            masked.push(letter);
        }
    }
    end_word(&mut word, &mut masked);
    if is_time(&masked) && !masked.starts_with("0001-") { "TIME".to_owned() } else { masked }
}

/// Whether a text is a time of RFC 3339.
fn is_time(text: &str) -> bool {
    let shape: String =
        text.chars().take(11).map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    shape == "0000-00-00T" && text.ends_with('Z')
}

fn place(name: &str, version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.{version}.json"))
}

/// Compares an answer with the kept one in each version.
fn check(name: &str, ask: impl Fn(&str) -> Value) {
    let writes = std::env::var("BERTH_GOLDEN").is_ok_and(|value| value == "write");
    for version in VERSIONS {
        let seen = serde_json::to_string_pretty(&ask(version)).expect("JSON") + "\n";
        let place = place(name, version);
        if writes {
            fs::write(&place, seen).expect("a golden answer");
            continue;
        }
        let kept = fs::read_to_string(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        assert_eq!(seen, kept, "{name} in {version}: BERTH_GOLDEN=write keeps the new answer");
    }
}

/// A container with something in most of its fields.
fn settled() -> Value {
    merged(
        sh("true"),
        json!({
            "Hostname": "web", "Env": ["A=b"], "Labels": { "kind": "golden" }, "ExposedPorts": { "80/tcp": {} },
            "Volumes": { "/data": {} },
            "HostConfig": { "Memory": 67_108_864, "CpuShares": 512, "CpusetCpus": "0" },
        }),
    )
}

#[test]
fn answers_about_containers_are_those_that_are_kept() {
    let engine = Engine::start();
    let id = engine.create_named("golden", &settled());
    let get = |path: String| {
        let engine = &engine;
        move |version: &str| answer(engine, version, "GET", &path, None)
    };
    check("container-inspect", get(format!("/containers/{id}/json")));
    check("container-list", get("/containers/json?all=1".to_owned()));
    check("container-changes", get(format!("/containers/{id}/changes")));
    check("container-unknown", get("/containers/nosuch/json".to_owned()));
    check("container-top-not-running", get(format!("/containers/{id}/top")));
    let post = |path: String| {
        let engine = &engine;
        move |version: &str| answer(engine, version, "POST", &path, None)
    };
    check("container-kill-not-running", post(format!("/containers/{id}/kill")));
    check("container-unpause-not-paused", post(format!("/containers/{id}/unpause")));
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
    check("container-wait", post(format!("/containers/{id}/wait")));
    check("container-start-unknown", post("/containers/nosuch/start".to_owned()));
    check("container-rename-without-a-name", post(format!("/containers/{id}/rename")));
    check("container-stop-ended", post(format!("/containers/{id}/stop")));
    check("container-pause-not-running", post(format!("/containers/{id}/pause")));
    check("container-resize-not-running", post(format!("/containers/{id}/resize?h=1&w=1")));
    check("container-remove-unknown", |version| {
        answer(&engine, version, "DELETE", "/containers/nosuch", None)
    });
    check("container-commit", |version| {
        let path = format!("/commit?container={id}&repo=committed");
        let seen = answer(&engine, version, "POST", &path, None);
        let _ = engine.delete("/images/committed").expect(200);
        seen
    });
    check("container-logs-of-nothing", get(format!("/containers/{id}/logs?stdout=0")));
}

#[test]
fn answers_about_running_containers_have_the_fields_that_are_kept() {
    let engine = Engine::start();
    let published = json!({ "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "" }] } } });
    let id = engine
        .create_named("running", &merged(settled(), merged(sh("echo said; exec sleep 600"), published)));
    engine.start(&id);
    wait::until("the log has its line", || {
        (!engine.get(&format!("/containers/{id}/logs?stdout=1")).body.is_empty()).then_some(())
    });
    let kinds_of = |method: &'static str, path: String| {
        let engine = &engine;
        move |version: &str| {
            let mut seen = answer(engine, version, method, &path, None);
            seen["body"] = kinds(&seen["body"]);
            seen
        }
    };
    check("running-inspect", kinds_of("GET", format!("/containers/{id}/json")));
    check("running-list", kinds_of("GET", "/containers/json?size=1".to_owned()));
    check("running-top", kinds_of("GET", format!("/containers/{id}/top")));
    check("running-stats", |version| {
        let mut seen = kinds_of("GET", format!("/containers/{id}/stats?stream=false"))(version);
        // Their fields are the kernel's.
        for field in ["memory_stats", "blkio_stats"] {
            seen["body"][field] = json!(seen["body"][field].is_object());
        }
        seen
    });
    check("running-start", |version| {
        answer(&engine, version, "POST", &format!("/containers/{id}/start"), None)
    });
    check("running-remove", |version| answer(&engine, version, "DELETE", &format!("/containers/{id}"), None));
    check("running-logs", |version| {
        answer(&engine, version, "GET", &format!("/containers/{id}/logs?stdout=1&stderr=1"), None)
    });
}

#[test]
fn events_are_those_that_are_kept() {
    let engine = Engine::start();
    let id = engine.create_named("eventful", &sh("exit 3"));
    engine.start(&id);
    assert_eq!(engine.wait(&id), 3);
    engine.remove(&id);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let path = format!("/events?since=1&until={}", now + 1);
    check("events", |version| answer(&engine, version, "GET", &path, None));
}

#[test]
fn answers_to_create_are_those_that_are_kept() {
    let engine = Engine::start();
    let create = |body: Value| {
        let engine = &engine;
        move |version: &str| answer(engine, version, "POST", "/containers/create", Some(&body))
    };
    check("container-create", create(sh("true")));
    let shares = json!({ "HostConfig": { "CpuShares": 1 } });
    check("container-create-few-shares", create(merged(sh("true"), shares)));
    check("container-create-unknown-image", create(json!({ "Image": "nosuch", "Cmd": ["true"] })));
    check("container-create-wrong-type", create(json!({ "Image": "busybox", "Cmd": 5 })));
}

#[test]
fn answers_about_execs_are_those_that_are_kept() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let body = json!({ "Cmd": ["true"], "AttachStdout": true });
    let path = format!("/containers/{id}/exec");
    check("exec-create", |version| answer(&engine, version, "POST", &path, Some(&body)));
    check("exec-unknown", |version| answer(&engine, version, "GET", "/exec/nosuch/json", None));
    let exec = engine.post_json(&path, &body).expect(201).json()["Id"].as_str().expect("an id").to_owned();
    check("exec-inspect", |version| {
        let mut seen = answer(&engine, version, "GET", &format!("/exec/{exec}/json"), None);
        seen["body"] = kinds(&seen["body"]);
        seen
    });
    check("exec-resize-not-running", |version| {
        answer(&engine, version, "POST", &format!("/exec/{exec}/resize?h=1&w=1"), None)
    });
    check("exec-create-no-command", |version| answer(&engine, version, "POST", &path, Some(&json!({}))));
}

#[test]
fn answers_about_images_are_those_that_are_kept() {
    let engine = Engine::start();
    for (name, path) in [
        ("image-list", "/images/json"),
        ("image-inspect", "/images/busybox/json"),
        ("image-history", "/images/busybox/history"),
        ("image-unknown", "/images/nosuch/json"),
    ] {
        check(name, |version| answer(&engine, version, "GET", path, None));
    }
    for (name, method, path) in [
        ("image-tag", "POST", "/images/busybox/tag?repo=copy&tag=1&force=1"),
        ("image-tag-unknown", "POST", "/images/nosuch/tag?repo=copy"),
        ("image-tag-refused", "POST", "/images/busybox/tag?repo=UPPER"),
        ("image-remove-unknown", "DELETE", "/images/nosuch"),
        ("image-push-unknown", "POST", "/images/nosuch/push"),
        ("image-search-no-term", "GET", "/images/search"),
    ] {
        check(name, |version| answer(&engine, version, method, path, None));
    }
    let _ = engine.delete("/images/copy:1").expect(200);
    check("image-remove", |version| {
        let _ = engine.post("/images/busybox/tag?repo=going").expect(201);
        answer(&engine, version, "DELETE", "/images/going", None)
    });
    check("build-without-a-dockerfile", |version| answer(&engine, version, "POST", "/build", None));
}

/// What kind of thing each field holds: the values are the host's.
fn kinds(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), kinds(value))).collect(),
        Value::Array(items) => Value::Array(items.first().map(kinds).into_iter().collect()),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!("number"),
        Value::Bool(_) => json!("truth"),
        Value::Null => Value::Null,
    }
}

#[test]
fn answers_about_the_engine_have_the_fields_that_are_kept() {
    let engine = Engine::start();
    for (name, path) in [("info", "/info"), ("version", "/version")] {
        check(name, |version| {
            let mut seen = answer(&engine, version, "GET", path, None);
            seen["body"] = kinds(&seen["body"]);
            seen
        });
    }
    check("ping", |version| answer(&engine, version, "GET", "/_ping", None));
    check("unknown-path", |version| answer(&engine, version, "GET", "/nosuch", None));
}
