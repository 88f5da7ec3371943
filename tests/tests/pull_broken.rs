//! Pulls that break: registries that lie, fail and stall, clients that leave, daemons that are killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use berth_tests::http::Connection;
use berth_tests::registry::{Asked, Content, Ending, Gate, Reply, Server, gzip, noise, pull, tar_of};
use berth_tests::{Engine, Options, query, sh, wait};
use serde_json::json;

const IMAGE: &str = "127.0.0.1:5000/a:v1";

fn bare() -> Engine {
    Engine::start_with(Options { without_image: true, ..Options::default() })
}

/// Content with one image of so many layers, each of a megabyte that cannot be compressed.
fn large(layers: u64) -> Content {
    let mut content = Content::default();
    let tars: Vec<Vec<u8>> =
        (1..=layers).map(|number| tar_of(&[(&format!("file{number}"), &noise(number, 1_000_000))])).collect();
    let _ = content.image("v1", &tars);
    content
}

/// A registry on port 5000 whose answers about layers a function may change.
fn twisted(
    engine: &Engine,
    content: Content,
    twist: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static,
) -> Server {
    let layers = content.large(500_000);
    Server::start(engine, "127.0.0.1:5000", move |asked| {
        let reply = content.answer(asked);
        if layers.iter().any(|layer| asked.path.ends_with(layer)) { twist(asked, reply) } else { reply }
    })
}

#[test]
fn a_prune_takes_what_is_left_of_broken_downloads() {
    let engine = bare();
    let directory = engine.data_root().join("images/blobs/sha256");
    let left = directory.join("ab".repeat(32));
    std::fs::write(&left, [7; 1000]).expect("a download");
    let prune = |filters: &str| {
        let path = format!("/images/prune{}", query(&[("filters", filters)]));
        engine.at("1.55").post(&path).expect(200).json()["SpaceReclaimed"].clone()
    };
    let usage = |of: &[&str]| {
        let usage = engine.at("1.55").get("/system/df").expect(200).json();
        of.iter().fold(usage, |value, name| value[name].clone())
    };
    let shown = [&["LayersSize"][..], &["ImageUsage", "TotalSize"], &["ImageUsage", "Reclaimable"]];
    assert_eq!(shown.map(usage), [1000, 1000, 1000].map(serde_json::Value::from));
    assert_eq!(prune(r#"{"label":["a"]}"#), 0);
    assert!(left.exists(), "it has no label");
    assert_eq!(prune("{}"), 1000);
    assert!(!left.exists());
    assert_eq!(shown.map(usage), [0, 0, 0].map(serde_json::Value::from));
}

/// The store has no image and no layer.
fn assert_empty(engine: &Engine) {
    assert_eq!(engine.get("/images/json?all=1").expect(200).json(), json!([]));
    let layers = engine.data_root().join("images/layers");
    assert_eq!(std::fs::read_dir(layers).expect("the layers").count(), 0);
}

/// Begins a pull and waits until it downloads.
fn begin(engine: &Engine) -> Connection {
    let path = format!("/images/create{}", query(&[("fromImage", IMAGE)]));
    let (head, mut connection) = engine.open("POST", &path, &[], b"");
    assert_eq!(head.status, 200);
    let _ = connection.read_until(b"Downloading").expect("a download");
    connection
}

fn forget(engine: &Engine) {
    let _ = engine.delete(&format!("/images/{IMAGE}")).expect(200);
}

#[test]
fn a_registry_that_lies_is_caught() {
    let engine = bare();
    let content = large(1);
    let lie: Arc<AtomicUsize> = Arc::default();
    let chosen = Arc::clone(&lie);
    let server = twisted(&engine, content, move |_, mut reply| {
        match chosen.load(Ordering::SeqCst) {
            // Another byte, another good layer, too much, and what is no layer at all.
            0 => *reply.body.last_mut().expect("a byte") ^= 1,
            1 => reply.body = gzip(&tar_of(&[("other", b"content")])),
            2 => reply.body.extend_from_slice(&noise(9, 5_000_000)),
            3 => reply.body = noise(9, reply.body.len()),
            _ => {}
        }
        reply
    });
    for (number, text) in [
        (0, "wrong content for"),
        (1, "wrong content for"),
        (2, "wrong content for"),
        (3, "wrong content for"),
    ] {
        lie.store(number, Ordering::SeqCst);
        let pulled = pull(&engine, IMAGE, "", &[]);
        assert!(pulled.failure().contains(text), "lie {number}: {pulled:?}");
        assert_empty(&engine);
    }
    lie.store(9, Ordering::SeqCst);
    let _ = pull(&engine, IMAGE, "", &[]).succeeded();
    forget(&engine);
    drop(server);
}

#[test]
fn a_manifest_is_compared_with_its_digest_before_it_is_read() {
    let engine = bare();
    let mut content = Content::default();
    let asked_for = content.image("v1", &[tar_of(&[("one", b"1")])]);
    let other = content.image("v2", &[tar_of(&[("two", b"2")])]);
    let honest = content.clone();
    let lie: Arc<AtomicUsize> = Arc::default();
    let (chosen, promised) = (Arc::clone(&lie), asked_for.clone());
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| {
        let mut reply = content.answer(asked);
        if asked.path.contains("/manifests/") {
            let another =
                || honest.answer(&Asked { path: format!("/v2/a/manifests/{other}"), ..asked.clone() }).body;
            reply.body = match chosen.load(Ordering::SeqCst) % 5 {
                0 => reply.body,
                1 => b"{".to_vec(),
                2 => vec![b'['; 100_000],
                3 => [&reply.body[..], b" "].concat(),
                _ => another(),
            };
            if chosen.load(Ordering::SeqCst) >= 5 {
                // What a registry calls it by itself.
                reply = reply.with("Docker-Content-Digest", promised.clone());
            }
        }
        reply
    });
    let by_digest = format!("127.0.0.1:5000/a@{asked_for}");
    for (number, image) in (1..5).map(|lie| (lie, &*by_digest)).chain((6..10).map(|lie| (lie, IMAGE))) {
        lie.store(number, Ordering::SeqCst);
        let pulled = pull(&engine, image, "", &[]);
        let failure = pulled.failure();
        let wanted = format!("the registry sent wrong content for {asked_for}: it has the digest sha256:");
        assert!(failure.contains(&wanted), "lie {number} of {image}: {failure}");
        assert_empty(&engine);
    }
    lie.store(0, Ordering::SeqCst);
    let _ = pull(&engine, &by_digest, "", &[]).succeeded();
    let _ = engine.delete(&format!("/images/{by_digest}")).expect(200);
    drop(server);
}

#[test]
fn what_may_pass_is_tried_again() {
    let engine = bare();
    let content = large(2);
    let tries: Arc<AtomicUsize> = Arc::default();
    let behind = content.clone();
    let server = twisted(&engine, content, move |asked, reply| {
        if asked.header("authorization") != Some("Basic am9lOnNlY3JldA==") {
            return Reply::new(401).with("WWW-Authenticate", "Basic realm=\"tests\"");
        }
        match tries.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::new(429).with("Retry-After", "1"),
            1 => Reply::new(503),
            2 => reply.ending(Ending::CutAfter(400_000)),
            // What lies elsewhere is fetched there, and no password goes with it.
            _ => Reply::new(307).with("Location", format!("http://127.0.0.2:5002{}?sign=x", asked.path)),
        }
    });
    let store = Server::start(&engine, "127.0.0.2:5002", move |asked| behind.answer(asked));
    let credentials = berth_tests::registry::authorization("joe", "secret");
    let _ = pull(&engine, IMAGE, "", &[("X-Registry-Auth", &credentials)]).succeeded();
    let asked = store.asked();
    assert!(
        asked.iter().any(|asked| asked.header("range").is_some_and(|range| range != "bytes=0-")),
        "{asked:?}"
    );
    assert!(asked.iter().all(|asked| asked.header("authorization").is_none() && asked.query == "sign=x"));
    assert!(server.asked().len() > 4);
    forget(&engine);
}

#[test]
fn a_date_to_try_again_is_waited_for() {
    let engine = bare();
    let content = large(1);
    let begin = Instant::now();
    // By its own clock, which is far behind, the registry requests nine seconds: five attempts at a pace of the
    // engine's own would be over by then.
    let server = twisted(&engine, content, move |_, reply| {
        if begin.elapsed() >= Duration::from_millis(8500) {
            return reply;
        }
        Reply::new(503)
            .with("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .with("Retry-After", "Sun, 06 Nov 1994 08:49:46 GMT")
    });
    let layer = &large(1).large(500_000)[0];
    let _ = pull(&engine, IMAGE, "", &[]).succeeded();
    assert_eq!(server.asked_for(layer).len(), 2, "it was asked again once");
    forget(&engine);
}

#[test]
fn a_killed_daemon_resumes_where_it_stopped() {
    let mut engine = bare();
    let content = large(4);
    let gate = Gate::default();
    let held = Arc::clone(&gate);
    let server = twisted(&engine, content, move |asked, reply| {
        if asked.header("range").is_some() {
            reply
        } else {
            reply.ending(Ending::HeldAfter(700_000, Arc::clone(&held)))
        }
    });
    let mut client = begin(&engine);
    let downloads = engine.data_root().join("images/blobs/sha256");
    wait::until("three parts of layers on disk", || {
        let files = std::fs::read_dir(&downloads).ok()?.flatten();
        let lengths: Vec<u64> = files.filter_map(|file| Some(file.metadata().ok()?.len())).collect();
        (lengths.iter().filter(|length| **length >= 600_000).count() >= 3).then_some(())
    });
    engine.kill_daemon();
    assert!(client.read_to_end().is_ok_and(|rest| !String::from_utf8_lossy(&rest).contains("Digest")));
    engine.start_daemon();
    assert_eq!(engine.get("/images/json?all=1").expect(200).json(), json!([]), "half an image is never seen");
    gate.store(true, Ordering::SeqCst);
    let _ = pull(&engine, IMAGE, "", &[]).succeeded();
    let starts: Vec<usize> = server
        .asked()
        .iter()
        .filter_map(|asked| asked.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
        .collect();
    assert_eq!(starts.len(), 3, "three layers were under way: {starts:?}");
    assert!(starts.iter().all(|start| *start >= 600_000), "what was there is not fetched again: {starts:?}");
    assert_eq!(std::fs::read_dir(&downloads).expect("the downloads").count(), 0, "nothing is left of them");
    forget(&engine);
}

#[test]
fn a_client_that_leaves_stops_its_pull() {
    let engine = bare();
    let gate = Gate::default();
    let held = Arc::clone(&gate);
    let server = twisted(&engine, large(3), move |_, reply| {
        reply.ending(Ending::HeldAfter(100_000, Arc::clone(&held)))
    });
    let client = begin(&engine);
    wait::until("three downloads", || (server.asked_for("").len() >= 3).then_some(()));
    drop(client);
    // They end at once, not when the registry likes, which sends nothing before the gate opens.
    wait::until("the connections' end", || (server.left() > 0).then_some(()));
    assert_empty(&engine);
    gate.store(true, Ordering::SeqCst);
    let _ = pull(&engine, IMAGE, "", &[]).succeeded();
    forget(&engine);
}

#[test]
fn two_pulls_share_their_downloads_and_one_may_leave() {
    let engine = bare();
    let gate = Gate::default();
    let held = Arc::clone(&gate);
    let content = large(2);
    let layers = content.large(500_000);
    let server = twisted(&engine, content, move |_, reply| {
        reply.ending(Ending::HeldAfter(400_000, Arc::clone(&held)))
    });
    let first = begin(&engine);
    let path = format!("/images/create{}", query(&[("fromImage", IMAGE)]));
    let (head, mut second) = engine.open("POST", &path, &[], b"");
    assert_eq!(head.status, 200);
    let _ = second.read_until(b"Downloading").expect("the second pull, which sees the first one's bar");
    let downloads = || -> Vec<Asked> {
        let of_layer = |asked: &Asked| layers.iter().any(|layer| asked.path.ends_with(layer));
        server.asked().into_iter().filter(of_layer).collect()
    };
    wait::until("both downloads", || (downloads().len() >= 2).then_some(()));
    drop(first);
    wait::until("the first one's end", || (server.left() >= 1).then_some(()));
    gate.store(true, Ordering::SeqCst);
    let _ = second.read_until(b"\"status\":\"Status: ").expect("the second pull's success");
    let begun = downloads().iter().filter(|asked| asked.header("range").is_none()).count();
    assert_eq!(begun, 2, "each layer was begun once");
    let _ = engine.get(&format!("/images/{IMAGE}/json")).expect(200);
    forget(&engine);
}

#[test]
fn a_hundred_stalled_pulls_hold_up_nothing_else() {
    let engine = Engine::start();
    let gate = Gate::default();
    let held = Arc::clone(&gate);
    let server =
        twisted(&engine, large(1), move |_, reply| reply.ending(Ending::HeldAfter(1000, Arc::clone(&held))));
    let path = format!("/images/create{}", query(&[("fromImage", IMAGE)]));
    let stalled: Vec<Connection> = (0..100)
        .map(|_| {
            let mut connection = engine.connect();
            connection.request("POST", &format!("/v1.20{path}"), &[], b"").expect("a request");
            connection
        })
        .collect();
    wait::until("a hundred pulls", || (server.asked_for("/manifests/v1").len() >= 100).then_some(()));
    let _ = engine.post("/images/busybox/tag?repo=other").expect(201);
    let _ = engine.delete("/images/other").expect(200);
    assert_eq!(engine.output(&sh("echo works")).stdout, "works\n");
    drop(stalled);
    gate.store(true, Ordering::SeqCst);
    let _ = pull(&engine, IMAGE, "", &[]).succeeded();
    forget(&engine);
}
