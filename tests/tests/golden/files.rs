//! Files of containers and images as archives.

use berth_tests::golden::{Request, answer};
use berth_tests::{Engine, tarball};
use serde_json::json;

use crate::{check, check_all};

#[test]
fn answers_about_a_containers_files_are_those_that_are_kept() {
    let engine = Engine::start();
    engine.import("small", &tarball::of(&[("etc/name", "content\n"), ("program", "")]));
    let id = engine.create_named("golden", &json!({ "Image": "small", "Cmd": ["/program"] }));
    let archive = |path: &str| format!("/containers/{id}/archive?path={path}");
    check_all(
        &engine,
        &[
            ("container-ps", "GET", "/containers/ps?all=1"),
            ("archive-head", "HEAD", &archive("/etc/name")),
            ("archive-head-missing", "HEAD", &archive("/nosuch")),
            ("archive-get", "GET", &archive("/etc/name")),
            ("archive-get-missing", "GET", &archive("/nosuch")),
            ("archive-get-no-path", "GET", &format!("/containers/{id}/archive")),
            ("archive-get-unknown", "GET", "/containers/nosuch/archive?path=/"),
            ("export", "GET", &format!("/containers/{id}/export")),
            ("export-unknown", "GET", "/containers/nosuch/export"),
        ],
    );
    let file = tarball::of(&[("put", "content\n")]);
    for (name, path) in [
        ("archive-put", archive("/etc")),
        ("archive-put-on-a-file", archive("/etc/name")),
        ("archive-put-missing", archive("/nosuch")),
    ] {
        check(name, |version| {
            let mut request = Request::archive(&path, &file);
            request.set_method("PUT");
            answer(&engine, version, &request)
        });
    }
    let copy = format!("/containers/{id}/copy");
    for (name, path, resource) in [
        ("copy", copy.as_str(), "/etc/name"),
        ("copy-missing", &copy, "/nosuch"),
        ("copy-unknown", "/containers/nosuch/copy", "/etc"),
    ] {
        check(name, |version| {
            answer(&engine, version, &Request::json(path, &json!({ "Resource": resource })))
        });
    }
    engine.remove(&id);
    let _ = engine.delete("/images/small").expect(200);
}

#[test]
fn answers_about_images_as_archives_are_those_that_are_kept() {
    let engine = Engine::start();
    engine.import("small", &tarball::of(&[("name", "content\n")]));
    check_all(
        &engine,
        &[
            ("image-save", "GET", "/images/small/get"),
            ("image-save-unknown", "GET", "/images/nosuch/get"),
            ("image-save-several", "GET", "/images/get?names=small&names=small:latest"),
            ("image-save-several-unknown", "GET", "/images/get?names=small&names=nosuch"),
        ],
    );
    let saved = engine.get("/images/small/get").expect(200).body;
    check("image-load", |version| answer(&engine, version, &Request::archive("/images/load", &saved)));
    check("image-load-nothing", |version| {
        answer(&engine, version, &Request::archive("/images/load", &tarball::of(&[("a", "b")])))
    });
    check("image-import", |version| {
        let path = "/images/create?fromSrc=-&repo=imported";
        let seen = answer(&engine, version, &Request::archive(path, &tarball::of(&[("a", "b")])));
        let _ = engine.delete("/images/imported").expect(200);
        seen
    });
    let _ = engine.delete("/images/small").expect(200);
}
