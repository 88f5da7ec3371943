//! `POST /images/{name}/push` and the way back, with Debian's registry and one that misbehaves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use berth_tests::registry::{
    Ending, Messages, Protection, Registry, Reply, Server, digest, noise, pull, push, tar_of,
};
use berth_tests::{Engine, cli, query, sh, tarball};
use serde_json::json;

/// Makes an image with a layer of its own over busybox's, under several names.
fn make(engine: &Engine, names: &[&str]) {
    let id = engine.run(&sh("echo made > /marker; head -c 300000 /dev/urandom > /noise"));
    assert_eq!(engine.wait(&id), 0);
    let changes = query(&[("container", &id), ("repo", "made"), ("changes", "CMD [\"cat\", \"/marker\"]")]);
    let _ = engine.post(&format!("/commit{changes}")).expect(201);
    engine.remove(&id);
    for name in names {
        let (repository, tag) = name.rsplit_once(':').expect("a tag");
        let _ = engine
            .post(&format!("/images/made/tag{}", query(&[("repo", repository), ("tag", tag)])))
            .expect(201);
    }
    let _ = engine.delete("/images/made").expect(200);
}

fn forget(engine: &Engine, names: &[&str]) {
    for name in names {
        let _ = engine.delete(&format!("/images/{name}?force=1")).expect(200);
    }
}

#[test]
fn what_is_said_of_a_layer_has_the_words_of_the_version() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    for (version, begins, ends) in
        [("1.20", "Buffering to Disk", "Image successfully pushed"), ("1.55", "Preparing", "Pushed")]
    {
        engine.import("127.0.0.1:5000/words", &tarball::of(&[("f", version)]));
        let pushed = push(&engine.at(version), "127.0.0.1:5000/words", "latest", None).succeeded();
        let states: Vec<_> = pushed.objects.iter().filter_map(|object| object["status"].as_str()).collect();
        assert!(states.contains(&begins) && states.contains(&ends), "{version}: {states:?}");
        let _ = engine.delete("/images/127.0.0.1:5000/words").expect(200);
    }
}

#[test]
fn a_pushed_name_may_have_its_tag() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let today = engine.at("1.55");
    engine.import("tagged", &tarball::of(&[("f", "tagged")]));
    for tag in ["one", "two"] {
        let _ = today.post(&format!("/images/tagged/tag?repo=127.0.0.1:5000/tagged&tag={tag}")).expect(201);
    }
    let pushed =
        |path: &str| today.call("POST", path, &[("X-Registry-Auth", "e30=")], b"").expect(200).text();
    let text = pushed("/images/127.0.0.1:5000/tagged:one/push");
    assert!(text.contains("one: digest: sha256:") && !text.contains("two: digest"), "{text}");
    let text = pushed("/images/127.0.0.1:5000/tagged:one/push?tag=two");
    assert!(text.contains("two: digest: sha256:") && !text.contains("one: digest"), "{text}");
    let old =
        engine.call("POST", "/images/127.0.0.1:5000/tagged:one/push", &[("X-Registry-Auth", "e30=")], b"");
    assert_eq!(old.status(), 500);
    forget(&engine, &["tagged", "127.0.0.1:5000/tagged:one", "127.0.0.1:5000/tagged:two"]);
}

#[test]
fn an_image_goes_to_a_registry_and_comes_back() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let names = ["127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v2", "127.0.0.1:5000/c:v1"];
    make(&engine, &names);
    let image = engine.get("/images/127.0.0.1:5000/a/b:v1/json").expect(200).json();

    let first = push(&engine, "127.0.0.1:5000/a/b", "v1", None).succeeded();
    assert_eq!(first.lines()[0], "The push refers to a repository [127.0.0.1:5000/a/b] (len: 1)");
    assert!(first.say("Pushing") && first.say("Image successfully pushed"), "{first:?}");
    let bar = first.objects.iter().find(|object| object["progressDetail"]["total"].is_u64()).expect("a bar");
    assert!(bar["id"].is_string() && bar["progress"].as_str().expect("a bar").starts_with('['), "{bar}");
    let last = *first.lines().last().expect("a line");
    assert!(last.starts_with("v1: digest: sha256:") && last.contains(" size: "), "{last}");

    let again = push(&engine, "127.0.0.1:5000/a/b", "", None).succeeded();
    assert!(!again.say("Pushing") && again.say("Image already exists"), "all is there: {again:?}");
    assert!(again.say("v1: digest: ") && again.say("v2: digest: "), "without a tag all tags go: {again:?}");
    let other = push(&engine, "127.0.0.1:5000/c", "v1", None).succeeded();
    assert!(other.say("Mounted from a/b") && !other.say("Pushing"), "{other:?}");

    forget(&engine, &names);
    let _ = engine.get(&format!("/images/{}/json", image["Id"].as_str().expect("an id"))).expect(404);
    let all = pull(&engine, "127.0.0.1:5000/a/b", "", &[]).succeeded();
    assert!(all.say("Status: Downloaded newer image for 127.0.0.1:5000/a/b"), "{all:?}");
    for tag in ["v1", "v2"] {
        let pulled = engine.get(&format!("/images/127.0.0.1:5000/a/b:{tag}/json")).expect(200).json();
        assert_eq!((&pulled["Id"], &pulled["VirtualSize"]), (&image["Id"], &image["VirtualSize"]));
        assert_eq!(pulled["Config"]["Cmd"], image["Config"]["Cmd"]);
    }
    let output = engine.output(&json!({ "Image": "127.0.0.1:5000/a/b:v2" }));
    assert_eq!(output.stdout, "made\n");
    forget(&engine, &names[..2]);
    forget(&engine, &["busybox"]);
    assert!(registry.log().contains("/v2/c/blobs/uploads/?"), "a mount was asked for");
}

#[test]
fn refused_pushes_report_their_reason() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let _ = engine.post("/images/busybox/tag?repo=127.0.0.1:5000/a&tag=v1").expect(201);
    let _ = engine.post("/images/busybox/tag?repo=127.0.0.1:1/d").expect(201);
    for (image, tag, status, text) in [
        ("127.0.0.1:5000/zz", "", 404, "Repository does not exist: 127.0.0.1:5000/zz"),
        (
            "127.0.0.1:5000/a",
            "nope",
            404,
            "error getting tags for 127.0.0.1:5000/a: Tag does not exist for nope",
        ),
        ("127.0.0.1:5000/a", "a b", 500, "Illegal tag name (a b)"),
        ("127.0.0.1:5000/a:v1", "", 500, "repository name component must match"),
        ("Bad!", "", 500, "repository name component must match"),
        ("joe/x", "", 404, "Repository does not exist: joe/x"),
        ("127.0.0.1:1/d", "latest", 500, "cannot reach the registry 127.0.0.1:1"),
        ("busybox", "latest", 500, "cannot reach the registry docker.io"),
    ] {
        let refused = push(&engine, image, tag, None);
        assert!(refused.failure().starts_with(text), "{image} {tag}: {refused:?}");
        assert_eq!(refused.status, status, "{image} {tag}: {refused:?}");
    }
    let path = "/images/127.0.0.1:5000/a/push?tag=v1";
    let without = engine.post(path).expect(400);
    assert!(without.text().starts_with("Bad parameters and missing X-Registry-Auth: "), "{}", without.text());
    for bad in ["%%%", "Z2FyYmFnZQ==", "W10="] {
        for version in ["1.20", "1.55"] {
            let refused = engine.at(version).call("POST", path, &[("X-Registry-Auth", bad)], b"").expect(400);
            assert!(refused.text().contains("the header X-Registry-Auth is not "), "{}", refused.text());
        }
    }
    let in_body = engine.post_json(path, &json!({ "username": "a", "password": "b" }));
    let _ = Messages::of(&in_body).succeeded();
    forget(&engine, &["127.0.0.1:5000/a:v1", "127.0.0.1:1/d", "busybox"]);
    drop(registry);
}

#[test]
fn a_push_of_today_begins_before_it_fails() {
    let engine = Engine::start();
    let _ = engine.post("/images/busybox/tag?repo=127.0.0.1:5000/a&tag=v1").expect(201);
    let today = engine.at("1.55");
    for (image, tag, text) in [
        ("127.0.0.1:5000/zz", "", "An image does not exist locally with the tag: 127.0.0.1:5000/zz"),
        ("127.0.0.1:5000/zz", "v1", "tag does not exist: 127.0.0.1:5000/zz:v1"),
        ("127.0.0.1:5000/a", "nope", "tag does not exist: 127.0.0.1:5000/a:nope"),
        ("127.0.0.1:5000/a", "v1", "cannot reach the registry 127.0.0.1:5000"),
    ] {
        let refused = push(&today, image, tag, None);
        assert_eq!(refused.status, 200, "{image} {tag}: {refused:?}");
        assert!(refused.failure().starts_with(text), "{image} {tag}: {refused:?}");
        let begin = format!("The push refers to repository [{image}]");
        assert!(refused.lines().contains(&begin.as_str()), "{image} {tag}: {refused:?}");
    }
    forget(&engine, &["127.0.0.1:5000/a:v1", "busybox"]);
}

/// A registry that takes uploads, but breaks the first of a blob in the middle and sends 503 now and then.
fn breaking(engine: &Engine, address: &str) -> (Server, Arc<Mutex<Vec<u8>>>) {
    let received: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (bytes, patches) = (Arc::clone(&received), AtomicUsize::new(0));
    let refusals = AtomicUsize::new(0);
    let server = Server::start(engine, address, move |asked| {
        let mut upload = bytes.lock().expect("the upload");
        let place = |length: usize| {
            let range = format!("0-{}", length.saturating_sub(1));
            Reply::new(202).with("Location", "/v2/a/blobs/uploads/u?state=s").with("Range", range)
        };
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/v2/") => Reply::new(200),
            ("HEAD", path) if path.contains("/blobs/") => Reply::new(404),
            ("POST", _) if refusals.fetch_add(1, Ordering::SeqCst) == 0 => {
                Reply::new(503).with("Retry-After", "0")
            }
            ("POST", _) => {
                upload.clear();
                place(0)
            }
            // Half of the first chunk is kept, then the connection breaks.
            ("PATCH", _) if patches.fetch_add(1, Ordering::SeqCst) == 0 => {
                upload.extend_from_slice(&asked.body[..asked.body.len() / 2]);
                Reply::new(202).body("x").ending(Ending::CutAfter(0)).with("Content-Length", "broken")
            }
            ("GET", path) if path.contains("/uploads/") => {
                let mut reply = place(upload.len());
                reply.status = 204;
                reply
            }
            ("PATCH", _) => {
                upload.extend_from_slice(&asked.body);
                place(upload.len())
            }
            ("PUT", path) if path.contains("/uploads/") => {
                let named = asked.query.rsplit_once("digest=").map(|(_, digest)| digest.replace("%3A", ":"));
                if named.as_deref() == Some(&digest(&upload)) { Reply::new(201) } else { Reply::new(400) }
            }
            ("PUT", _) => Reply::new(201),
            _ => Reply::new(404),
        }
    });
    (server, received)
}

#[test]
fn a_broken_upload_goes_on_where_it_broke() {
    let engine = Engine::start_with(berth_tests::Options { without_image: true, ..Default::default() });
    let (server, _received) = breaking(&engine, "127.0.0.1:5000");
    engine.import("127.0.0.1:5000/a", &tar_of(&[("file", &noise(3, 2_000_000))]));
    let pushed = push(&engine, "127.0.0.1:5000/a", "latest", None).succeeded();
    assert!(pushed.say("latest: digest: "), "{pushed:?}");
    let pieces: Vec<_> = server.asked().into_iter().filter(|asked| asked.method == "PATCH").collect();
    let ranges: Vec<_> = pieces.iter().filter_map(|piece| piece.header("content-range")).collect();
    let resumed =
        ranges.iter().find(|range| !range.starts_with("0-")).unwrap_or_else(|| panic!("{ranges:?}"));
    let start: usize = resumed.split('-').next().expect("a start").parse().expect("a number");
    assert!(start > 500_000, "what the registry had is not sent again: {ranges:?}");
    forget(&engine, &["127.0.0.1:5000/a"]);
}

#[test]
fn the_real_clients_push_and_pull() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    for (number, docker) in cli::clients(&engine).into_iter().enumerate() {
        let name = format!("127.0.0.1:5000/cli{number}:v1");
        make(&engine, &[&name]);
        let pushed = docker.ok(&["push", &name]);
        assert!(pushed.contains("v1: digest: sha256:"), "{pushed}");
        forget(&engine, &[&name]);
        let pulled = docker.ok(&["pull", &name]);
        assert!(pulled.contains(&format!("Status: Downloaded newer image for {name}")), "{pulled}");
        assert!(pulled.contains("Pull complete") && pulled.contains("Digest: sha256:"), "{pulled}");
        assert_eq!(docker.ok(&["run", "--rm", &name]), "made");
        let missing = docker.run(&["pull", "127.0.0.1:5000/nosuch:v9"]);
        assert!(missing.code != 0 && missing.stderr.contains("not found"), "{missing:?}");
        forget(&engine, &[&name]);
    }
    forget(&engine, &["busybox"]);
    drop(registry);
}
