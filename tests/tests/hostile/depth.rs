//! Directories within each other, and beside each other, as many as a stranger likes: no way in or out of the engine
//! ends the daemon by its stack, or takes the descriptors that all others need.

use berth_tests::host::descriptors_of;
use berth_tests::registry::{Content, Server, pull};
use berth_tests::saved::{SavedImage, tarball};
use berth_tests::{merged, sh, wait};
use rustix::process::{Pid, Resource, Rlimit};
use serde_json::{Value, json};

use super::{Target, contexts, with_python};

/// As many levels as a path of 4,095 bytes has.
const PATH_DEEP: usize = 1_900;
/// More levels than archives and lists go, and than the daemon has descriptors.
const ENDLESS: usize = 3_000;
/// What the daemon gets here: fewer than there are levels.
const DESCRIPTORS: u64 = 400;

const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

fn start() -> Target {
    let engine = Target::start();
    let pid = i32::try_from(engine.daemon_pid()).ok().and_then(Pid::from_raw).expect("a pid");
    let limit = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    let _ = rustix::process::prlimit(Some(pid), Resource::Nofile, limit).expect("a limit");
    engine
}

/// A tar of a file that lies deep.
fn deep() -> Vec<u8> {
    let mut tar = contexts::deep_file(&format!("{}f", "d/".repeat(PATH_DEEP)));
    tar.extend_from_slice(&[0; 1024]);
    tar
}

/// A container that has made directories with a script of Python.
fn with_directories(engine: &Target, script: &str) -> String {
    let id = engine.run(&with_python(&format!("import os\nos.makedirs('/v/x')\n{script}"), &[]));
    assert_eq!(engine.wait(&id), 0, "{:?}", engine.logs(&id));
    id
}

/// Reads an answer to its end or to where it is cut off.
fn drain(engine: &Target, path: &str) -> (u16, usize) {
    let mut connection = engine.connect();
    connection.request("GET", path, &[], b"").expect("a request");
    let head = connection.read_head().expect("a head");
    let mut length = 0;
    while let Ok(Some(chunk)) = connection.read_chunk() {
        length += chunk.len();
    }
    (head.status, length)
}

/// Everything that walks through an image or its container.
fn walk(engine: &Target, image: &str) {
    let _ = engine.get(&format!("/images/{image}/json")).expect(200);
    assert_eq!(drain(engine, &format!("/images/{image}/get")).0, 200, "save");
    let id =
        engine.create(&merged(sh("true"), json!({ "Image": image, "Cmd": ["/f"], "Volumes": { "/d": {} } })));
    for path in ["export", "archive?path=/d"] {
        let answer = engine.get(&format!("/containers/{id}/{path}")).expect(200);
        assert!(answer.head.status == 200 && answer.body.len() > PATH_DEEP * 512, "{path}");
    }
    let old = engine.post_json(&format!("/containers/{id}/copy"), &json!({ "Resource": "/d" })).expect(200);
    assert!(old.body.len() > PATH_DEEP * 512);
    let put = engine.call("PUT", &format!("/containers/{id}/archive?path=/"), &TAR, &deep());
    assert_eq!(put.status(), 200, "{}", put.text());
    assert_eq!(engine.get(&format!("/containers/{id}/changes")).status(), 200);
    let committed =
        engine.post_json(&format!("/commit?container={id}&repo=committed"), &json!({})).expect(201);
    assert!(committed.json()["Id"].is_string(), "{}", committed.text());
    let _ = engine.delete(&format!("/containers/{id}?v=1")).expect(204);
    let _ = engine.delete("/images/committed").expect(200);
    let _ = engine.delete(&format!("/images/{image}")).expect(200);
}

#[test]
fn a_layer_as_deep_as_a_path_goes_is_a_layer() {
    let engine = start();
    engine.import("imported", &deep());
    walk(&engine, "imported");
    let layer = deep();
    let image = SavedImage { name: "loaded:x".to_owned(), layers: vec![&layer], command: &["/f"] };
    let loaded = engine.call("POST", "/images/load", &TAR, &tarball(&[image]));
    assert_eq!((loaded.status(), loaded.text().as_str()), (200, ""));
    walk(&engine, "loaded:x");
    let mut content = Content::default();
    let _ = content.image("x", &[layer]);
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| content.answer(asked));
    let _ = pull(&engine, "127.0.0.1:5000/pulled", "x", &[]).succeeded();
    walk(&engine, "127.0.0.1:5000/pulled:x");
    drop(server);
    assert_trash_is_empty(&engine);
}

#[test]
fn a_container_nests_directories_without_end() {
    let engine = start();
    let nest = format!("os.chdir('/v/x')\nfor _ in range({ENDLESS}): os.mkdir('d'); os.chdir('d')");
    let id = with_directories(&engine, &nest);
    let before = descriptors_of(engine.daemon_pid());
    let changes = engine.get(&format!("/containers/{id}/changes")).expect(500).text();
    assert!(changes.contains("directories are nested too deeply for a list"), "{changes}");
    for path in ["export", "archive?path=/v"] {
        let (_, length) = drain(&engine, &format!("/containers/{id}/{path}"));
        assert!(length < 64 << 20, "{path}: {length}");
    }
    let committed = engine.post_json(&format!("/commit?container={id}"), &json!({})).expect(500).text();
    assert!(committed.starts_with("cannot make the directory of \"v/x/d/d/"), "{committed}");
    let listed = engine.get("/containers/json?all=1&size=1").expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    wait::until("the descriptors", || (descriptors_of(engine.daemon_pid()) <= before).then_some(()));
    let _ = engine.delete(&format!("/containers/{id}?v=1")).expect(204);
    assert_trash_is_empty(&engine);
}

#[test]
fn volumes_are_removed_however_deep_they_are() {
    let engine = start();
    let nest = format!("os.chdir('/v/x')\nfor _ in range({ENDLESS}): os.mkdir('d'); os.chdir('d')");
    let script = format!("import os\nos.mkdir('/v/x')\n{nest}");
    let id = engine.run(&merged(with_python(&script, &[]), json!({ "Volumes": { "/v": {} } })));
    assert_eq!(engine.wait(&id), 0, "{:?}", engine.logs(&id));
    let _ = engine.delete(&format!("/containers/{id}?v=1")).expect(204);
    assert_trash_is_empty(&engine);
}

#[test]
fn a_directory_of_many_directories_takes_no_descriptors() {
    let engine = start();
    let id = with_directories(&engine, "for n in range(3000): os.mkdir(f'/v/x/{n}')");
    let changes = engine.get(&format!("/containers/{id}/changes")).expect(200).json();
    let made = |change: &&Value| change["Path"].as_str().is_some_and(|path| path.starts_with("/v/x/"));
    assert_eq!(changes.as_array().expect("a list").iter().filter(made).count(), 3000);
    let _ = engine.get("/containers/json?all=1&size=1").expect(200);
    let _ = engine.get(&format!("/containers/{id}/export")).expect(200);
    let _ = engine.delete(&format!("/containers/{id}?v=1")).expect(204);
    assert_trash_is_empty(&engine);
}

fn assert_trash_is_empty(engine: &Target) {
    let trash = engine.data_root().join("trash");
    wait::until("the removal", || {
        (std::fs::read_dir(&trash).expect("a directory").count() == 0).then_some(())
    });
    assert!(!engine.log().contains("cannot delete"), "{}", engine.log());
}

/// A body whose values are nested without end is refused, whatever it is sent to.
#[test]
fn documents_nested_without_end_are_refused() {
    let engine = start();
    let nested = [r#"{"Labels":"#.repeat(100_000), "1".to_owned()].concat();
    let json = [("Content-Type", "application/json")];
    for path in
        ["/containers/create", "/commit?container=x", "/containers/x/exec", "/auth", "/containers/x/copy"]
    {
        let answer = engine.call("POST", path, &json, nested.as_bytes());
        assert!(answer.text().contains("nested too deeply"), "{path}: {} {}", answer.status(), answer.text());
    }
    let filters = format!("/containers/json?filters={}", "%5B".repeat(20_000));
    assert_eq!(engine.get(&filters).status(), 400);
}
