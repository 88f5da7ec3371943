//! Images that come while others remove all unnamed ones: each successful client has its image, and none fails
//! because of the others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use berth_tests::registry::{Content, Server, pull, tar_of};
use berth_tests::{Context, Engine, images, query};
use serde_json::{Value, json};

const ROUNDS: usize = 25;

/// Removes images without a name, and these by name, until all is over; gives how many images went.
fn remove_without_end(engine: &Engine, names: &[&str], over: &AtomicBool) -> usize {
    let mut removed = 0;
    let dangling = query(&[("all", "1"), ("filters", r#"{"dangling":["true"]}"#)]);
    while !over.load(Ordering::SeqCst) {
        let list = engine.get(&format!("/images/json{dangling}")).expect(200).json();
        let ids = list.as_array().expect("a list").iter().map(|image| image["Id"].as_str().expect("an id"));
        for target in ids.chain(names.iter().copied()) {
            let outcome = images::remove_beside_others(engine, target);
            removed += usize::from(outcome == images::Removal::Deleted);
        }
    }
    removed
}

/// Lets crowds bring images while one crowd removes them; no client may fail.
fn race(engine: &Engine, names: &[&str], bringers: &[&(dyn Fn(usize) + Sync)]) {
    let (over, removed) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (over, removed) = (&over, &removed);
        for _ in 0..2 {
            scope.spawn(move || {
                let _ = removed.fetch_add(remove_without_end(engine, names, over), Ordering::SeqCst);
            });
        }
        std::thread::scope(|scope| {
            let work = |bring: &dyn Fn(usize)| (0..ROUNDS).for_each(bring);
            let threads: Vec<_> = bringers.iter().map(|bring| scope.spawn(move || work(*bring))).collect();
            let results: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            over.store(true, Ordering::SeqCst);
            for result in results {
                result.expect("nobody fails");
            }
        });
    });
    assert!(removed.load(Ordering::SeqCst) > 0, "nothing was removed: there was no race");
}

/// The store has the tests' own image alone, and its layers alone.
fn assert_given_back(engine: &Engine) {
    let mut left = engine.get("/images/json?all=1").expect(200).json().as_array().expect("a list").clone();
    left.retain(|image| image["RepoTags"] != json!(["busybox:latest"]));
    for image in &left {
        let _ = engine.delete(&format!("/images/{}?force=1", image["Id"].as_str().expect("an id")));
    }
    let count = |name: &str| std::fs::read_dir(engine.data_root().join(name)).expect("a directory").count();
    assert_eq!((count("images/layers"), count("images/temporary")), (1, 0), "the disk is given back");
}

#[test]
fn pulls_race_with_removals_of_the_same_layers() {
    let mut engine = Engine::start();
    let mut content = Content::default();
    let shared = tar_of(&[("shared", &[7; 20_000])]);
    for tag in ["one", "two"] {
        let _ = content.image(tag, &[shared.clone(), tar_of(&[("marker", tag.as_bytes())])]);
    }
    let by_digest = content.image("three", &[shared]);
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| content.answer(asked));
    let names = ["127.0.0.1:5000/a:one", "127.0.0.1:5000/a:two", "127.0.0.1:5000/b:one"];
    let digest = format!("127.0.0.1:5000/a@{by_digest}");
    let of = |name: String| {
        let engine = &engine;
        move |_: usize| drop(pull(engine, &name, "", &[]).succeeded())
    };
    let [one, two, other] = names.map(|name| of(name.to_owned()));
    let pinned = of(digest.clone());
    race(&engine, &[names[0], names[1], names[2], &digest], &[&one, &two, &other, &pinned]);
    let whole = |engine: &Engine| {
        let _ = pull(engine, names[1], "", &[]).succeeded();
        let output = engine.get(&format!("/images/{}/get", names[1])).expect(200).body;
        let text = String::from_utf8_lossy(&output).into_owned();
        assert!(text.contains("marker") && text.contains("two"), "the image is whole");
    };
    whole(&engine);
    engine.replace_daemon();
    whole(&engine);
    assert_given_back(&engine);
    drop(server);
}

#[test]
fn what_is_created_beside_the_removal_of_its_image_can_start() {
    let engine = Engine::start();
    let archive = tar_of(&[("bin/sh", &std::fs::read("/bin/busybox").expect("busybox-static"))]);
    let body =
        json!({ "Image": "raced", "Cmd": ["/bin/sh", "sh", "-c", "exit 7"], "Volumes": { "/bin": {} } });
    let (mut created, mut removed) = (0, 0);
    for _ in 0..100 {
        engine.import("raced", &archive);
        let (made, gone) = std::thread::scope(|scope| {
            let made = scope.spawn(|| engine.post_json("/containers/create", &body));
            let gone = scope.spawn(|| engine.delete("/images/raced"));
            (made.join().expect("an answer"), gone.join().expect("an answer"))
        });
        removed += usize::from(gone.status() == 200);
        if made.status() == 201 {
            created += 1;
            assert_eq!(gone.status(), 409, "{}", gone.text());
            let id = made.json()["Id"].as_str().expect("an id").to_owned();
            engine.start(&id);
            let _ = engine.delete(&format!("/containers/{id}?v=1&force=1")).expect(204);
            let _ = engine.delete("/images/raced").expect(200);
        } else {
            assert_eq!((made.status(), gone.status()), (404, 200), "{}", made.text());
        }
    }
    assert_eq!(created + removed, 100, "one of both wins");
}

#[test]
fn builds_imports_and_commits_race_with_removals() {
    let engine = Engine::start();
    let container = engine.create(&json!({ "Image": "busybox", "Cmd": ["true"] }));
    let archive = tar_of(&[("imported", b"content")]);
    let built = |round: usize| {
        // Every second build finds its steps in the cache, or does not.
        let context = Context::of(&format!("FROM busybox\nLABEL round={}\nCOPY file /\n", round / 2));
        let _ = engine.build(&[("t", "raced:built")], context.file("file", "content")).image();
    };
    let imported = |_: usize| engine.import("raced", &archive);
    let committed = |_: usize| {
        let path = format!("/commit?container={container}&repo=raced&tag=committed");
        let made: Value = engine.post(&path).expect(201).json();
        assert!(made["Id"].is_string());
    };
    race(
        &engine,
        &["raced:built", "raced:latest", "raced:committed"],
        &[&built, &imported, &committed, &committed],
    );
    engine.remove(&container);
    assert_given_back(&engine);
}
