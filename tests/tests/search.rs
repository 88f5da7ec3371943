//! `GET /images/search` against an index of the old protocol.

use std::time::Instant;

use berth_tests::registry::{Reply, Server, authorization};
use berth_tests::{Engine, Options, cli, query};
use serde_json::{Value, json};

fn index(engine: &Engine) -> Server {
    Server::start(engine, "127.0.0.1:5000", |asked| {
        let found = json!([
            { "name": "wma55/u1210sshd", "description": "one", "is_official": false, "is_automated": true,
              "is_trusted": true, "star_count": 7 },
            { "name": "jdswinbank/sshd", "description": null, "is_official": true, "star_count": 2, "new": 1 },
        ]);
        match (asked.path.as_str(), asked.query.split('&').next()) {
            ("/v1/search", Some("q=sshd")) => Reply::new(200).body(json!({ "results": found }).to_string()),
            ("/v1/search", Some("q=none")) => Reply::new(200).body(r#"{"results":[]}"#),
            ("/v1/search", Some("q=rubbish")) => Reply::new(200).body("<html>"),
            ("/v1/search", _) => Reply::new(503),
            _ => Reply::new(404),
        }
    })
}

#[test]
fn an_index_is_searched() {
    let engine = Engine::start_with(Options { without_image: true, ..Options::default() });
    let index = index(&engine);
    let search = |pairs: &[(&str, &str)]| engine.get(&format!("/images/search{}", query(pairs)));
    let names = |found: &Value| -> Vec<String> {
        let list = found.as_array().expect("a list").iter();
        list.map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect()
    };
    let both = search(&[("term", "127.0.0.1:5000/sshd")]).expect(200);
    assert_eq!(both.head.header("content-type"), Some("application/json"));
    assert_eq!(names(&both.json()), ["wma55/u1210sshd", "jdswinbank/sshd"]);
    let second = &both.json()[1];
    let wanted = json!({ "name": "jdswinbank/sshd", "description": "", "is_official": true, "is_automated": false,
                         "is_trusted": false, "star_count": 2 });
    assert_eq!(second, &wanted);
    assert_eq!(search(&[("term", "127.0.0.1:5000/none")]).expect(200).json(), json!([]));

    let limited = search(&[("term", "127.0.0.1:5000/sshd"), ("limit", "1")]).expect(200).json();
    assert_eq!(names(&limited), ["wma55/u1210sshd"]);
    for (filters, wanted) in [
        (r#"{"is-official":["true"]}"#, vec!["jdswinbank/sshd"]),
        (r#"{"is-automated":{"1":true}}"#, vec!["wma55/u1210sshd"]),
        (r#"{"stars":["3"]}"#, vec!["wma55/u1210sshd"]),
    ] {
        let found = search(&[("term", "127.0.0.1:5000/sshd"), ("filters", filters)]).expect(200).json();
        assert_eq!(names(&found), wanted, "{filters}");
    }
    for (name, value) in
        [("limit", "101"), ("limit", "x"), ("filters", r#"{"stars":["x"]}"#), ("filters", r#"{"a":["b"]}"#)]
    {
        let refused = search(&[("term", "127.0.0.1:5000/sshd"), (name, value)]);
        assert_eq!(refused.status(), 400, "{name}={value}: {}", refused.text());
    }

    let path = "/images/search?term=127.0.0.1:5000/sshd";
    for header in [authorization("joe", "secret"), "!!!".to_owned()] {
        let _ = engine.call("GET", path, &[("X-Registry-Auth", &header)], b"").expect(200);
    }
    let told: Vec<_> =
        index.asked().iter().filter_map(|asked| asked.header("authorization").map(str::to_owned)).collect();
    assert_eq!(told, ["Basic am9lOnNlY3JldA=="], "only good credentials are sent");
}

#[test]
fn an_index_that_fails_or_is_not_there() {
    let engine = Engine::start_with(Options { without_image: true, ..Options::default() });
    let index = index(&engine);
    let begin = Instant::now();
    for (term, text) in [
        ("127.0.0.1:5000/broken", "Unexpected status code 503"),
        ("127.0.0.1:5000/rubbish", "malformed list of search results"),
        ("127.0.0.1:1/foo", "cannot reach the registry 127.0.0.1:1"),
        ("sshd", "cannot reach the registry index.docker.io"),
        ("", "repository name must have at least one component"),
        ("Bad!", "repository name component must match"),
        ("http://127.0.0.1:5000/foo", "Invalid repository name"),
    ] {
        let failed = engine.get(&format!("/images/search{}", query(&[("term", term)]))).expect(500);
        assert!(failed.text().contains(text), "{term:?}: {}", failed.text());
    }
    assert!(begin.elapsed() < berth_tests::wait::TIMEOUT, "no network is an error in seconds");
    for docker in cli::clients(&engine) {
        let found = docker.ok(&["search", "--no-trunc", "127.0.0.1:5000/sshd"]);
        assert!(found.contains("wma55/u1210sshd") && found.contains("[OK]"), "{found}");
        let missing = docker.run(&["search", "sshd"]);
        assert!(missing.code != 0 && missing.stderr.contains("index.docker.io"), "{missing:?}");
    }
    drop(index);
}
