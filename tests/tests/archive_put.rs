//! `PUT /containers/(id)/archive`: where files land, what is refused, and that refusal leaves nothing.

use berth_tests::tarball::{self, TAR, entries, joined, raw};
use berth_tests::{Answer, Engine, merged, piped, query, sh, wait};
use serde_json::{Value, json};
use tar::EntryType;

fn put(engine: &Engine, id: &str, parameters: &[(&str, &str)], archive: &[u8]) -> Answer {
    engine.call("PUT", &format!("/containers/{id}/archive{}", query(parameters)), &TAR, archive)
}

/// The content of one file of a container; nothing when it is not there.
fn file(engine: &Engine, id: &str, path: &str) -> Option<String> {
    let path = format!("/containers/{id}/archive{}", query(&[("path", path)]));
    let answer = engine.get(&path);
    if answer.status() != 200 {
        return None;
    }
    let entry = entries(&answer.body).into_values().next()?;
    Some(String::from_utf8_lossy(&entry.content).into_owned())
}

/// A running container that has printed that it is up.
fn up(engine: &Engine, script: &str, more: Value) -> String {
    let id = engine.run(&merged(sh(&format!("{script}; echo up; sleep 600")), more));
    wait::until("its start", || engine.logs(&id).0.contains("up").then_some(()));
    id
}

#[test]
fn files_land_in_containers_of_every_state() {
    let engine = Engine::start();
    let id = engine.create(&sh("cat /tmp/f; echo up; sleep 600"));
    let lands = |content: &str| {
        let answer = put(&engine, &id, &[("path", "/tmp")], &tarball::of(&[("f", content)])).expect(200);
        assert_eq!(answer.text(), "");
        assert_eq!(file(&engine, &id, "/tmp/f").as_deref(), Some(content));
    };
    lands("never started\n");
    engine.start(&id);
    wait::until("its start", || engine.logs(&id).0.contains("up").then_some(()));
    assert!(engine.logs(&id).0.contains("never started"));
    lands("running");
    assert_eq!(engine.exec(&id, &["cat", "/tmp/f"]).stdout, "running");
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    lands("paused");
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    lands("ended");
}

#[test]
fn every_compression_is_known() {
    let engine = Engine::start();
    let id = up(&engine, "true", json!({}));
    for program in ["gzip", "bzip2", "xz", "zstd"] {
        let archive = piped(program, &["-c"], &tarball::of(&[("compressed", program)]));
        let _ = put(&engine, &id, &[("path", "/tmp")], &archive).expect(200);
        assert_eq!(file(&engine, &id, "/tmp/compressed").as_deref(), Some(program));
        // The damage is reported, and the connection and the engine go on.
        let damaged = put(&engine, &id, &[("path", "/tmp")], &archive[..archive.len() / 2]);
        assert_eq!(damaged.status(), 500, "{program}: {}", damaged.text());
    }
}

/// An archive of the file `owned`, of user 1234 and group 1235.
fn owned_archive() -> Vec<u8> {
    let mut owned = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o4755);
    header.set_uid(1234);
    header.set_gid(1235);
    header.set_mtime(1_400_000_000);
    header.set_size(1);
    owned.append_data(&mut header, "owned", &b"x"[..]).expect("an entry");
    owned.into_inner().expect("an archive")
}

#[test]
fn owners_are_root_unless_the_client_wants_them_kept() {
    let engine = Engine::start();
    let id = up(&engine, "true", json!({}));
    let archive = owned_archive();
    for (value, expected) in
        [("", "0:0 4755 1400000000"), ("false", "0:0 4755 1400000000"), ("true", "1234:1235 4755 1400000000")]
    {
        let _ = put(&engine, &id, &[("path", "/tmp"), ("copyUIDGID", value)], &archive).expect(200);
        let seen = engine.exec(&id, &["stat", "-c", "%u:%g %a %Y", "/tmp/owned"]).stdout;
        assert_eq!(seen.trim(), expected, "copyUIDGID={value}");
    }
    for (version, expected) in [("1.28", "0:0"), ("1.29", "1234:1235"), ("1.55", "1234:1235")] {
        let path = format!("/containers/{id}/archive?path=/tmp");
        let _ = engine.at(version).call("PUT", &path, &TAR, &archive).expect(200);
        assert_eq!(
            engine.exec(&id, &["stat", "-c", "%u:%g", "/tmp/owned"]).stdout.trim(),
            expected,
            "{version}"
        );
    }
}

#[test]
fn files_belong_to_the_containers_user_where_the_client_asks_for_it() {
    let engine = Engine::start();
    let newest = engine.at("1.55");
    let archive = owned_archive();
    let put = |id: &str, parameters: &str| {
        newest.call("PUT", &format!("/containers/{id}/archive?path=/tmp{parameters}"), &TAR, &archive)
    };
    for (user, expected) in [
        ("alice", "1000:1000"),
        ("1001", "1001:100"),
        ("4000", "4000:0"),
        ("alice:team", "1000:2000"),
        ("7:8", "7:8"),
    ] {
        let id = up(&engine, "true", json!({ "User": user }));
        for (parameters, expected) in
            [("", "1234:1235"), ("&copyUIDGID=1", expected), ("&copyUIDGID=0", "1234:1235")]
        {
            let _ = put(&id, parameters).expect(200);
            let seen = engine.exec(&id, &["stat", "-c", "%u:%g %a", "/tmp/owned"]).stdout;
            assert_eq!(seen.trim(), format!("{expected} 4755"), "{user} {parameters}");
        }
    }
    // The container's own files name the user, as when it does not run.
    let own = json!({ "User": "bob" });
    let id = engine.create(&merged(sh("stat -c %u:%g /tmp/owned"), own));
    let refused = put(&id, "&copyUIDGID=1").expect(400);
    assert_eq!(refused.message(), "Unable to find user bob");
    let users = tarball::of(&[("passwd", "bob:x:3000:3001::/:/bin/sh\n")]);
    let _ = engine.call("PUT", &format!("/containers/{id}/archive?path=/etc"), &TAR, &users).expect(200);
    let _ = put(&id, "&copyUIDGID=1").expect(200);
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
    assert_eq!(engine.logs(&id).0, "3000:3001\n");
}

#[test]
fn directories_and_others_replace_each_other_only_when_they_may() {
    let engine = Engine::start();
    let running = up(&engine, "true", json!({}));
    let ended = engine.create(&sh("true"));
    for id in [&running, &ended] {
        let laid = tarball::of(&[("d/", ""), ("d/f", "x"), ("file", "y")]);
        let _ = put(&engine, id, &[("path", "/tmp")], &laid).expect(200);
        for value in ["1", "true", "True"] {
            let strict = [("path", "/tmp"), ("noOverwriteDirNonDir", value)];
            let answer = put(&engine, id, &strict, &tarball::of(&[("d", "a file")])).expect(400);
            assert!(answer.text().contains("cannot overwrite directory"), "{}", answer.text());
            let answer = put(&engine, id, &strict, &tarball::of(&[("file/", "")])).expect(400);
            assert!(answer.text().contains("cannot overwrite non-directory"), "{}", answer.text());
            let link = joined(&[raw(EntryType::Symlink, "d", "/etc", b"")]);
            assert_eq!(put(&engine, id, &strict, &link).status(), 400);
            let _ = put(&engine, id, &strict, &tarball::of(&[("file", "z"), ("d/", "")])).expect(200);
        }
        assert_eq!(file(&engine, id, "/tmp/d/f").as_deref(), Some("x"), "the directory is whole");
        assert_eq!(file(&engine, id, "/tmp/file").as_deref(), Some("z"));
        let swapped = tarball::of(&[("d", "now a file"), ("file/", ""), ("file/in", "deep")]);
        let _ = put(&engine, id, &[("path", "/tmp"), ("noOverwriteDirNonDir", "0")], &swapped).expect(200);
        assert_eq!(file(&engine, id, "/tmp/d").as_deref(), Some("now a file"));
        assert_eq!(file(&engine, id, "/tmp/file/in").as_deref(), Some("deep"));
    }
}

#[test]
fn what_is_read_only_is_forbidden_and_stays_as_it_was() {
    let engine = Engine::start();
    let bound = engine.directory().join("bound");
    std::fs::create_dir(&bound).expect("a directory of the host");
    let host = json!({ "Volumes": { "/vol": {} }, "HostConfig": {
        "ReadonlyRootfs": true, "Binds": [format!("{}:/ro:ro", bound.display())] } });
    let running = up(&engine, "true", host.clone());
    let ended = engine.create(&merged(sh("true"), host));
    let one = tarball::of(&[("a", "A")]);
    for id in [&running, &ended] {
        for path in ["/tmp", "/", "/etc", "/ro", "/ro/."] {
            let answer = put(&engine, id, &[("path", path)], &one).expect(403);
            assert!(answer.text().contains("read-only"), "{path}: {}", answer.text());
        }
        let _ = put(&engine, id, &[("path", "/vol")], &one).expect(200);
        assert_eq!(file(&engine, id, "/vol/a").as_deref(), Some("A"));
        assert_eq!(put(&engine, id, &[("path", "/no")], &one).status(), 404);
        assert_eq!(put(&engine, id, &[("path", "/etc/passwd")], &one).status(), 400);
    }
    // Through a writable directory into the read-only mount.
    let through =
        up(&engine, "true", json!({ "HostConfig": { "Binds": [format!("{}:/ro:ro", bound.display())] } }));
    let answer = put(&engine, &through, &[("path", "/")], &tarball::of(&[("ro/a", "A")])).expect(403);
    assert!(answer.text().to_lowercase().contains("read-only"), "{}", answer.text());
    assert_eq!(std::fs::read_dir(&bound).expect("it").count(), 0, "nothing was written to the host");
}

#[test]
fn targets_are_found_inside_the_container() {
    let engine = Engine::start();
    let id = up(
        &engine,
        "mkdir -p /real /tmp/o; ln -s /real /lnk; ln -s nowhere /broken; ln -s /etc/passwd /lf; ln -s ../../../../../../../../tmp/o /out",
        json!({}),
    );
    let one = tarball::of(&[("a", "A")]);
    for path in ["/lnk", "lnk/", "/out"] {
        assert_eq!(put(&engine, &id, &[("path", path)], &one).expect(200).text(), "", "{path}");
    }
    for (path, status, text) in [
        ("/broken", 404, "no such file or directory"),
        ("/no/such", 404, "no such file or directory"),
        ("/etc/passwd", 400, "extraction point is not a directory"),
        ("/etc/passwd/", 400, "extraction point is not a directory"),
        ("/lf", 400, "extraction point is not a directory"),
        ("", 400, "'path' cannot be empty"),
    ] {
        let answer = put(&engine, &id, &[("path", path)], &one);
        assert_eq!(answer.status(), status, "{path}: {}", answer.text());
        assert!(answer.text().contains(text), "{path}: {}", answer.text());
    }
    assert_eq!(file(&engine, &id, "/real/a").as_deref(), Some("A"));
    assert_eq!(file(&engine, &id, "/tmp/o/a").as_deref(), Some("A"));
    // Directories between are made, mounts are written through.
    let deep = tarball::of(&[("x/y/z", "deep")]);
    let _ = put(&engine, &id, &[("path", "/tmp")], &deep).expect(200);
    assert_eq!(engine.exec(&id, &["cat", "/tmp/x/y/z"]).stdout, "deep");
    let _ = put(&engine, &id, &[("path", "/dev/shm")], &one).expect(200);
    assert_eq!(engine.exec(&id, &["cat", "/dev/shm/a"]).stdout, "A");
}

#[test]
fn what_is_no_archive_is_an_error_in_words() {
    let engine = Engine::start();
    let id = up(&engine, "true", json!({}));
    let good = tarball::of(&[("whole", "1"), ("cut", &"2".repeat(2000))]);
    let _ = put(&engine, &id, &[("path", "/tmp")], b"").expect(200);
    for (body, status, text) in [
        (&b"short"[..], 500, "the archive is cut off: unexpected EOF"),
        (&[b'x'; 2048][..], 500, "invalid tar header at byte 0: its checksum is wrong"),
        (b"\x1f\x8b garbage", 500, "cannot decompress the gzip stream: invalid gzip header"),
        (&good[..1700], 500, "the archive is cut off: unexpected EOF"),
        (
            &raw(EntryType::Link, "h", "/nosuch", b"")[..],
            404,
            "cannot link \"h\" to \"nosuch\": no such file or directory",
        ),
    ] {
        let answer = put(&engine, &id, &[("path", "/tmp")], body);
        assert_eq!((answer.status(), answer.text()), (status, format!("{text}\n")));
    }
    assert_eq!(file(&engine, &id, "/tmp/whole").as_deref(), Some("1"), "what came before the cut stays");
    let mut huge = tar::Header::new_gnu();
    huge.set_path("huge").expect("a name");
    huge.set_size(1 << 62);
    huge.set_cksum();
    let refused = put(&engine, &id, &[("path", "/tmp")], &[&huge.as_bytes()[..], &[0; 1024]].concat());
    assert_eq!(refused.status(), 500, "{}", refused.text());
    assert!(engine.exec(&id, &["df", "-k", "/tmp"]).code == 0);
    let _ = put(&engine, &id, &[("path", "/tmp")], &good).expect(200);
}

#[test]
fn a_client_that_stops_sending_holds_nobody_up_for_ever() {
    let engine = Engine::start();
    for (act, path, status) in
        [("POST", "start", 204), ("GET", "archive?path=/tmp/begun", 200), ("DELETE", "?force=1", 204)]
    {
        let id = engine.create(&sh("sleep 600"));
        let archive = tarball::of(&[("begun", "1"), ("rest", &"2".repeat(3_000_000))]);
        let length = archive.len().to_string();
        let headers = [TAR[0], ("Content-Length", length.as_str())];
        let mut slow = engine.connect();
        let put = format!("/v1.20/containers/{id}/archive?path=/tmp");
        slow.request("PUT", &put, &headers, &archive[..2_000_000]).expect("the beginning");
        let begun = engine.data_root().join("containers").join(&id).join("upper/tmp/begun");
        wait::until("the first file", || begun.exists().then_some(()));
        assert_eq!(engine.inspect(&id)["State"]["Running"], false, "inspect waits for nobody");

        let path = format!("/containers/{id}/{path}").replace("/?", "?");
        let answer = engine.call(act, &path, &[], b"");
        assert_eq!(answer.status(), status, "{act} {path}: {}", answer.text());
        let head = slow.read_head().expect("an answer to the slow one");
        let text = slow.read_body("PUT", &head).expect("its text");
        let text = String::from_utf8_lossy(&text);
        assert_eq!(head.status, 500, "{text}");
        assert!(text.contains("did not arrive while others waited"), "{text}");
    }
}

#[test]
fn a_client_that_nobody_waits_for_may_take_its_time() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let archive = tarball::of(&[("begun", "1"), ("rest", &"2".repeat(5_000))]);
    let length = archive.len().to_string();
    let headers = [TAR[0], ("Content-Length", length.as_str())];
    let mut slow = engine.connect();
    let put = format!("/v1.20/containers/{id}/archive?path=/tmp");
    slow.request("PUT", &put, &headers, &archive[..2048]).expect("the beginning");
    std::thread::sleep(std::time::Duration::from_secs(7));
    slow.send(&archive[2048..]).expect("the rest");
    assert_eq!(slow.read_head().expect("an answer").status, 200);
    assert_eq!(file(&engine, &id, "/tmp/rest"), Some("2".repeat(5_000)));
}

#[test]
fn a_small_mount_takes_what_it_has_room_for_again_and_again() {
    let engine = Engine::start();
    let id = up(&engine, "true", json!({ "HostConfig": { "Tmpfs": { "/small": "size=1m" } } }));
    let content = "x".repeat(900_000);
    let archive = tarball::of(&[("f", &content)]);
    for round in 0..3 {
        assert_eq!(put(&engine, &id, &[("path", "/small")], &archive).status(), 200, "round {round}");
    }
    assert_eq!(file(&engine, &id, "/small/f").map(|text| text.len()), Some(content.len()));
    let refused = put(&engine, &id, &[("path", "/small")], &tarball::of(&[("g", &content)])).expect(500);
    assert!(refused.text().contains("as much as is free"), "{}", refused.text());
    let larger = tarball::of(&[("f", &"y".repeat(1_100_000))]);
    assert_eq!(put(&engine, &id, &[("path", "/small")], &larger).status(), 500);
    assert_eq!(
        file(&engine, &id, "/small/f").as_deref(),
        Some(content.as_str()),
        "a refused file replaces nothing"
    );
    engine.remove(&id);
}

#[test]
fn nothing_is_written_where_the_source_of_a_mount_is_gone() {
    let engine = Engine::start();
    let source = engine.directory().join("source");
    std::fs::create_dir(&source).expect("a directory");
    let binds = json!({ "HostConfig": { "Binds": [format!("{}:/mnt", source.display())] } });
    let id = engine.run(&merged(sh("true"), binds));
    assert_eq!(engine.wait(&id), 0);
    std::fs::remove_dir(&source).expect("removed");
    let archive = tarball::of(&[("hidden", "x")]);
    for path in ["/mnt", "/mnt/", "mnt"] {
        let refused = put(&engine, &id, &[("path", path)], &archive).expect(500).text();
        let place = source.display();
        assert_eq!(
            refused,
            format!("cannot write to /mnt: {place}, which is mounted at /mnt, is not there\n")
        );
    }
    let refused =
        put(&engine, &id, &[("path", "/")], &tarball::of(&[("mnt/hidden", "x")])).expect(403).text();
    assert!(refused.to_lowercase().contains("read-only"), "{refused}");
    let _ = put(&engine, &id, &[("path", "/")], &tarball::of(&[("seen", "x")])).expect(200);
    std::fs::create_dir(&source).expect("a directory");
    assert_eq!(file(&engine, &id, "/mnt/hidden"), None);
    assert_eq!(file(&engine, &id, "/seen").as_deref(), Some("x"));
    let changes = engine.get(&format!("/containers/{id}/changes")).expect(200).text();
    assert!(!changes.contains("hidden"), "{changes}");
}
