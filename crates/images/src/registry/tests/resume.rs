//! Downloads and uploads that break off and go on.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use super::fake::{Content, Fake};
use super::images::{Stored, gzip, noise, reference, tar};
use super::real::{Protection, Registry, Scratch};
use super::server::{Reply, Seen, Server};
use super::*;
use crate::store::digest_of;

const LENGTH: usize = 600_000;

fn big() -> (Content, String, usize) {
    let mut content = Content::new();
    let layer = tar("a", &noise(6, LENGTH));
    content.image("v1", std::slice::from_ref(&layer));
    let blob = gzip(&layer);
    (content, digest_of(&blob).to_string(), blob.len())
}

/// The ranges of the requests for a blob.
fn ranges(fake: &Fake, blob: &str) -> Vec<Option<String>> {
    let seen = fake.server.seen().into_iter().filter(|seen| seen.path.ends_with(blob));
    seen.map(|seen| seen.header("range").map(str::to_owned)).collect()
}

#[test]
fn a_broken_connection_is_resumed() {
    for knows_ranges in [true, false] {
        let (mut content, blob, length) = big();
        content.knows_ranges = knows_ranges;
        let (count, end) = (AtomicUsize::new(0), blob.clone());
        let fake = Fake::start(content, move |seen, reply| {
            let cut = seen.path.ends_with(&end) && count.fetch_add(1, Ordering::SeqCst) < 2;
            if cut { Reply { cut_after: Some(200_000), ..reply } } else { reply }
        });
        let there = Stored::new();
        there.pull(&fake.name("v1")).unwrap();
        let ranges = ranges(&fake, &blob);
        assert_eq!(ranges[0], None);
        assert_eq!(ranges[1].as_deref(), Some("bytes=200000-"), "{length}");
        assert_eq!(ranges.len(), 3, "{ranges:?}");
    }
}

#[test]
fn the_next_pull_goes_on_where_the_last_broke_off() {
    let (content, blob, length) = big();
    let (broken, end) = (Arc::new(AtomicBool::new(true)), blob.clone());
    let flag = Arc::clone(&broken);
    let fake = Fake::start(content, move |seen, reply| {
        if !seen.path.ends_with(&end) || !flag.load(Ordering::SeqCst) {
            reply
        } else if seen.header("range").is_some() {
            Reply::new(404)
        } else {
            Reply { cut_after: Some(250_000), ..reply }
        }
    });
    let there = Stored::new();
    let error = there.pull(&fake.name("v1")).unwrap_err();
    assert!(matches!(error, RegistryError::Status { status: 404, .. }), "{error}");
    assert!(there.is_empty(), "nothing half is visible");
    assert_eq!(there.downloads(), [(blob["sha256:".len()..].to_owned(), 250_000)]);
    broken.store(false, Ordering::SeqCst);
    there.pull(&fake.name("v1")).unwrap();
    assert_eq!(ranges(&fake, &blob).last().unwrap().as_deref(), Some("bytes=250000-"), "{length}");
    assert_eq!(there.downloads(), []);
    assert!(there.id(&fake.name("v1")).is_some());
}

#[test]
fn what_a_dead_process_left_is_checked() {
    let (content, blob, length) = big();
    let fake = Fake::honest(content);
    let whole = fake.content.lock().unwrap().blobs[&blob].clone();
    let mut damaged = whole[..300_000].to_vec();
    damaged[150_000..].fill(0);
    let longer = [&whole[..], b"x"].concat();
    for (left, requests) in [(whole.clone(), 0), (damaged, 2), (longer, 1), (Vec::new(), 1)] {
        let there = Stored::new();
        let before = fake.asked(&blob);
        fs::write(there.store.download_directory().join(&blob["sha256:".len()..]), &left).unwrap();
        there.pull(&fake.name("v1")).unwrap();
        assert!(there.id(&fake.name("v1")).is_some(), "{} of {length}", left.len());
        assert_eq!(fake.asked(&blob) - before, requests, "{} of {length}", left.len());
        assert_eq!(there.downloads(), []);
    }
}

#[test]
fn a_cancelled_pull_can_be_taken_up() {
    let (content, blob, _) = big();
    let (count, end) = (AtomicUsize::new(0), blob.clone());
    let fake = Fake::start(content, move |seen, reply| {
        let stall = seen.path.ends_with(&end) && count.fetch_add(1, Ordering::SeqCst) == 0;
        if stall { Reply { cut_after: Some(100_000), stall: true, ..reply } } else { reply }
    });
    let there = Stored::new();
    let cancellation = Cancellation::new();
    let client = client();
    let name = reference(&fake.name("v1"));
    let request = PullRequest {
        store: &there.store,
        reference: &name,
        credentials: None,
        platform: None,
        names: PulledNames::Tag,
    };
    let outcome = thread::scope(|scope| {
        let pull = scope.spawn(|| client.pull(&request, &Silent, &cancellation));
        while there.downloads().first().is_none_or(|(_, length)| *length < 100_000) {
            thread::yield_now();
        }
        cancellation.cancel();
        pull.join().unwrap()
    });
    assert!(matches!(outcome, Err(RegistryError::Cancelled)), "{outcome:?}");
    assert!(there.is_empty());
    there.pull_with(&client, &fake.name("v1"), None).unwrap();
    assert_eq!(ranges(&fake, &blob).last().unwrap().as_deref(), Some("bytes=100000-"));
}

/// Has a process of this test program pull this name.
const PULL_NAME: &str = "BERTH_TEST_PULL_NAME";
const PULL_STORE: &str = "BERTH_TEST_PULL_STORE";

/// Pulls in the process that the next test starts and kills; by itself it has nothing to do.
#[test]
fn pulls_for_the_test_of_a_killed_process() {
    let (Ok(name), Ok(root)) = (std::env::var(PULL_NAME), std::env::var(PULL_STORE)) else { return };
    let store = crate::Store::open(root).unwrap();
    let name = reference(&name);
    let request = PullRequest {
        store: &store,
        reference: &name,
        credentials: None,
        platform: None,
        names: PulledNames::Tag,
    };
    client().pull(&request, &Silent, &Cancellation::new()).unwrap();
}

#[test]
fn a_killed_process_leaves_what_the_next_resumes() {
    let (content, blob, _) = big();
    let (count, end) = (AtomicUsize::new(0), blob.clone());
    let fake = Fake::start(content, move |seen, reply| {
        let stall = seen.path.ends_with(&end) && count.fetch_add(1, Ordering::SeqCst) == 0;
        if stall { Reply { cut_after: Some(300_000), stall: true, ..reply } } else { reply }
    });
    let scratch = Scratch::new();
    let mut process = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "registry::tests::resume::pulls_for_the_test_of_a_killed_process"])
        .env(PULL_NAME, fake.name("v1"))
        .env(PULL_STORE, scratch.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let file = scratch.path().join("blobs/sha256").join(&blob["sha256:".len()..]);
    while !fs::metadata(&file).is_ok_and(|data| data.len() == 300_000) {
        assert!(process.try_wait().unwrap().is_none(), "the process ended before it was killed");
        thread::yield_now();
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let there = Stored::in_scratch(scratch);
    assert!(there.is_empty(), "nothing half is visible");
    there.pull(&fake.name("v1")).unwrap();
    assert_eq!(ranges(&fake, &blob).last().unwrap().as_deref(), Some("bytes=300000-"));
    assert!(there.id(&fake.name("v1")).is_some());
}

#[test]
fn one_failed_layer_stops_the_others() {
    let mut content = Content::new();
    let tars = [tar("a", &noise(7, 50_000)), tar("b", &noise(8, 50_000))];
    content.image("v1", &tars);
    let blobs = tars.each_ref().map(|tar| digest_of(&gzip(tar)).to_string());
    let fake = Fake::start(content, move |seen, reply| {
        if seen.path.ends_with(&blobs[0]) {
            Reply { cut_after: Some(10), stall: true, ..reply }
        } else if seen.path.ends_with(&blobs[1]) {
            thread::sleep(Duration::from_millis(200));
            Reply::new(404)
        } else {
            reply
        }
    });
    let there = Stored::new();
    let error = there.pull(&fake.name("v1")).unwrap_err();
    assert!(matches!(error, RegistryError::Status { status: 404, .. }), "{error}");
    assert!(there.is_empty());
}

/// Passes requests on to a real registry, but breaks the first uploads.
fn breaking_proxy(host: String, broken: usize) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |seen: &Seen| {
        let mut url = url::Url::parse(&format!("http://{host}{}", seen.path)).unwrap();
        for (name, values) in &seen.query {
            for value in values {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let cut = seen.method == "PATCH" && count.fetch_add(1, Ordering::SeqCst) < broken;
        let length = if cut { seen.body.len() / 2 } else { seen.body.len() };
        let mut request = ureq::http::Request::builder().method(seen.method.as_str()).uri(url.as_str());
        for name in ["content-type", "accept"] {
            if let Some(value) = seen.header(name) {
                request = request.header(name, value);
            }
        }
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let answer = if matches!(seen.method.as_str(), "GET" | "HEAD" | "DELETE") {
            agent.run(request.body(()).unwrap()).unwrap()
        } else {
            agent.run(request.body(&seen.body[..length]).unwrap()).unwrap()
        };
        if cut {
            return Reply::new(503);
        }
        let mut reply = Reply::new(answer.status().as_u16());
        for (name, value) in answer.headers() {
            let value = value.to_str().unwrap().replace(&format!("http://{host}"), "");
            if name != "content-length" || seen.method == "HEAD" {
                reply = reply.with(name.as_str(), value);
            }
        }
        reply.body(answer.into_body().read_to_vec().unwrap())
    })
}

#[test]
fn a_broken_upload_begins_again_where_the_registry_forgets_it() {
    let registry = Registry::start(Protection::Open);
    let proxy = breaking_proxy(registry.host.clone(), 2);
    let name = format!("{}/a/b:v1", proxy.host);
    let here = Stored::new();
    let id = here.image(&name, &[&tar("a", &noise(9, LENGTH))]);
    here.push(&name).unwrap();
    let there = Stored::new();
    there.pull(&format!("{}/a/b:v1", registry.host)).unwrap();
    assert_eq!(there.id(&format!("{}/a/b:v1", registry.host)), Some(id));
}

/// A registry that takes uploads and keeps half of each of the first patches.
fn forgetful(broken: usize) -> (Server, Arc<Mutex<Vec<u8>>>) {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (content, count) = (Arc::clone(&taken), AtomicUsize::new(0));
    let server = Server::start(move |seen| {
        let mut content = content.lock().unwrap();
        match seen.method.as_str() {
            "GET" if seen.path == "/v2/" => Reply::new(200),
            "HEAD" => Reply::new(404),
            "POST" => {
                content.clear();
                Reply::new(202).with("Location", "/v2/a/b/blobs/uploads/1?state=0")
            }
            "PATCH" => {
                let range = seen.header("content-range").unwrap();
                assert_eq!(range.split_once('-').unwrap().0, content.len().to_string());
                let breaks =
                    content.len() + seen.body.len() > 10_000 && count.fetch_add(1, Ordering::SeqCst) < broken;
                let length = if breaks { seen.body.len() / 2 } else { seen.body.len() };
                content.extend(&seen.body[..length]);
                let location = format!("/v2/a/b/blobs/uploads/1?state={}", content.len());
                Reply::new(if breaks { 502 } else { 202 }).with("Location", location)
            }
            "GET" => Reply::new(204)
                .with("Range", format!("0-{}", content.len() - 1))
                .with("Location", format!("/v2/a/b/blobs/uploads/1?state={}", content.len())),
            "PUT" if seen.path.contains("/uploads/") => {
                let wrong = digest_of(&content).to_string() != seen.query["digest"][0];
                Reply::new(if wrong { 400 } else { 201 })
            }
            _ => Reply::new(201),
        }
    });
    (server, taken)
}

#[test]
fn a_broken_upload_is_resumed() {
    let (server, _content) = forgetful(2);
    let name = format!("{}/a/b:v1", server.host);
    let here = Stored::new();
    here.image(&name, &[&tar("a", &noise(9, LENGTH))]);
    here.push(&name).unwrap();
    let sent: Vec<_> = server.seen().into_iter().filter(|seen| seen.method == "PATCH").collect();
    let lengths: Vec<_> = sent.iter().map(|seen| seen.body.len()).filter(|length| *length > 10_000).collect();
    assert_eq!(lengths.len(), 3, "{lengths:?}");
    assert!(lengths[1] <= lengths[0] / 2 + 1 && lengths[2] <= lengths[1] / 2 + 1, "{lengths:?}");
    assert!(server.seen().iter().any(|seen| seen.line() == "PUT /v2/a/b/manifests/v1"));
}

#[test]
fn a_token_that_ends_during_an_upload_is_renewed() {
    let number = Arc::new(AtomicUsize::new(0));
    let issued = Arc::clone(&number);
    let service = Server::start(move |seen| {
        assert_eq!(seen.query["scope"], ["repository:a/b:pull,push"]);
        let token = format!("t{}", issued.fetch_add(1, Ordering::SeqCst));
        Reply::json(&serde_json::json!({"token": token, "expires_in": 300}))
    });
    let challenge = format!("Bearer realm=\"{}\"", service.url("/token"));
    let server = Server::start(move |seen| {
        let valid =
            if seen.method == "PATCH" { ["Bearer t1", "Bearer t1"] } else { ["Bearer t0", "Bearer t1"] };
        if !seen.header("authorization").is_some_and(|header| valid.contains(&header)) {
            return Reply::new(401).with("WWW-Authenticate", &challenge);
        }
        // The first token ends when the first patch comes.
        let ended =
            number.load(Ordering::SeqCst) == 1 && seen.path.ends_with("/uploads/1") && seen.method == "GET";
        match seen.method.as_str() {
            _ if ended => Reply::new(401).with("WWW-Authenticate", &challenge),
            "HEAD" => Reply::new(404),
            "GET" => Reply::new(404),
            "POST" | "PATCH" => Reply::new(202).with("Location", "/v2/a/b/blobs/uploads/1"),
            _ => Reply::new(201),
        }
    });
    let name = format!("{}/a/b:v1", server.host);
    let here = Stored::new();
    here.image(&name, &[&tar("a", b"one")]);
    here.push(&name).unwrap();
    assert_eq!(service.seen().len(), 2, "one token, and one more when it ended");
}

#[test]
fn all_of_a_layer_of_unknown_size_may_be_there() {
    for damaged in [false, true] {
        let mut content = Content::new();
        let layer = gzip(&tar("a", b"one"));
        let blob = content.blob(layer.clone());
        let step =
            json!({"id": "a", "created": "2015-10-01T00:00:00Z", "os": "linux", "architecture": "amd64"});
        let document = json!({
            "schemaVersion": 1, "name": "a/b", "tag": "v1", "architecture": "amd64",
            "fsLayers": [{"blobSum": blob}], "history": [{"v1Compatibility": step.to_string()}],
        });
        content.manifest("v1", crate::registry::manifest::LEGACY, &document);
        let fake = Fake::honest(content);
        let there = Stored::new();
        let mut left = layer;
        if damaged {
            left[12..].fill(0);
        }
        fs::write(there.store.download_directory().join(blob.hexadecimal()), &left).unwrap();
        there.pull(&fake.name("v1")).unwrap();
        assert!(there.id(&fake.name("v1")).is_some());
        assert_eq!(fake.asked(&blob.to_string()), if damaged { 2 } else { 1 });
        assert_eq!(there.downloads(), []);
    }
}
