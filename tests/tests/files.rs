//! Files in and out of containers: archive, copy, export, changes.

use std::collections::BTreeMap;
use std::io::Read as _;

use berth_tests::{Engine, rootfs, sh};

const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

/// The contents of an archive by name.
fn unpack(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        files.insert(name.trim_end_matches('/').to_owned(), content);
    }
    files
}

fn archive_of(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    rootfs::append(&mut archive, name, tar::EntryType::Regular, 0o640, content);
    archive.into_inner().expect("an archive")
}

#[test]
fn what_is_put_in_comes_out_again() {
    let engine = Engine::start();
    let stopped = engine.create(&sh("true"));
    let running = engine.run(&sh("sleep 600"));
    for id in [stopped, running] {
        let archive = archive_of("f", b"content\n");
        let put = engine.call("PUT", &format!("/containers/{id}/archive?path=/tmp"), &TAR, &archive);
        assert_eq!(put.expect(200).text(), "");
        let got = engine.get(&format!("/containers/{id}/archive?path=/tmp/f")).expect(200);
        assert_eq!(got.head.header("content-type"), Some("application/x-tar"));
        assert!(got.head.header("x-docker-container-path-stat").is_some_and(|stat| stat.starts_with("eyJ")));
        assert_eq!(unpack(&got.body).get("f").map(Vec::as_slice), Some(&b"content\n"[..]));
        let head =
            engine.call("HEAD", &format!("/containers/{id}/archive?path=/tmp/f"), &[], b"").expect(200);
        assert!(head.body.is_empty() && head.head.header("x-docker-container-path-stat").is_some());
        let copied = engine.call(
            "POST",
            &format!("/containers/{id}/copy"),
            &[("Content-Type", "application/json")],
            br#"{"Resource":"/tmp"}"#,
        );
        assert!(unpack(&copied.expect(200).body).contains_key("tmp/f"));
        engine.remove(&id);
    }
}

#[test]
fn bad_requests_for_files_have_their_status() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    for (method, query, status) in [
        ("GET", "", 400),
        ("HEAD", "?path=", 400),
        ("PUT", "", 400),
        ("GET", "?path=/no/such", 404),
        ("HEAD", "?path=/no/such", 404),
        ("PUT", "?path=/no/such", 404),
        ("GET", "?path=/etc/passwd/", 400),
        ("PUT", "?path=/etc/passwd", 400),
    ] {
        let answer = engine.call(method, &format!("/containers/{id}/archive{query}"), &TAR, b"");
        assert_eq!(answer.status(), status, "{method} {query}: {}", answer.text());
    }
    let unknown = engine.get("/containers/nosuch/archive?path=/").expect(404);
    assert_eq!(unknown.text(), "no such id: nosuch\n");
    let json = [("Content-Type", "application/json")];
    let copy = |body: &[u8]| engine.call("POST", &format!("/containers/{id}/copy"), &json, body).status();
    assert_eq!((copy(b"{}"), copy(br#"{"Resource":"/no/such"}"#), copy(b"{")), (500, 500, 500));
}

#[test]
fn changes_and_export_show_what_the_container_did() {
    let engine = Engine::start();
    let untouched = engine.create(&sh("true"));
    assert_eq!(engine.get(&format!("/containers/{untouched}/changes")).expect(200).text(), "null\n");
    let id = engine.run(&sh("echo new > /added; rm /etc/hostname; echo x >> /etc/passwd"));
    assert_eq!(engine.wait(&id), 0);
    let changes = engine.get(&format!("/containers/{id}/changes")).expect(200).json();
    let kind = |path: &str| {
        let all = changes.as_array().expect("a list");
        all.iter().find(|change| change["Path"] == path).map(|change| change["Kind"].clone())
    };
    assert_eq!(kind("/added"), Some(1.into()), "{changes}");
    assert_eq!(kind("/etc/passwd"), Some(0.into()), "{changes}");
    let exported = engine.get(&format!("/containers/{id}/export")).expect(200);
    assert_eq!(exported.head.header("content-type"), Some("application/octet-stream"));
    let files = unpack(&exported.body);
    assert_eq!(files.get("added").map(Vec::as_slice), Some(&b"new\n"[..]));
    assert!(files.contains_key("bin/busybox"));
    for path in ["changes", "export"] {
        let unknown = engine.get(&format!("/containers/nosuch/{path}")).expect(404);
        assert_eq!(unknown.text(), "no such id: nosuch\n");
    }
}
