//! `GET /containers/(id)/changes`: what a container made of its image's files.

use std::collections::BTreeMap;

use berth_tests::{Engine, merged, rootfs, sh, wait};
use serde_json::{Value, json};
use tar::EntryType;

/// The kinds by path.
fn changes(engine: &Engine, id: &str) -> BTreeMap<String, u64> {
    let answer = engine.get(&format!("/containers/{id}/changes")).expect(200).json();
    let all = answer.as_array().cloned().unwrap_or_default();
    let one = |change: &Value| {
        assert_eq!(change.as_object().map(serde_json::Map::len), Some(2), "{change}");
        (change["Path"].as_str().expect("a path").to_owned(), change["Kind"].as_u64().expect("a number"))
    };
    let found: BTreeMap<_, _> = all.iter().map(one).collect();
    assert_eq!(found.len(), all.len(), "each path once: {answer}");
    found
}

/// An image with files to be changed.
fn image(engine: &Engine) {
    let mut archive = tar::Builder::new(rootfs::busybox().to_vec());
    // Behind the last entry of the base: its end is cut off.
    let base = archive.into_inner().expect("bytes");
    let end = base.len() - base.iter().rev().take_while(|byte| **byte == 0).count();
    archive = tar::Builder::new(base[..end.next_multiple_of(512)].to_vec());
    for name in ["data", "data/dir", "data/dir/sub", "data/gone", "data/opaque", "data/typed", "data/mode"] {
        rootfs::append(&mut archive, name, EntryType::Directory, 0o755, b"");
    }
    for name in [
        "data/file",
        "data/kept",
        "data/replaced",
        "data/dir/sub/f",
        "data/gone/a",
        "data/gone/b",
        "data/opaque/old",
        "data/opaque/same",
        "data/typed/in",
        "data/chmod",
        "data/chown",
        "data/touch",
        "data/hard",
        "data/moved",
    ] {
        rootfs::append(&mut archive, name, EntryType::Regular, 0o644, b"content");
    }
    engine.import("files", &archive.into_inner().expect("the archive"));
}

#[test]
fn kinds_are_exact_running_and_ended() {
    let engine = Engine::start();
    image(&engine);
    let script = "cd /data; echo new > added; mkdir newdir; echo x > newdir/in; echo more >> file
        rm replaced; echo other > replaced; rm -r gone; rm -r opaque; mkdir opaque; echo x > opaque/same; echo y > opaque/new
        rm -r typed; echo now a file > typed; chmod 600 chmod; chown 1:1 chown; touch -d 2001-01-01 touch
        ln hard hard2; mv moved dir/sub/moved; chmod 700 mode; cat kept > /dev/null; ln -s file link; mkfifo pipe
        echo done; sleep 600";
    let volume = json!({ "Image": "files", "Volumes": { "/data/volume": {} } });
    let id = engine.run(&merged(sh(script), volume));
    wait::until("its work", || engine.logs(&id).0.contains("done").then_some(()));
    let _ = engine.exec(&id, &["sh", "-c", "echo x > /data/volume/v; echo y > /dev/shm/z"]);
    let expected: BTreeMap<String, u64> = [
        ("/data", 0),
        ("/data/added", 1),
        ("/data/newdir", 1),
        ("/data/newdir/in", 1),
        ("/data/file", 0),
        ("/data/replaced", 0),
        ("/data/gone", 2),
        ("/data/opaque", 0),
        ("/data/opaque/old", 2),
        ("/data/opaque/same", 0),
        ("/data/opaque/new", 1),
        ("/data/typed", 0),
        ("/data/chmod", 0),
        ("/data/chown", 0),
        ("/data/touch", 0),
        ("/data/hard2", 1),
        ("/data/moved", 2),
        ("/data/dir", 0),
        ("/data/dir/sub", 0),
        ("/data/dir/sub/moved", 1),
        ("/data/mode", 0),
        ("/data/link", 1),
        ("/data/pipe", 1),
    ]
    .map(|(path, kind)| (path.to_owned(), kind))
    .into();
    let hard = |mut found: BTreeMap<String, u64>| {
        // A new hard link to a file copies the file up: nothing else of it changed, so it need not be listed.
        found.remove("/data/hard");
        found
    };
    assert_eq!(hard(changes(&engine, &id)), expected, "running");
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    assert_eq!(hard(changes(&engine, &id)), expected, "paused");
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    assert_eq!(hard(changes(&engine, &id)), expected, "ended");
    engine.remove(&id);
    let _ = engine.delete("/images/files").expect(200);
}

#[test]
fn what_the_engine_mounts_is_no_change() {
    let engine = Engine::start();
    let untouched = engine.create(&sh("true"));
    assert_eq!(engine.get(&format!("/containers/{untouched}/changes")).expect(200).text(), "null\n");
    let bound = engine.directory().join("bound");
    std::fs::create_dir(&bound).expect("a directory of the host");
    let mounts = json!({
        "Volumes": { "/new/volume": {} },
        "HostConfig": { "Binds": [format!("{}:/some/where", bound.display())] },
    });
    let script =
        "echo x > /new/volume/a; echo x > /some/where/b; echo x >> /etc/hosts; hostname; echo x > /dev/shm/c";
    let id = engine.run(&merged(sh(script), mounts));
    let _ = engine.wait(&id);
    assert_eq!(changes(&engine, &id), BTreeMap::new());
    let removed = engine.run(&sh("rm /etc/profile; rm /etc/shadow"));
    let _ = engine.wait(&removed);
    let expected: BTreeMap<String, u64> = [("/etc", 0), ("/etc/profile", 2), ("/etc/shadow", 2)]
        .map(|(path, kind)| (path.to_owned(), kind))
        .into();
    assert_eq!(changes(&engine, &removed), expected);
    assert_eq!(engine.get("/containers/nosuch/changes").expect(404).text(), "no such id: nosuch\n");
}
