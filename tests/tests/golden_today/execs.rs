//! Execs.

use berth_tests::{Engine, sh};
use serde_json::json;

use crate::{check_all, check_kinds, check_posts};

#[test]
fn answers_about_execs() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let path = format!("/containers/{id}/exec");
    let body = json!({ "Cmd": ["true"], "AttachStdout": true, "Env": ["A=b"], "WorkingDir": "/tmp" });
    let exec = engine.at("1.55").post_json(&path, &body).expect(201).json()["Id"].clone();
    let exec = exec.as_str().expect("an id");
    check_posts(
        &engine,
        &[
            ("exec-create", &path, body),
            ("exec-create-no-command", &path, json!({})),
            ("exec-create-unknown-container", "/containers/nosuch/exec", json!({ "Cmd": ["true"] })),
            ("exec-start-unknown", "/exec/nosuch/start", json!({ "Detach": true })),
        ],
    );
    check_all(
        &engine,
        &[
            ("exec-unknown", "GET", "/exec/nosuch/json"),
            ("exec-resize-not-running", "POST", &format!("/exec/{exec}/resize?h=1&w=1")),
        ],
    );
    check_kinds(&engine, "exec-inspect", &format!("/exec/{exec}/json"));
}
