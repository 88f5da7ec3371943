//! `HEAD` and `GET /containers/(id)/archive`: what a path is, and all that is below it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_tests::tarball::{self, entries, names};
use berth_tests::{Answer, Engine, merged, query, sh, wait};
use rustix::fs::FileType;
use serde_json::{Value, json};
use tar::EntryType;

/// The bits of Go's `os.FileMode`.
const DIRECTORY: u64 = 1 << 31;
const LINK: u64 = 1 << 27;
const DEVICE: u64 = 1 << 26;
const PIPE: u64 = 1 << 25;
const SOCKET: u64 = 1 << 24;
const SETUID: u64 = 1 << 23;
const SETGID: u64 = 1 << 22;
const CHARACTER: u64 = 1 << 21;
const STICKY: u64 = 1 << 20;

/// Things of all kinds in /w.
const TREE: &str = "mkdir -p /w/d/sub /w/sg; echo one > /w/d/f; echo deep > /w/d/sub/g; echo top > /w/file
chmod 640 /w/file; touch -d '2014-02-27 20:51:23' /w/file; ln -s file /w/lnk; ln -s /w/d /w/dlnk
ln -s ../../../../../../../../etc/hostname /w/esc; ln -s /nowhere /w/dangling; ln -s lnk /w/lnk2
ln -s loop /w/loop; mkfifo /w/fifo; chmod 1777 /w/d/sub; cp /w/file /w/suid; chmod 4755 /w/suid
chmod 2750 /w/sg; mknod /w/null c 1 3; mknod /w/block b 7 0; : > /w/empty";

fn archive(engine: &Engine, method: &str, id: &str, path: &str) -> Answer {
    engine.call(method, &format!("/containers/{id}/archive{}", query(&[("path", path)])), &[], b"")
}

fn get(engine: &Engine, id: &str, path: &str) -> Vec<u8> {
    archive(engine, "GET", id, path).expect(200).body
}

/// The content of the header, from both methods.
fn stat(engine: &Engine, id: &str, path: &str) -> Value {
    let of = |method: &str| -> Value {
        let answer = archive(engine, method, id, path).expect(200);
        let field = answer.head.header("x-docker-container-path-stat").expect("the field");
        serde_json::from_slice(&STANDARD.decode(field).expect("base64")).expect("JSON")
    };
    let head = of("HEAD");
    assert_eq!(head, of("GET"), "{path}");
    head
}

/// A container that ended and left the tree.
fn tree(engine: &Engine) -> String {
    let id = engine.run(&sh(TREE));
    assert_eq!(engine.wait(&id), 0);
    // No program of busybox makes one that stays.
    let socket = engine.data_root().join("containers").join(&id).join("upper/w/socket");
    rustix::fs::mknodat(rustix::fs::CWD, socket, FileType::Socket, rustix::fs::Mode::from_raw_mode(0o755), 0)
        .expect("a socket");
    id
}

#[test]
fn the_header_tells_what_a_path_is() {
    let engine = Engine::start();
    let id = tree(&engine);
    let file = stat(&engine, &id, "/w/file");
    let expected = json!({
        "name": "file", "size": 4, "mode": 0o640, "mtime": "2014-02-27T20:51:23Z", "linkTarget": ""
    });
    assert_eq!(file, expected);
    for (path, mode) in [
        ("/w/d", DIRECTORY | 0o755),
        ("/w/d/sub", DIRECTORY | STICKY | 0o777),
        ("/w/sg", DIRECTORY | SETGID | 0o750),
        ("/w/suid", SETUID | 0o755),
        ("/w/fifo", PIPE | 0o644),
        ("/w/null", DEVICE | CHARACTER | 0o644),
        ("/w/block", DEVICE | 0o644),
        ("/w/lnk", LINK | 0o777),
    ] {
        assert_eq!(stat(&engine, &id, path)["mode"], mode, "{path}");
    }
    for (path, name) in [
        ("/", "/"),
        ("/.", "."),
        ("/w/d/", "d"),
        ("/w/d/.", "."),
        ("w//d", "d"),
        ("/w/../w/./d", "d"),
        ("../../w/file", "file"),
        ("/w/dlnk/f", "f"),
        ("/w/dlnk/", "dlnk"),
        ("/w/d/..", "w"),
    ] {
        assert_eq!(stat(&engine, &id, path)["name"], name, "{path}");
    }
    for (path, target) in [
        ("/w/lnk", "/w/file"),
        ("/w/lnk2", "/w/file"),
        ("/w/dlnk", "/w/d"),
        ("/w/esc", "/etc/hostname"),
        ("/w/dangling", "/nowhere"),
        ("/w/dlnk/../lnk", "/w/file"),
    ] {
        assert_eq!(stat(&engine, &id, path)["linkTarget"], target, "{path}");
    }
    let mode = stat(&engine, &id, "/w/dlnk/")["mode"].clone();
    assert_eq!(mode, DIRECTORY | 0o755, "a slash follows the link");
    assert_eq!(stat(&engine, &id, "/w/socket")["mode"], SOCKET | 0o755);
}

#[test]
fn a_directory_comes_below_its_own_name_or_as_its_content() {
    let engine = Engine::start();
    let id = tree(&engine);
    for path in ["/w/d", "/w/d/", "w/d", "/w/./d", "/w/sg/../d"] {
        assert_eq!(names(&get(&engine, &id, path)), ["d", "d/f", "d/sub", "d/sub/g"], "{path}");
    }
    assert_eq!(names(&get(&engine, &id, "/w/dlnk/")), ["dlnk", "dlnk/f", "dlnk/sub", "dlnk/sub/g"]);
    for path in ["/w/d/.", "/w/dlnk/."] {
        assert_eq!(names(&get(&engine, &id, path)), [".", "./f", "./sub", "./sub/g"], "{path}");
    }
    let all = names(&get(&engine, &id, "/"));
    assert!(all.contains(&"/w/d/f".to_owned()) || all.contains(&"w/d/f".to_owned()), "{all:?}");
    let whole = entries(&get(&engine, &id, "/w"));
    let kind = |name: &str| whole.get(name).map(|entry| entry.kind);
    assert_eq!(kind("w/fifo"), Some(EntryType::Fifo));
    assert_eq!((kind("w/null"), kind("w/block")), (Some(EntryType::Char), Some(EntryType::Block)));
    assert_eq!(whole["w/lnk"].link.as_deref(), Some("file"));
    assert_eq!((whole["w/suid"].mode, whole["w/d/sub"].mode), (0o4755, 0o1777));
    assert_eq!((whole["w/file"].time, whole["w/file"].owner), (1_393_534_283, (0, 0)));
    assert_eq!(kind("w/socket"), None, "a tar cannot hold a socket");
    for (path, link) in [("/w/lnk", "file"), ("/w/dangling", "/nowhere"), ("/w/loop", "loop")] {
        if path != "/w/loop" {
            let alone = entries(&get(&engine, &id, path));
            assert_eq!(alone.values().next().expect("it").link.as_deref(), Some(link), "{path}");
            assert_eq!(alone.len(), 1);
        }
    }
}

#[test]
fn neither_links_nor_dots_lead_out() {
    let engine = Engine::start();
    let secret = engine.directory().join("secret");
    std::fs::write(&secret, "host").expect("a file of the host");
    let secret = secret.display().to_string();
    let script = "ln -s ../../../../../../../../../../ /up; ln -s / /abs; ln -s /proc/1/root /magic";
    let stopped = engine.run(&sh(script));
    assert_eq!(engine.wait(&stopped), 0);
    let running = engine.run(&sh(&format!("{script}; echo ready; sleep 600")));
    wait::until("the links", || engine.logs(&running).0.contains("ready").then_some(()));
    // The magic links of proc(5) are not followed; an ended container has no /proc.
    for (id, of_magic_links) in [(&stopped, 404), (&running, 500)] {
        for path in ["/../../../../etc/passwd", "/up/etc/passwd", "/abs/etc/passwd", "../etc/passwd"] {
            let found = entries(&get(&engine, id, path));
            assert!(String::from_utf8_lossy(&found["passwd"].content).contains("alice"), "{path}");
        }
        for (prefix, status) in [
            ("/up", 404),
            ("/../../../..", 404),
            ("/abs", 404),
            ("/magic", of_magic_links),
            ("/proc/self/root", 404),
            ("/proc/1/cwd", of_magic_links),
            ("/proc/1/fd/9", 404),
        ] {
            let answer = archive(&engine, "GET", id, &format!("{prefix}{secret}"));
            assert_eq!(answer.status(), status, "{prefix}: {}", answer.text());
        }
    }
}

#[test]
fn bad_paths_have_their_status_and_are_answered_at_once() {
    let engine = Engine::start();
    let id = tree(&engine);
    for (path, status, text) in [
        ("", 400, "'path' cannot be empty"),
        ("/w/file/", 400, "not a directory"),
        ("/w/file/.", 400, "not a directory"),
        ("/w/file/x", 400, "not a directory"),
        ("/w/lnk/", 400, "not a directory"),
        ("/w/no", 404, "no such file or directory"),
        ("/no/such/dir", 404, "no such file or directory"),
        ("/w/dangling/", 404, "no such file or directory"),
        ("/w/loop", 500, "too many links"),
        ("/w/loop/", 500, "too many links"),
        ("/w\0x", 500, "invalid argument"),
    ] {
        let answer = archive(&engine, "GET", &id, path);
        assert_eq!(answer.status(), status, "{path:?}: {}", answer.text());
        assert!(answer.text().contains(text) && answer.text().ends_with('\n'), "{path:?}: {}", answer.text());
        let head = archive(&engine, "HEAD", &id, path);
        assert_eq!((head.status(), head.text().as_str()), (status, ""), "{path:?}");
    }
    let long = "x".repeat(300);
    assert_eq!(archive(&engine, "GET", &id, &format!("/{long}")).status(), 500);
    for method in ["GET", "HEAD", "PUT"] {
        let unknown = archive(&engine, method, "nosuch", "/").expect(404);
        assert_eq!(unknown.text(), if method == "HEAD" { "" } else { "no such id: nosuch\n" });
        let missing = engine.call(method, "/containers/nosuch/archive", &[], b"").expect(400);
        assert_eq!(
            missing.text(),
            if method == "HEAD" { "" } else { "bad parameter: 'path' cannot be empty\n" }
        );
    }
    assert_eq!(engine.post(&format!("/containers/{id}/archive")).status(), 404);
}

#[test]
fn mounts_are_seen_in_whatever_state_the_container_is() {
    let engine = Engine::start();
    let bound = engine.directory().join("bound");
    std::fs::create_dir(&bound).expect("a directory of the host");
    std::fs::write(bound.join("b"), "bound").expect("a file");
    let body = merged(
        sh("echo v > /vol/v; echo t > /tmp/t; echo up; sleep 600"),
        json!({ "Volumes": { "/vol": {} }, "HostConfig": { "Binds": [format!("{}:/deep/in/bnd:ro", bound.display())] } }),
    );
    let id = engine.create(&body);
    let content = |path: &str| {
        let found = entries(&get(&engine, &id, path));
        String::from_utf8_lossy(&found.values().next().expect("it").content).into_owned()
    };
    assert_eq!(content("/deep/in/bnd/b"), "bound", "never started");
    assert_eq!(engine.get(&format!("/containers/{id}/changes")).expect(200).text(), "null\n");
    engine.start(&id);
    wait::until("its files", || engine.logs(&id).0.contains("up").then_some(()));
    assert_eq!((content("/vol/v").as_str(), content("/tmp/t").as_str()), ("v\n", "t\n"), "running");
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    assert_eq!((content("/vol/v").as_str(), content("/deep/in/bnd/b").as_str()), ("v\n", "bound"), "paused");
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    assert_eq!((content("/vol/v").as_str(), content("/tmp/t").as_str()), ("v\n", "t\n"), "ended");
    assert!(content("/etc/hosts").contains("localhost"));
}

#[test]
fn what_the_kernel_shows_a_running_container_is_copied_too() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo up; sleep 600; true"));
    wait::until("its start", || engine.logs(&id).0.contains("up").then_some(()));
    let one = |path: &str| entries(&get(&engine, &id, path)).into_values().next().expect("one entry");
    assert_eq!(one("/proc/1/comm").content, b"sh\n");
    let status = String::from_utf8(one("/proc/1/status").content).expect("text");
    assert!(status.contains("\nPid:\t1\n"), "numbers as the container has them: {status}");
    assert_eq!(one("/dev/null").kind, EntryType::Char);
    assert!(
        one("/sys/kernel/mm/transparent_hugepage/enabled").content.starts_with(b"always")
            || one("/sys/kernel/mm/transparent_hugepage/enabled").content.starts_with(b"[always")
    );
    let process = names(&get(&engine, &id, "/proc/1/net"));
    assert!(process.len() > 3, "a directory of /proc: {process:?}");
}

#[test]
fn a_download_that_stands_still_keeps_nobody_waiting() {
    let engine = Engine::start();
    let id = engine.run(&sh("dd if=/dev/zero of=/big bs=1M count=40 2> /dev/null"));
    assert_eq!(engine.wait(&id), 0);
    let path = format!("/containers/{id}/archive?path=/big");
    let (head, mut stalled) = engine.open("GET", &path, &[], b"");
    assert_eq!(head.status, 200);
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
    let _ = engine.call("HEAD", &path, &[], b"").expect(200);
    let mut size = 0;
    while let Some(chunk) = stalled.read_chunk().expect("the rest of the archive") {
        size += chunk.len();
    }
    assert!(size > 40 << 20, "{size}");
    let (_, stalled) = engine.open("GET", &path, &[], b"");
    engine.remove(&id);
    drop(stalled);
}

#[test]
fn the_old_way_of_copying() {
    let engine = Engine::start();
    let id = tree(&engine);
    let copy = |body: &[u8], kind: &str| {
        engine.call("POST", &format!("/containers/{id}/copy"), &[("Content-Type", kind)], body)
    };
    let json = "application/json";
    let directory = vec!["d", "d/f", "d/sub", "d/sub/g"];
    for (path, expected) in [
        ("/w/d", directory.clone()),
        ("/w/d/.", directory.clone()),
        ("/w/dlnk", directory),
        ("w/file", vec!["file"]),
        ("/w/file/", vec!["file"]),
        ("/w/lnk2", vec!["file"]),
    ] {
        let answer = copy(serde_json::json!({ "Resource": path }).to_string().as_bytes(), json).expect(200);
        assert_eq!(answer.head.header("content-type"), Some("application/x-tar"));
        assert_eq!(tarball::names(&answer.body), expected, "{path}");
    }
    for (body, text) in [
        (&b"{}"[..], "Path cannot be empty\n"),
        (br#"{"Resource":null}"#, "Path cannot be empty\n"),
        (br#"{"Resource":"/w/no"}"#, "Could not find the file /w/no in container"),
        (br#"{"Resource":"/w/dangling"}"#, "Could not find the file /w/dangling in container"),
        (br#"{"Resource":7}"#, "Resource"),
        (b"[]", "a JSON object"),
        (b"{", "invalid request body: it is not valid JSON: "),
        (b"", "invalid request body: it is empty, a JSON object is needed\n"),
    ] {
        let answer = copy(body, json).expect(500);
        assert!(answer.text().contains(text), "{body:?}: {}", answer.text());
    }
    for kind in ["text/plain", ""] {
        assert!(
            copy(br#"{"Resource":"/w"}"#, kind).expect(500).text().contains("must be 'application/json'")
        );
    }
    let unknown = engine.post_json("/containers/nosuch/copy", &json!({ "Resource": "/" })).expect(404);
    assert_eq!(unknown.text(), "no such id: nosuch\n");
}

#[test]
fn a_running_container_is_copied_whole_without_what_the_kernel_shows_in_it() {
    let engine = Engine::start();
    let script = "mkdir -p /w /mnt; echo one > /w/f; mount -t tmpfs memory /mnt && echo two > /mnt/g; echo up; sleep 600";
    let privileged = json!({ "HostConfig": { "Privileged": true } });
    let id = engine.run(&merged(sh(script), privileged));
    wait::until("its start", || engine.logs(&id).0.contains("up").then_some(()));
    let old = engine.post_json(&format!("/containers/{id}/copy"), &json!({ "Resource": "/" })).expect(200);
    for (whole, way) in [(get(&engine, &id, "/"), "archive"), (old.body, "copy")] {
        let all = names(&whole);
        let below = |directory: &str| {
            let is_below = |name: &str| name.trim_start_matches('/').starts_with(directory);
            all.iter().filter(|name| is_below(name)).count()
        };
        assert_eq!((below("w/f"), below("mnt/g")), (1, 1), "{way}");
        assert_eq!((below("proc/"), below("sys/")), (0, 0), "{way}");
        assert_eq!((below("proc"), below("sys")), (1, 1), "{way}: their places are there");
    }
    // Requested ones are included; what cannot be read is empty.
    for (path, file) in
        [("/proc", "proc/1/comm"), ("/proc/sys", "sys/kernel/osrelease"), ("/sys/kernel", "kernel/mm")]
    {
        let all = names(&get(&engine, &id, path));
        assert!(
            all.iter().any(|name| name.trim_start_matches('/').starts_with(file)),
            "{path}: {} names",
            all.len()
        );
    }
}
