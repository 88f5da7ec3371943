//! Pushes, pulls and builds with Debian's registries, one open and one with a password, as they were recorded.

use std::collections::BTreeMap;

use berth_tests::registry::{Protection, Registry};
use berth_tests::tarball::{self, TAR};
use berth_tests::{Answer, Engine, query};
use serde::Deserialize;
use serde_json::Value;

use super::{Outcome, expected, marked, read, text};

/// A recorded request.
#[derive(Debug, Deserialize)]
struct Case {
    scenario: String,
    name: String,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    dockerfile: Option<String>,
    /// Which names of the registries' images are forgotten before.
    fresh: Option<Forgotten>,
    expected: Outcome,
    here: Option<Outcome>,
    why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Forgotten {
    All,
    Tags,
}

#[test]
fn pushes_pulls_and_builds_are_answered_as_they_were_recorded() {
    let engine = Engine::start();
    let _open = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let _closed = Registry::start(&engine, "127.0.0.1:5001", &Protection::Password);
    make_images(&engine);
    let mut marks = BTreeMap::new();
    let image = engine.get("/images/127.0.0.1:5000/a:v1/json").expect(200).json();
    let id = image["Id"].as_str().expect("an id").to_owned();
    marks.insert("<ID1:12>".to_owned(), id[..12].to_owned());
    marks.insert("<ID1>".to_owned(), id);
    marks.insert("<ID10>".to_owned(), "1".repeat(64));
    marks.insert("<ID11>".to_owned(), "2".repeat(64));
    let cases: Vec<Case> = read(include_str!("registry.jsonl"));
    for case in &cases {
        if let Some(forgotten) = case.fresh {
            forget(&engine, forgotten);
        }
        let answer = ask(&engine, case, &marks);
        let told = outcome(case, &answer);
        let wanted = expected(&case.expected, case.here.as_ref(), case.why.as_ref());
        assert_eq!(told, wanted, "{}: {}", case.scenario, case.name);
        learn(&answer, &mut marks);
        if case.path.ends_with("/containers/create") {
            engine.remove(answer.json()["Id"].as_str().expect("an id"));
        }
    }
    forget(&engine, Forgotten::All);
    for name in ["joe/y", "127.0.0.1:1/d:latest"] {
        let _ = engine.delete(&format!("/images/{name}?force=1")).expect(200);
    }
    remove_what_was_built(&engine);
    // The registries' blobs of its layers are recorded as long as it is there.
    let _ = engine.delete("/images/busybox").expect(200);
}

/// An image of three layers over busybox, under the names that are pushed.
fn make_images(engine: &Engine) {
    let dockerfile = "FROM busybox\nRUN [\"/bin/busybox\",\"touch\",\"/x\"]\nRUN [\"/bin/busybox\",\"touch\",\"/y\"]\nCMD [\"sh\"]\n";
    let context = tarball::of(&[("Dockerfile", dockerfile)]);
    let _ = engine.call("POST", "/build?t=127.0.0.1:5000/a:v1", &TAR, &context).expect(200);
    for (repository, tag, source) in [
        ("127.0.0.1:5000/a", "v2", "127.0.0.1:5000/a:v1"),
        ("127.0.0.1:5000/a", "base", "busybox"),
        ("127.0.0.1:5001/p", "v1", "127.0.0.1:5000/a:v1"),
        ("joe/y", "latest", "busybox"),
        ("127.0.0.1:1/d", "latest", "busybox"),
    ] {
        let name = query(&[("repo", repository), ("tag", tag)]);
        let _ = engine.post(&format!("/images/{source}/tag{name}")).expect(201);
    }
}

fn ask(engine: &Engine, case: &Case, marks: &BTreeMap<String, String>) -> Answer {
    let filled =
        |text: &str| marks.iter().fold(text.to_owned(), |text, (mark, value)| text.replace(mark, value));
    let path = filled(case.path.strip_prefix("/v1.20").expect("the version"));
    let headers: Vec<(&str, &str)> =
        case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = match (&case.body, &case.dockerfile) {
        (Some(body), _) => filled(body).into_bytes(),
        (None, Some(dockerfile)) => tarball::of(&[("Dockerfile", &filled(dockerfile))]),
        (None, None) => Vec::new(),
    };
    engine.call(&case.method, &path, &headers, &body)
}

/// The outcome of an answer: of a stream its last message, of untagged names all, of other answers their
/// status.
fn outcome(case: &Case, answer: &Answer) -> Outcome {
    let body = text(answer);
    let text = match answer.status() {
        400.. => marked(&body),
        _ if case.method == "GET" || case.path.ends_with("/containers/create") => String::new(),
        _ if body.starts_with('[') => marked(&body),
        _ => {
            let last = body.lines().last().unwrap_or("{}");
            let last: Value = serde_json::from_str(last).expect("a message");
            let said = ["error", "status", "stream"].iter().find_map(|key| last[key].as_str());
            marked(said.unwrap_or_default().trim())
        }
    };
    Outcome { status: answer.status(), text }
}

/// Records the digests in the answer to a push.
fn learn(answer: &Answer, marks: &mut BTreeMap<String, String>) {
    for (tag, mark) in [("v1", "<DIGEST1>"), ("v2", "<DIGEST2>"), ("base", "<DIGEST3>")] {
        if let Some(rest) = answer.text().split(&format!("\"{tag}: digest: sha256:")).nth(1) {
            marks.insert(mark.to_owned(), rest[..64].to_owned());
        }
    }
}

fn forget(engine: &Engine, forgotten: Forgotten) {
    // A digest goes with the last tag, so the list is read again after each.
    while let Some(name) = next_forgotten(engine, forgotten) {
        let _ = engine.delete(&format!("/images/{name}?force=1")).expect(200);
    }
}

/// A name that the next case must not find.
fn next_forgotten(engine: &Engine, forgotten: Forgotten) -> Option<String> {
    let images = engine.get("/images/json?digests=1").expect(200).json();
    let images = images.as_array().expect("a list");
    let lists = images.iter().flat_map(|image| {
        let digests = image["RepoDigests"].as_array().filter(|_| forgotten == Forgotten::All);
        image["RepoTags"].as_array().into_iter().chain(digests)
    });
    let names = lists.flatten().filter_map(Value::as_str);
    let mut own = names.filter(|name| name.starts_with("127.0.0.1:500") || name.starts_with("bydig"));
    own.next().map(str::to_owned)
}

/// Images without a name, those that the builds have made first.
fn remove_what_was_built(engine: &Engine) {
    loop {
        let listed = engine.get("/images/json?all=1").expect(200).json();
        let all = listed.as_array().expect("a list");
        let is_parent = |id: &Value| all.iter().any(|image| image["ParentId"] == *id);
        let unnamed =
            |image: &&Value| image["RepoTags"][0].as_str().is_none_or(|name| name == "<none>:<none>");
        let Some(image) = all.iter().filter(unnamed).find(|image| !is_parent(&image["Id"])) else { return };
        let _ =
            engine.delete(&format!("/images/{}?force=1", image["Id"].as_str().expect("an id"))).expect(200);
    }
}
