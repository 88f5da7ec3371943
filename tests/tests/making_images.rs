//! Images made, named, saved and loaded: build, commit, tag, history, get, load; and registries that are not there.

use berth_tests::{Engine, query, rootfs, sh};
use serde_json::{Value, json};

const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

fn context(dockerfile: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    rootfs::append(&mut archive, "Dockerfile", tar::EntryType::Regular, 0o644, dockerfile.as_bytes());
    rootfs::append(&mut archive, "file", tar::EntryType::Regular, 0o644, b"from the context\n");
    archive.into_inner().expect("an archive")
}

/// The objects of a JSON stream.
fn messages(stream: &[u8]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(stream).into_iter().collect::<Result<_, _>>().expect("JSON objects")
}

/// Takes an image's name away, and the containers that were made of it.
fn remove(engine: &Engine, image: &str) {
    let all = engine.get("/containers/json?all=1").expect(200).json();
    for container in all.as_array().expect("a list") {
        engine.remove(container["Id"].as_str().expect("an id"));
    }
    let _ = engine.delete(&format!("/images/{image}?force=1")).expect(200);
}

#[test]
fn a_build_streams_its_steps_and_its_image_runs() {
    let engine = Engine::start();
    let dockerfile = "FROM busybox\nCOPY file /file\nRUN cat /file && echo ran\nCMD [\"cat\", \"/file\"]\n";
    let answer = engine.call("POST", "/build?t=built", &TAR, &context(dockerfile)).expect(200);
    assert_eq!(answer.head.header("content-type"), Some("application/json"));
    let said: String =
        messages(&answer.body).iter().filter_map(|message| message["stream"].as_str()).collect();
    assert!(said.starts_with("Step 0 : FROM busybox\n"), "{said}");
    assert!(said.contains("from the context\nran\n") && said.contains("Successfully built "), "{said}");
    let output = engine.output(&json!({"Image": "built"}));
    assert_eq!(output.stdout, "from the context\n");
    let history = engine.get("/images/built/history").expect(200).json();
    assert!(history[0]["CreatedBy"].as_str().is_some_and(|by| by.contains("CMD")), "{history}");
    remove(&engine, "built");
}

#[test]
fn a_failing_build_says_so_in_its_last_object() {
    let engine = Engine::start();
    let answer = engine.call("POST", "/build?t=no", &TAR, &context("FROM busybox\nRUN exit 7\n")).expect(200);
    let last = messages(&answer.body).pop().expect("a message");
    assert_eq!(last["errorDetail"]["code"], 7, "{last}");
    assert!(last["error"].as_str().is_some_and(|error| error.contains("non-zero code: 7")), "{last}");
    let _ = engine.get("/images/no/json").expect(404);
    let bad = engine.call("POST", "/build", &TAR, &context("NONSENSE x\n"));
    assert!(bad.text().contains("Unknown instruction"), "{}", bad.text());
}

#[test]
fn a_commit_keeps_changes_and_takes_instructions() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo kept > /kept"));
    assert_eq!(engine.wait(&id), 0);
    let pairs = [
        ("container", id.as_str()),
        ("repo", "made"),
        ("tag", "v1"),
        ("changes", "ENV A=b"),
        ("author", "me"),
    ];
    let made = engine.post(&format!("/commit{}", query(&pairs))).expect(201).json();
    let image = engine.get("/images/made:v1/json").expect(200).json();
    assert_eq!((&image["Id"], &image["Author"]), (&made["Id"], &json!("me")));
    assert!(image["Config"]["Env"].to_string().contains("A=b"), "{image}");
    let output = engine.output(&json!({"Image": "made:v1", "Cmd": ["cat", "/kept"]}));
    assert_eq!(output.stdout, "kept\n");
    let refused = engine.post(&format!("/commit?container={id}&changes=RUN%20x")).expect(500);
    assert_eq!(refused.text(), "run is not a valid change command\n");
    let _ = engine.post("/commit?container=nosuch").expect(404);
    remove(&engine, "made:v1");
}

#[test]
fn what_is_saved_can_be_loaded() {
    let engine = Engine::start();
    let _ = engine.post("/images/busybox/tag?repo=other&tag=x").expect(201);
    let id = engine.get("/images/other:x/json").expect(200).json()["Id"].clone();
    let one = engine.get("/images/other:x/get").expect(200);
    assert_eq!(one.head.header("content-type"), Some("application/x-tar"));
    let both = engine.get("/images/get?names=busybox&names=other:x").expect(200);
    let names = |archive: &[u8]| -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().expect("an archive");
        entries.map(|entry| entry.expect("an entry").path().expect("a name").display().to_string()).collect()
    };
    assert!(names(&one.body).contains(&"repositories".to_owned()));
    assert!(!names(&both.body).is_empty());
    let _ = engine.delete("/images/other:x").expect(200);
    let _ = engine.get("/images/other:x/json").expect(404);
    assert_eq!(engine.call("POST", "/images/load", &TAR, &one.body).expect(200).text(), "");
    assert_eq!(engine.get("/images/other:x/json").expect(200).json()["Id"], id);
    let _ = engine.get("/images/nosuch/get").expect(404);
    remove(&engine, "other:x");
    let _ = engine.call("POST", "/images/load", &TAR, b"this is no archive").expect(500);
}

#[test]
fn tags_have_their_conflicts_and_rules() {
    let engine = Engine::start();
    engine.import("second", rootfs::busybox());
    let tag = |pairs: &[(&str, &str)]| engine.post(&format!("/images/busybox/tag{}", query(pairs)));
    let _ = tag(&[("repo", "named"), ("tag", "v1")]).expect(201);
    let taken = engine.post("/images/second/tag?repo=named&tag=v1").expect(409).text();
    assert!(taken.starts_with("Conflict: Tag v1 is already set to image "), "{taken}");
    let _ = engine.post("/images/second/tag?repo=named&tag=v1&force=1").expect(201);
    for pairs in [&[("repo", "")][..], &[("repo", "UPPER")], &[("repo", "a"), ("tag", "b c")]] {
        let _ = tag(pairs).expect(400);
    }
    let unknown = engine.post("/images/nosuch/tag?repo=a").expect(404).text();
    assert_eq!(unknown, "could not find image: no such id: nosuch\n");
    remove(&engine, "named:v1");
    remove(&engine, "second");
}

#[test]
fn registries_that_are_not_there_are_named() {
    let engine = Engine::start();
    let pull = engine.post("/images/create?fromImage=127.0.0.1:1/x&tag=y");
    assert!(pull.text().contains("127.0.0.1:1"), "{}", pull.text());
    let push = engine.call("POST", "/images/127.0.0.1:1/x/push", &[("X-Registry-Auth", "e30=")], b"");
    assert!(push.text().contains("127.0.0.1:1"), "{}", push.text());
    let _ = engine.post("/images/127.0.0.1:1/x/push").expect(400);
    let _ = engine.post("/images/create?fromImage=Bad!name").expect(500);
    let malformed =
        engine.call("POST", "/images/create?fromImage=a/b&tag=c", &[("X-Registry-Auth", "!!!")], b"");
    assert_eq!(malformed.status(), 400, "{}", malformed.text());
    let search = engine.get("/images/search?term=127.0.0.1:1/x").expect(500);
    assert!(search.text().contains("127.0.0.1:1"), "{}", search.text());
    let body = br#"{"serveraddress":"http://127.0.0.1:1/","username":"u","password":"p"}"#;
    let auth = engine.call("POST", "/auth", &[("Content-Type", "application/json")], body).expect(500);
    assert!(auth.text().contains("127.0.0.1:1"), "{}", auth.text());
}
