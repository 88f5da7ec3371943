//! Streams of containers and execs, and what starts again.

use berth_tests::golden::{Request, answer};
use berth_tests::{Engine, sh};
use serde_json::json;

use crate::{check, check_all};

#[test]
fn answers_about_streams_are_those_that_are_kept() {
    let engine = Engine::start();
    let ended = engine.run(&sh("echo said; echo wrong >&2"));
    assert_eq!(engine.wait(&ended), 0);
    check_all(
        &engine,
        &[
            ("attach-to-the-log", "POST", &format!("/containers/{ended}/attach?logs=1&stdout=1")),
            ("attach-unknown", "POST", "/containers/nosuch/attach?stream=1&stdout=1"),
            ("websocket-no-upgrade", "GET", &format!("/containers/{ended}/attach/ws?stream=1&stdout=1")),
            ("websocket-unknown", "GET", "/containers/nosuch/attach/ws?stream=1&stdout=1"),
            ("restart-unknown", "POST", "/containers/nosuch/restart"),
        ],
    );
    let running = engine.run(&sh("exec sleep 600"));
    check_all(&engine, &[("restart", "POST", &format!("/containers/{running}/restart?t=0"))]);
    let start = |version: &str, detach: bool| {
        let body = json!({ "Cmd": ["echo", "said"], "AttachStdout": true });
        let exec = engine.exec_create(&running, &body);
        let path = format!("/exec/{exec}/start");
        answer(&engine, version, &Request::json(&path, &json!({ "Detach": detach })))
    };
    check("exec-start", |version| start(version, false));
    check("exec-start-detached", |version| start(version, true));
    check("exec-start-unknown", |version| {
        answer(&engine, version, &Request::json("/exec/nosuch/start", &json!({})))
    });
}
