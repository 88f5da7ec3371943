//! Containers and images that are removed while their files are read: a success is complete, and a failure reports
//! that the container is gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_tests::tarball::{self, TAR, entries};
use berth_tests::{Answer, Engine, sh, wait};
use serde_json::json;
use tar::EntryType;

/// More than fits into all buffers between the engine and a client that does not read.
const FILES: usize = 2000;
const LENGTH: usize = 4096;

/// An archive of many files in one directory.
fn many(directory: &str) -> Vec<u8> {
    let content = "x".repeat(LENGTH);
    let names: Vec<String> = (0..FILES).map(|number| format!("{directory}/f{number}")).collect();
    tarball::of(&names.iter().map(|name| (name.as_str(), content.as_str())).collect::<Vec<_>>())
}

fn put(engine: &Engine, id: &str, archive: &[u8]) {
    let _ = engine.call("PUT", &format!("/containers/{id}/archive?path=/"), &TAR, archive).expect(200);
}

/// How many whole files an archive has beneath a directory.
fn whole(archive: &[u8], directory: &str) -> usize {
    let prefix = format!("{directory}/f");
    let files: BTreeMap<_, _> = entries(archive);
    let is_whole = |(name, file): &(&String, &tarball::Entry)| {
        name.trim_start_matches('/').starts_with(&prefix) && file.content.len() == LENGTH
    };
    files.iter().filter(is_whole).count()
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

/// Waits until nothing waits to be deleted.
fn until_deleted(engine: &Engine) {
    let trash = engine.data_root().join("trash");
    wait::until("the deletion of what was removed", || is_empty(&trash).then_some(()));
}

#[test]
fn what_is_being_read_is_read_to_its_end() {
    let engine = Engine::start();
    let trash = engine.data_root().join("trash");
    for path in ["export", "archive?path=/"] {
        engine.import("lower", &many("below"));
        let id = engine.create(&json!({ "Image": "lower", "Cmd": ["true"] }));
        put(&engine, &id, &many("own"));
        let (head, mut connection) = engine.open("GET", &format!("/containers/{id}/{path}"), &[], b"");
        assert_eq!(head.status, 200);
        let _ = engine.delete(&format!("/containers/{id}")).expect(204);
        let _ = engine.get(&format!("/containers/{id}/json")).expect(404);
        let _ = engine.delete("/images/lower").expect(200);
        assert!(trash.join(&id).join("upper/own/f0").exists(), "its files wait for their reader");
        let body = connection.read_body("GET", &head).expect("the rest");
        assert_eq!((whole(&body, "own"), whole(&body, "below")), (FILES, FILES), "{path}");
        drop(connection);
        until_deleted(&engine);
    }
}

#[test]
fn a_volume_that_goes_fails_what_is_read_of_it_and_nothing_else() {
    let engine = Engine::start();
    let file = |name: String| tarball::raw(EntryType::Regular, &name, "", &[b'x'; LENGTH]);
    let mut image = vec![tarball::raw(EntryType::Symlink, "link", "real", b"")];
    for directory in ["own", "real/data"] {
        image.extend((0..FILES).map(|number| file(format!("{directory}/f{number}"))));
    }
    engine.import("two", &tarball::joined(&image));

    for (path, prefix, is_of_the_volume) in
        [("/own", "own", false), ("/own/.", ".", false), ("/real/data", "data", true), ("/", "", true)]
    {
        let settings = json!({ "Image": "two", "Cmd": ["true"], "Volumes": { "/link/data": {} } });
        let id = engine.create(&settings);
        let (head, mut connection) =
            engine.open("GET", &format!("/containers/{id}/archive?path={path}"), &[], b"");
        assert_eq!(head.status, 200);
        let _ = engine.delete(&format!("/containers/{id}?v=1")).expect(204);
        let body = connection.read_body("GET", &head);
        assert_eq!(body.is_err(), is_of_the_volume, "{path}");
        if let Ok(body) = body {
            assert_eq!(whole(&body, prefix), FILES, "{path}");
        }
    }
    let _ = engine.delete("/images/two").expect(200);
    until_deleted(&engine);
}

#[test]
fn a_client_that_leaves_gives_the_files_up() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    put(&engine, &id, &many("own"));
    let (head, connection) = engine.open("GET", &format!("/containers/{id}/export"), &[], b"");
    assert_eq!(head.status, 200);
    let _ = engine.delete(&format!("/containers/{id}")).expect(204);
    drop(connection);
    until_deleted(&engine);
}

#[test]
fn a_commit_has_all_or_fails() {
    let engine = Engine::start();
    let archive = many("own");
    let temporary = engine.data_root().join("images/temporary");
    for _ in 0..3 {
        let id = engine.create(&sh("true"));
        put(&engine, &id, &archive);
        let over = AtomicBool::new(false);
        let committed: Answer = std::thread::scope(|scope| {
            let committing = scope.spawn(|| {
                let answer = engine.post_json(&format!("/commit?container={id}&repo=made"), &json!({}));
                over.store(true, Ordering::SeqCst);
                answer
            });
            let is_under_way = || over.load(Ordering::SeqCst) || !is_empty(&temporary);
            wait::until("the commit", || is_under_way().then_some(()));
            let _ = engine.delete(&format!("/containers/{id}")).expect(204);
            committing.join().expect("the commit")
        });
        if committed.status() == 201 {
            let made = engine.create(&json!({ "Image": "made", "Cmd": ["true"] }));
            let body = engine.get(&format!("/containers/{made}/export")).expect(200).body;
            assert_eq!(whole(&body, "own"), FILES);
            engine.remove(&made);
            let _ = engine.delete("/images/made").expect(200);
        } else {
            assert_eq!(committed.expect(404).text(), format!("no such id: {id}\n"));
        }
    }
    until_deleted(&engine);
}

#[test]
fn a_removal_meanwhile_is_no_fault_of_the_engine() {
    let engine = Engine::start();
    let small = tarball::of(&[("f", "x")]);
    for _ in 0..10 {
        let id = engine.create(&sh("true"));
        put(&engine, &id, &small);
        let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
            let done = if path.starts_with("/commit") { 201 } else { 200 };
            loop {
                let answer = engine.call(method, path, headers, body);
                if answer.status() != done {
                    assert_eq!(answer.expect(404).text(), format!("no such id: {id}\n"), "{method} {path}");
                    break;
                }
            }
            let _ = engine.call(method, path, headers, body).expect(404);
        };
        let archive = format!("/containers/{id}/archive?path=/");
        let commit = format!("/commit?container={id}");
        std::thread::scope(|scope| {
            scope.spawn(|| ask("GET", &format!("/containers/{id}/export"), &[], b""));
            scope.spawn(|| ask("GET", &format!("/containers/{id}/changes"), &[], b""));
            scope.spawn(|| ask("GET", &format!("/containers/{id}/archive?path=/f"), &[], b""));
            scope.spawn(|| ask("PUT", &archive, &TAR, &small));
            scope.spawn(|| ask("POST", &commit, &[("Content-Type", "application/json")], b"{}"));
            let _ = engine.delete(&format!("/containers/{id}")).expect(204);
        });
    }
    until_deleted(&engine);
    for image in engine.get("/images/json").expect(200).json().as_array().expect("a list") {
        if image["RepoTags"] != json!(["busybox:latest"]) {
            let _ = engine.delete(&format!("/images/{}?force=1", image["Id"].as_str().expect("an id")));
        }
    }
}
