//! Texts of a create that would be something else where they arrive: another line of a file, the end of a name.

use berth_tests::{merged, sh};
use serde_json::{Value, json};

use super::Target;

fn host(field: &str, value: Value) -> Value {
    json!({ "HostConfig": { field: value } })
}

/// Texts that only this engine refuses at create: the specification's word for them is "bad parameter".
#[test]
fn texts_that_nothing_could_hold_are_bad_parameters() {
    let engine = Target::start();
    let long = "n".repeat(256);
    let name = engine.post_json(&format!("/containers/create?name={long}"), &sh("true"));
    assert_eq!(name.status(), 400);
    assert_eq!(name.text(), "Invalid container name: it has 256 bytes, 255 are allowed\n");
    for (over, want) in [
        (
            host("Dns", json!(["10.0.0.1\noptions ndots:15"])),
            "Dns: \"10.0.0.1\\noptions ndots:15\" holds blanks or control characters\n",
        ),
        (
            host("Dns", json!(["10.0.0.1 10.0.0.2"])),
            "Dns: \"10.0.0.1 10.0.0.2\" holds blanks or control characters\n",
        ),
        (
            host("DnsSearch", json!(["a.example b.example"])),
            "DnsSearch: \"a.example b.example\" holds blanks or control characters\n",
        ),
        (
            host("DnsOptions", json!(["ndots:1\tx"])),
            "DnsOptions: \"ndots:1\\tx\" holds blanks or control characters\n",
        ),
        (host("Dns", json!(["#x"])), "Dns: \"#x\" holds a sign that begins a comment\n"),
        (host("DnsSearch", json!([";x"])), "DnsSearch: \";x\" holds a sign that begins a comment\n"),
        (host("DnsOptions", json!(["#"])), "DnsOptions: \"#\" holds a sign that begins a comment\n"),
        (host("DnsSearch", json!(["a".repeat(256)])), "DnsSearch: a word has 256 bytes, 255 are allowed\n"),
        (
            host("Dns", json!(["10.0.0.1\u{0}"])),
            "invalid request body: HostConfig.Dns[0]: \"10.0.0.1\\0\" holds a NUL byte\n",
        ),
        (json!({ "Cmd": ["a\u{0}"] }), "invalid request body: Cmd[0]: \"a\\0\" holds a NUL byte\n"),
        (json!({ "Env": ["A=\u{0}"] }), "invalid request body: Env[0]: \"A=\\0\" holds a NUL byte\n"),
        (json!({ "Labels": { "a\u{0}": "b" } }), "invalid request body: Labels: \"a\\0\" holds a NUL byte\n"),
        (
            json!({ "Unknown": { "deep": ["\u{0}"] } }),
            "invalid request body: Unknown.deep[0]: \"\\0\" holds a NUL byte\n",
        ),
    ] {
        let answer = engine.post_json("/containers/create", &merged(sh("true"), over.clone()));
        assert_eq!((answer.status(), answer.text().as_str()), (400, want), "{over}");
    }
    // Clients of that time send these.
    let sent = json!({ "HostConfig": { "Dns": [""], "DnsSearch": [""], "DnsOptions": [""] } });
    for over in [sent, host("DnsSearch", json!(["."]))] {
        engine.remove(&engine.create(&merged(sh("true"), over)));
    }
}

#[test]
fn names_longer_than_those_of_files_are_refused() {
    let engine = Target::start();
    let long = "a".repeat(256);
    let refused_by = |status: u16, answer: berth_tests::Answer| answer.expect(status).text();
    let refused = |answer| refused_by(500, answer);
    let text = refused_by(400, engine.post_json(&format!("/containers/create?name={long}"), &sh("true")));
    assert!(text.contains("Invalid container name: it has 256 bytes, 255 are allowed"), "{text}");
    let id = engine.create_named(&long[..255], &sh("true"));
    let text = refused_by(400, engine.post(&format!("/containers/{id}/rename?name={long}")));
    assert!(text.contains("it has 256 bytes, 255 are allowed"), "{text}");
    let volume = host("Binds", json!([format!("{long}:/v")]));
    let text = refused(engine.post_json("/containers/create", &merged(sh("true"), volume)));
    assert!(text.contains("invalid characters for a local volume name"), "{text}");
    let text = refused_by(400, engine.post(&format!("/images/busybox/tag?repo=x&tag={long}")));
    assert!(text.contains("Illegal tag name"), "{text}");
    let text = refused_by(400, engine.post(&format!("/images/busybox/tag?repo={long}")));
    assert!(text.contains("repository name must not be more than 255 characters"), "{text}");
}

/// A name with a newline would else begin a line of the daemon's log, or send a command to the terminal that shows it.
#[test]
fn names_forge_no_lines_of_the_log() {
    let engine = Target::start();
    let _ = engine.get("/containers/a%0AERROR%20forged%0D%1B%5B2J/json").expect(404);
    let log = engine.log();
    assert!(log.contains("a\\nERROR forged\\r\\x1b[2J"), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("ERROR forged")), "{log}");
    assert!(!log.contains(['\r', '\u{1b}']), "{log}");
}
