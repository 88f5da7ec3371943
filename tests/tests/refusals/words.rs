//! No answer shows what the language's libraries add to an error: numbers, positions, names of types.

use berth_tests::registry::{Reply, Server, pull};
use berth_tests::{Context, Engine, query};
use serde_json::{Value, json};

use super::host;

/// What such texts hold.
const OF_LIBRARIES: [&str; 8] = [
    "(os error",
    " at line ",
    "missing field `",
    "invalid type: ",
    "unknown variant `",
    "invalid length ",
    "untagged enum",
    "expected value",
];

/// Fails where an answer's text is one of a library.
pub(crate) fn assert_plain(text: &str) {
    for words in OF_LIBRARIES {
        assert!(!text.contains(words), "{text:?} says {words:?}");
    }
}

/// How a start with these settings fails, without the act and the container in front.
fn failed_start(engine: &Engine, over: &Value, status: u16) -> String {
    let id = engine.create(&berth_tests::merged(berth_tests::sh("true"), over.clone()));
    let text = engine.post(&format!("/containers/{id}/start")).expect(status).text();
    let cause =
        text.strip_prefix(&format!("Cannot start container {id}: ")).expect("the act and the container");
    let shown = engine.state(&id, "Error");
    assert_eq!(shown, cause.trim_end(), "the container shows the same");
    engine.remove(&id);
    cause.trim_end().to_owned()
}

#[test]
fn a_start_fails_in_the_words_of_the_kernel() {
    let engine = Engine::start();
    let seccomp = |profile: &str| host("SecurityOpt", json!([format!("seccomp={profile}")]));
    for (over, status, words) in [
        (host("Binds", json!(["/etc/passwd/x:/x"])), 500, "stat /etc/passwd/x: not a directory"),
        (host("Binds", json!(["/proc/nosuch:/x"])), 404, "mkdir /proc/nosuch: no such file or directory"),
        (
            host("Binds", json!(["/etc/passwd:/tmp"])),
            500,
            "[8] System error: mounting the file /etc/passwd at the directory /tmp: not a directory",
        ),
        (
            host("Tmpfs", json!({ "/etc/passwd": "" })),
            500,
            "[8] System error: mounting a tmpfs at the file /etc/passwd: not a directory",
        ),
        (json!({ "WorkingDir": "/etc/passwd/x" }), 500, "Cannot mkdir: /etc/passwd/x is not a directory"),
        (
            json!({ "Cmd": ["/etc/passwd/x"] }),
            500,
            "[8] System error: exec: \"/etc/passwd/x\": stat /etc/passwd/x: not a directory",
        ),
        (
            host("Sysctls", json!({ "net.nosuch": "1" })),
            404,
            "[8] System error: setting net.nosuch: no such file or directory",
        ),
        (seccomp("{}"), 500, "[8] System error: Decoding seccomp profile failed: unknown action \"\""),
        (
            seccomp(r#"{"defaultAction":5}"#),
            500,
            "[8] System error: Decoding seccomp profile failed: a value before line 1, character 19 is of another \
             kind than needed, or one is missing",
        ),
    ] {
        assert_eq!(failed_start(&engine, &over, status), words, "{over}");
    }
}

#[test]
fn malformed_json_is_located_wherever_it_comes() {
    let engine = Engine::start();
    let json = [("Content-Type", "application/json")];
    for (body, words) in [
        (&b"{"[..], "invalid request body: it is not valid JSON: it ends too early\n"),
        (
            b"{\"Image\":x}",
            "invalid request body: it is not valid JSON: something that is not JSON stands before line 1, character 11\n",
        ),
        (
            br#"{"Image":"x","HostConfig":{"ConsoleSize":[1]}}"#,
            "HostConfig.ConsoleSize: must be an array of length 2, not 1 values\n",
        ),
    ] {
        let text = engine.call("POST", "/containers/create", &json, body).expect(500).text();
        assert!(text.ends_with(words), "{text}");
    }
    for path in ["/containers/json", "/images/json", "/events"] {
        let answer = engine.get(&format!("{path}{}", query(&[("filters", "{bad"), ("until", "1")])));
        assert!(answer.text().contains("something that is not JSON"), "{path}: {}", answer.text());
        assert_plain(&answer.text());
    }
    let auth = [("X-Registry-Auth", "eyJ1c2VybmFtZSI6NX0=")];
    let text = engine.call("POST", "/images/create?fromImage=127.0.0.1:1/x", &auth, b"").text();
    assert!(text.contains("is not the JSON of credentials"), "{text}");
    assert_plain(&text);
    let archive = berth_tests::Context::empty().file("manifest.json", "[{\"Config\":5}]").bytes();
    let text = engine.call("POST", "/images/load", &[], &archive).text();
    assert!(text.starts_with("cannot read the document manifest.json: "), "{text}");
    assert_plain(&text);
    for (name, value) in [
        ("ulimits", "[{\"Soft\":\"x\"}]"),
        ("ulimits", "x"),
        ("labels", "{"),
        ("labels", "x"),
        ("buildargs", "[]"),
        ("buildargs", "x"),
        ("extrahosts", "[5]"),
    ] {
        let refused = engine.build(&[(name, value)], Context::of("FROM busybox\n"));
        assert_eq!(refused.status, 500, "{name}: {}", refused.said);
        assert!(refused.said.starts_with(name), "{}", refused.said);
        assert_plain(&refused.said);
    }
}

#[test]
fn what_a_registry_sends_is_judged_in_own_words() {
    const MANIFESTS: [&str; 6] =
        ["[]", "{}", "junk", "\"x\"", r#"{"schemaVersion":"x"}"#, r#"{"schemaVersion":1,"fsLayers":5}"#];
    const TOKENS: [&str; 5] = ["[]", "5", "junk", r#"{"token":5}"#, r#"{"token":["x"],"expires_in":{}}"#];
    let engine = Engine::start();
    let _server = Server::start(&engine, "127.0.0.1:5000", |asked| {
        let mut parts = asked.path.trim_start_matches("/v2/").split('/');
        let [kind, number] = [(); 2].map(|()| parts.next().unwrap_or_default());
        let number: usize = number.parse().unwrap_or_default();
        match kind {
            "manifest" => Reply::new(200).body(MANIFESTS[number]),
            "token" => {
                let realm = format!("Bearer realm=\"http://127.0.0.1:5000/answer/{number}\"");
                Reply::new(401).with("Www-Authenticate", realm)
            }
            "" if number == 0 && asked.path.starts_with("/answer/") => {
                let number: usize = asked.path["/answer/".len()..].parse().expect("a number");
                Reply::new(200).body(TOKENS[number])
            }
            _ => Reply::new(200),
        }
    });
    for (kind, count, words) in
        [("manifest", MANIFESTS.len(), "the manifest is malformed: "), ("token", TOKENS.len(), "/answer/")]
    {
        for number in 0..count {
            let failed = pull(&engine, &format!("127.0.0.1:5000/{kind}/{number}"), "v1", &[]);
            assert!(failed.failure().contains(words), "{kind} {number}: {failed:?}");
            assert_plain(failed.failure());
        }
    }
}

#[test]
fn archives_fail_in_the_words_of_the_kernel() {
    let engine = Engine::start();
    let archive = Context::empty().file("a", "a").bytes();
    let id = engine.run(&berth_tests::sh("sleep 1000"));
    let answer = engine.call("PUT", &format!("/containers/{id}/archive?path=/proc"), &[], &archive);
    assert_eq!(answer.expect(404).text(), "cannot create \"a\": no such file or directory\n");
}
