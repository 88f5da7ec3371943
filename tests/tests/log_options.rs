//! `HostConfig.LogConfig`: options that no driver can use are refused, and nothing is left.

use berth_tests::{Engine, merged, sh};
use serde_json::json;

#[test]
fn bad_options_are_refused_with_the_reason() {
    let engine = Engine::start();
    let here = json!({ "syslog-address": "udp://127.0.0.1:1" });
    for (driver, options, cause) in [
        (
            "bogus",
            json!({}),
            "Failed to get logging factory: logger: no log driver named 'bogus' is registered",
        ),
        ("json-file", json!({ "bogus": "1" }), "unknown log opt 'bogus' for json-file log driver"),
        ("json-file", json!({ "max-size": "abc" }), "invalid size: 'abc'"),
        ("local", json!({ "bogus": "1" }), "unknown log opt 'bogus' for local log driver"),
        (
            "json-file",
            json!({ "compress": "true" }),
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ("json-file", json!({ "max-size": "1k", "max-file": "0" }), "max-files cannot be less than 1."),
        ("json-file", json!({ "max-size": "1k", "max-file": "x" }), "max-file must be a number, not 'x'"),
        ("syslog", json!({ "bogus": "1" }), "unknown log opt 'bogus' for syslog log driver"),
        ("syslog", merged(here.clone(), json!({ "syslog-facility": "x" })), "invalid syslog facility"),
        ("syslog", json!({ "syslog-address": "unix:///no/such" }), "Unix syslog delivery error"),
        (
            "syslog",
            merged(here, json!({ "tag": "{{.Nope}}" })),
            "invalid log tag '{{.Nope}}': {{.ID}}, .FullID, .Name, .ImageName, .ImageID, .ImageFullID, .Command and .DaemonName are known",
        ),
        ("gelf", json!({}), "gelf: cannot connect to GELF endpoint:  dial udp: missing address"),
        (
            "gelf",
            json!({ "gelf-address": "foo" }),
            "gelf: cannot connect to GELF endpoint:  dial udp: missing address",
        ),
        (
            "gelf",
            json!({ "gelf-address": "udp://h", "gelf-compression-type": "zip" }),
            "gelf: invalid compression type 'zip': gzip, zlib and none are known",
        ),
        (
            "gelf",
            json!({ "gelf-address": "udp://no.such.name.invalid" }),
            "cannot resolve the log server no.such.name.invalid: ",
        ),
        ("syslog", json!({ "syslog-address": "unix:///no/such/socket" }), "Unix syslog delivery error"),
    ] {
        let log = json!({ "HostConfig": { "LogConfig": { "Type": driver, "Config": options } } });
        let id = engine.create(&merged(sh("true"), log));
        let answer = engine.post(&format!("/containers/{id}/start")).expect(500);
        let wanted = format!("Cannot start container {id}: ");
        let text = answer.text().strip_prefix(&wanted).expect("the container").to_owned();
        let reason =
            text.strip_prefix("Failed to initialize logging driver: ").unwrap_or_else(|| panic!("{text}"));
        assert!(
            reason.trim_end() == cause || (cause.ends_with(": ") && reason.starts_with(cause)),
            "{reason}"
        );
        let state = engine.inspect(&id)["State"].clone();
        assert_eq!((&state["Running"], &state["ExitCode"]), (&json!(false), &json!(128)), "{state}");
        engine.remove(&id);
    }
}

#[test]
fn of_a_variable_that_is_given_twice_the_last_one_counts() {
    let engine = Engine::start();
    for option in ["env", "env-regex"] {
        let log = json!({ "Type": "json-file", "Config": { option: "WORD" } });
        let body = json!({ "Env": ["WORD=first", "WORD=last"], "HostConfig": { "LogConfig": log } });
        let id = engine.run(&merged(sh("echo $WORD"), body));
        assert_eq!(engine.wait(&id), 0);
        let logs = engine.at("1.40").get(&format!("/containers/{id}/logs?stdout=1&details=1")).expect(200);
        let (stdout, _) = berth_tests::frames::split(&logs.body);
        assert_eq!(String::from_utf8_lossy(&stdout), "WORD=last last\n", "{option}");
    }
}
