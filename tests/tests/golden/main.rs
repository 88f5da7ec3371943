//! Whole answers of each endpoint in the versions up to 1.20: what is shown today in `<answer>.<version>.json`, with what
//! each run has of its own masked. `BERTH_GOLDEN=write` replaces them.

mod files;
mod registries;
mod routes;
mod streams;

use std::fs;
use std::path::{Path, PathBuf};

use berth_tests::golden::{self, Request, answer, kinds, settled};
use berth_tests::{Engine, merged, sh, wait};
use serde_json::{Value, json};

/// The versions between which the shapes of answers differ, and the oldest that clients of then speak.
const VERSIONS: [&str; 4] = ["1.12", "1.18", "1.19", "1.20"];

/// A file of the answers that are kept.
fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"))
}

/// Compares an answer with the kept one in each version.
fn check(name: &str, ask: impl Fn(&str) -> Value) {
    for version in VERSIONS {
        let mut seen = ask(version);
        golden::check_request(&place("requests"), name, &mut seen);
        let seen = serde_json::to_string_pretty(&seen).expect("JSON") + "\n";
        let place = place(&format!("{name}.{version}"));
        if golden::writes() {
            fs::write(&place, seen).expect("a golden answer");
            continue;
        }
        let kept = fs::read_to_string(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        assert_eq!(seen, kept, "{name} in {version}: BERTH_GOLDEN=write keeps the new answer");
    }
}

/// Compares the answers to requests without a body, by their names.
fn check_all(engine: &Engine, requests: &[(&str, &str, &str)]) {
    for (name, method, path) in requests {
        check(name, |version| answer(engine, version, &Request::new(method, path)));
    }
}

#[test]
fn answers_about_containers_are_those_that_are_kept() {
    let engine = Engine::start();
    let id = engine.create_named("golden", &settled());
    let get = |path: String| {
        let engine = &engine;
        move |version: &str| answer(engine, version, &Request::new("GET", &path))
    };
    check("container-inspect", get(format!("/containers/{id}/json")));
    check("container-list", get("/containers/json?all=1".to_owned()));
    check("container-changes", get(format!("/containers/{id}/changes")));
    check("container-unknown", get("/containers/nosuch/json".to_owned()));
    check("container-top-not-running", get(format!("/containers/{id}/top")));
    let post = |path: String| {
        let engine = &engine;
        move |version: &str| answer(engine, version, &Request::new("POST", &path))
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
        answer(&engine, version, &Request::new("DELETE", "/containers/nosuch"))
    });
    check("container-commit", |version| {
        let path = format!("/commit?container={id}&repo=committed");
        let seen = answer(&engine, version, &Request::new("POST", &path));
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
            let mut seen = answer(engine, version, &Request::new(method, &path));
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
        answer(&engine, version, &Request::new("POST", &format!("/containers/{id}/start")))
    });
    check("running-remove", |version| {
        answer(&engine, version, &Request::new("DELETE", &format!("/containers/{id}")))
    });
    check("running-logs", |version| {
        answer(&engine, version, &Request::new("GET", &format!("/containers/{id}/logs?stdout=1&stderr=1")))
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
    check("events", |version| answer(&engine, version, &Request::new("GET", &path)));
}

#[test]
fn answers_to_create_are_those_that_are_kept() {
    let engine = Engine::start();
    let create = |body: Value| {
        let engine = &engine;
        move |version: &str| answer(engine, version, &Request::json("/containers/create", &body))
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
    check("exec-create", |version| answer(&engine, version, &Request::json(&path, &body)));
    check("exec-unknown", |version| answer(&engine, version, &Request::new("GET", "/exec/nosuch/json")));
    let exec = engine.post_json(&path, &body).expect(201).json()["Id"].as_str().expect("an id").to_owned();
    check("exec-inspect", |version| {
        let mut seen = answer(&engine, version, &Request::new("GET", &format!("/exec/{exec}/json")));
        seen["body"] = kinds(&seen["body"]);
        seen
    });
    check("exec-resize-not-running", |version| {
        answer(&engine, version, &Request::new("POST", &format!("/exec/{exec}/resize?h=1&w=1")))
    });
    check("exec-create-no-command", |version| answer(&engine, version, &Request::json(&path, &json!({}))));
}

#[test]
fn answers_about_images_are_those_that_are_kept() {
    let engine = Engine::start();
    let requests = [
        ("image-list", "GET", "/images/json"),
        ("image-inspect", "GET", "/images/busybox/json"),
        ("image-history", "GET", "/images/busybox/history"),
        ("image-unknown", "GET", "/images/nosuch/json"),
        ("image-tag", "POST", "/images/busybox/tag?repo=copy&tag=1&force=1"),
        ("image-tag-unknown", "POST", "/images/nosuch/tag?repo=copy"),
        ("image-tag-refused", "POST", "/images/busybox/tag?repo=UPPER"),
        ("image-remove-unknown", "DELETE", "/images/nosuch"),
        ("image-push-unknown", "POST", "/images/nosuch/push"),
        ("image-search-no-term", "GET", "/images/search"),
    ];
    check_all(&engine, &requests);
    let _ = engine.delete("/images/copy:1").expect(200);
    check("image-remove", |version| {
        let _ = engine.post("/images/busybox/tag?repo=going").expect(201);
        answer(&engine, version, &Request::new("DELETE", "/images/going"))
    });
    check("build-without-a-dockerfile", |version| answer(&engine, version, &Request::new("POST", "/build")));
}

#[test]
fn answers_about_the_engine_have_the_fields_that_are_kept() {
    let engine = Engine::start();
    for (name, path) in [("info", "/info"), ("version", "/version")] {
        check(name, |version| {
            let mut seen = answer(&engine, version, &Request::new("GET", path));
            seen["body"] = kinds(&seen["body"]);
            seen
        });
    }
    let requests =
        [("ping", "GET", "/_ping"), ("ping-head", "HEAD", "/_ping"), ("unknown-path", "GET", "/nosuch")];
    check_all(&engine, &requests);
}
