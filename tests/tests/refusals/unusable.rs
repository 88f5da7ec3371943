//! What no kernel takes and only this engine refuses when it comes: 400 in every version.

use berth_tests::{Engine, merged, sh};
use serde_json::json;

use super::{host, refuse_all_with};

#[test]
fn nul_bytes_and_lines_within_a_setting_are_malformed_wherever_they_stand() {
    let engine = Engine::start();
    refuse_all_with(
        400,
        &engine,
        &[
            (json!({ "WorkingDir": "/a\u{0}b" }), "NUL"),
            (json!({ "Env": ["A=\u{0}"] }), "NUL"),
            (json!({ "Cmd": ["a\u{0}"] }), "NUL"),
            (json!({ "Labels": { "a\u{0}": "b" } }), "Labels: \"a\\0\" holds a NUL byte"),
            (json!({ "Labels": { "a": "\u{0}" } }), "Labels.a: \"\\0\" holds a NUL byte"),
            (json!({ "Volumes": { "/v\u{0}": {} } }), "NUL"),
            (json!({ "ExposedPorts": { "80\u{0}": {} } }), "NUL"),
            (host("CgroupParent", json!("a\u{0}")), "NUL"),
            (host("Dns", json!(["10.0.0.1\u{0}"])), "HostConfig.Dns[0]: \"10.0.0.1\\0\" holds a NUL byte"),
            (
                host("Dns", json!(["10.0.0.1\noptions ndots:15"])),
                "Dns: \"10.0.0.1\\noptions ndots:15\" holds blanks",
            ),
            (
                host("DnsSearch", json!(["a.example b.example"])),
                "DnsSearch: \"a.example b.example\" holds blanks",
            ),
            (
                host("DnsOptions", json!(["ndots:1\nnameserver 10.0.0.1"])),
                "DnsOptions: \"ndots:1\\nnameserver",
            ),
        ],
    );
}

#[test]
fn nul_bytes_in_what_images_keep_are_malformed() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let images = engine.get("/images/json?all=1").json();
    for (name, value, shown) in [
        ("comment", "a%00", "a\\0"),
        ("author", "%00a", "\\0a"),
        ("changes", "ENV%20A=%00", "ENV A=\\0"),
        ("changes", "ONBUILD%20RUN%20%00", "ONBUILD RUN \\0"),
    ] {
        let text = engine.post(&format!("/commit?container={id}&{name}={value}")).expect(400).text();
        assert_eq!(text, format!("{name}: \"{shown}\" holds a NUL byte\n"));
    }
    let archive = berth_tests::Context::empty().file("a", "a").bytes();
    for name in ["message", "changes"] {
        let path = format!("/images/create?fromSrc=-&{name}=USER%20a%00");
        let text = engine.call("POST", &path, &[], &archive).expect(400).text();
        assert_eq!(text, format!("{name}: \"USER a\\0\" holds a NUL byte\n"));
    }
    assert_eq!(engine.get("/images/json?all=1").json(), images, "an image was made");
}

#[test]
fn names_that_the_kernel_does_not_take_are_refused_before_the_start() {
    let engine = Engine::start();
    let named = |host: usize, domain: usize| json!({ "Hostname": "h".repeat(host), "Domainname": "d".repeat(domain) });
    refuse_all_with(
        400,
        &engine,
        &[
            (named(65, 0), "invalid hostname: it has 65 bytes, the kernel takes 64 at most"),
            (named(0, 65), "invalid domain name: it has 65 bytes, the kernel takes 64 at most"),
            (json!({ "Hostname": "a\n10.0.0.1 evil" }), "control characters"),
            (
                named(40, 24),
                "invalid hostname with its domain name: it has 65 bytes, the kernel takes 64 at most",
            ),
            // The short id of 12 digits is its name then.
            (named(0, 52), "invalid hostname with its domain name: it has 65 bytes"),
        ],
    );
    for (given, wanted) in [(named(40, 23), 64), (named(0, 51), 64)] {
        let output = engine.output(&merged(sh("printf %s \"$(hostname)\" | wc -c"), given));
        assert_eq!(output.stdout.trim(), wanted.to_string(), "{}", output.stderr);
    }
    let of_host = merged(named(40, 40), json!({ "HostConfig": { "UTSMode": "host" } }));
    assert_eq!(engine.output(&merged(sh("exit 3"), of_host)).code, 3, "the kernel keeps none of it");
}

#[test]
fn no_cgroup_of_a_container_is_among_those_of_the_host() {
    let engine = Engine::start();
    let words = "it must name a group below the root";
    let cases = ["/", "..", "../..", "/..", "a/../..", "/a/../b", "."];
    let cases = cases.map(|parent| (host("CgroupParent", json!(parent)), words));
    refuse_all_with(400, &engine, &cases);
    let fine = host("CgroupParent", json!("berth-test/..below"));
    let id = engine.run(&merged(sh("sleep 600"), fine));
    let group = berth_tests::cgroup::directory(engine.pid(&id), "memory");
    assert!(group.ends_with(format!("berth-test/..below/{id}")), "{}", group.display());
}
