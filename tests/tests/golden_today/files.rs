//! Files of containers and images as archives, and streams.

use berth_tests::golden::{Request, answer};
use berth_tests::{Engine, sh, tarball};
use serde_json::json;

use crate::{check, check_all, check_posts};

#[test]
fn answers_about_a_containers_files_and_streams() {
    let engine = Engine::start();
    engine.import("small", &tarball::of(&[("etc/name", "content\n"), ("program", "")]));
    let id = engine.create_named("golden", &json!({ "Image": "small", "Cmd": ["/program"] }));
    let archive = |path: &str| format!("/containers/{id}/archive?path={path}");
    check_all(
        &engine,
        &[
            ("archive-head", "HEAD", &archive("/etc/name")),
            ("archive-get", "GET", &archive("/etc/name")),
            ("export", "GET", &format!("/containers/{id}/export")),
            ("export-unknown", "GET", "/containers/nosuch/export"),
            ("websocket-unknown", "GET", "/containers/nosuch/attach/ws?stream=1&stdout=1"),
            ("websocket-no-upgrade", "GET", &format!("/containers/{id}/attach/ws?stream=1&stdout=1")),
            ("container-ps", "GET", "/containers/ps?all=1"),
            ("restart-unknown", "POST", "/containers/nosuch/restart"),
            ("checkpoint-create", "POST", &format!("/containers/{id}/checkpoints")),
            ("checkpoint-remove", "DELETE", &format!("/containers/{id}/checkpoints/nosuch")),
        ],
    );
    check("archive-put", |version| {
        let path = archive("/etc");
        let mut request = Request::archive(&path, &tarball::of(&[("put", "content\n")]));
        request.set_method("PUT");
        answer(&engine, version, &request)
    });
    let copy = format!("/containers/{id}/copy");
    check_posts(&engine, &[("copy", &copy, json!({ "Resource": "/etc/name" }))]);
    engine.remove(&id);
    let _ = engine.delete("/images/small").expect(200);
    let running = engine.run(&sh("exec sleep 600"));
    check_all(&engine, &[("restart", "POST", &format!("/containers/{running}/restart?t=0"))]);
    check("exec-start", |version| {
        let exec = engine.exec_create(&running, &json!({ "Cmd": ["echo", "said"], "AttachStdout": true }));
        answer(&engine, version, &Request::json(&format!("/exec/{exec}/start"), &json!({})))
    });
}

#[test]
fn answers_about_images_as_archives() {
    let engine = Engine::start();
    engine.import("small", &tarball::of(&[("name", "content\n")]));
    check_all(
        &engine,
        &[
            ("image-save", "GET", "/images/small/get"),
            ("image-save-several", "GET", "/images/get?names=small&names=small:latest"),
            ("image-save-several-unknown", "GET", "/images/get?names=small&names=nosuch"),
        ],
    );
    let _ = engine.delete("/images/small").expect(200);
}
