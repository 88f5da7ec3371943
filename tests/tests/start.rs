//! `POST /containers/{id}/start`: what it brings about, and how it fails.

use berth_tests::{Engine, Options, merged, query, sh};
use serde_json::json;

#[test]
fn a_second_start_changes_nothing() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let pid = engine.pid(&id);
    let _ = engine.post(&format!("/containers/{id}/start")).expect(304);
    assert_eq!(engine.pid(&id), pid);
}

#[test]
fn an_exited_container_starts_again_on_the_same_files() {
    let engine = Engine::start();
    let id = engine.run(&sh("echo run >> /count; cat /count"));
    assert_eq!(engine.wait(&id), 0);
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
    assert_eq!(engine.logs(&id).0, "run\nrun\nrun\n");
}

#[test]
fn a_host_config_in_the_body_takes_effect() {
    let engine = Engine::start();
    let id = engine.create(&sh("grep CapEff /proc/self/status; cat /etc/hosts"));
    let host = json!({ "ExtraHosts": ["other:10.1.2.3"], "CapDrop": ["ALL"] });
    let _ = engine.post_json(&format!("/containers/{id}/start"), &host).expect(204);
    assert_eq!(engine.wait(&id), 0);
    let (stdout, _) = engine.logs(&id);
    assert!(stdout.contains("CapEff:\t0000000000000000"), "{stdout}");
    assert!(stdout.contains("10.1.2.3\tother"), "{stdout}");
    assert_eq!(engine.inspect(&id)["HostConfig"]["ExtraHosts"], json!(["other:10.1.2.3"]));
}

#[test]
fn an_empty_body_needs_no_content_type() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let _ = engine.call("POST", &format!("/containers/{id}/start"), &[("Content-Type", "text/plain")], b"");
    assert_eq!(engine.wait(&id), 0);
}

#[test]
fn bad_bodies_are_refused_and_start_nothing() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let path = format!("/containers/{id}/start");
    let json = [("Content-Type", "application/json")];
    for body in
        [b"{".as_slice(), b"[]", b"\"x\"", b"{\"Memory\":\"x\"}", b"{\"Memory\":1}", b"{\"Binds\":[\"x\"]}"]
    {
        let answer = engine.call("POST", &path, &json, body);
        assert_eq!(answer.status(), 500, "{body:?}: {} {}", answer.status(), answer.text());
    }
    let answer = engine.call("POST", &path, &[("Content-Type", "text/plain")], b"{}");
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.text(), "Content-Type specified (text/plain) must be 'application/json'\n");
    assert_eq!(engine.state(&id, "StartedAt"), "0001-01-01T00:00:00Z");
}

#[test]
fn a_command_that_cannot_run_says_why() {
    let engine = Engine::start();
    let cases = [
        (json!(["nosuch"]), 404, "exec: \"nosuch\": executable file not found in $PATH", 127),
        (json!(["/no/such"]), 404, "exec: \"/no/such\": stat /no/such: no such file or directory", 127),
        (json!([""]), 404, "exec: \"\": executable file not found in $PATH", 127),
        (json!(["/etc/passwd"]), 500, "exec: \"/etc/passwd\": permission denied", 126),
        (json!(["/etc"]), 500, "exec: \"/etc\": permission denied", 126),
    ];
    for (command, status, words, code) in cases {
        let id = engine.create(&json!({ "Image": "busybox", "Cmd": command }));
        let answer = engine.post(&format!("/containers/{id}/start")).expect(status);
        assert_eq!(answer.text(), format!("Cannot start container {id}: [8] System error: {words}\n"));
        let state = engine.inspect(&id)["State"].clone();
        assert_eq!((&state["Running"], &state["ExitCode"]), (&json!(false), &json!(code)), "{state}");
        assert!(state["Error"].as_str().is_some_and(|text| text.contains(words)), "{state}");
        for moment in ["StartedAt", "FinishedAt"] {
            assert_eq!(state[moment], "0001-01-01T00:00:00Z", "it never ran");
        }
        let list =
            engine.get(&format!("/containers/json{}", query(&[("filters", r#"{"status":["created"]}"#)])));
        let list = list.expect(200).json();
        assert_eq!((&list[0]["Id"], &list[0]["Status"]), (&json!(id), &json!("Created")), "{list}");
        assert_eq!(engine.wait(&id), code, "wait answers at once");
        let answer = engine.post(&format!("/containers/{id}/start"));
        assert_eq!(answer.status(), status, "a second try fails as the first");
        let _ = engine.delete(&format!("/containers/{id}")).expect(204);
    }
}

#[test]
fn a_start_that_fails_for_other_reasons_leaves_a_container_to_remove() {
    let engine = Engine::start();
    let cases = [
        (json!({ "WorkingDir": "/etc/passwd" }), 500),
        (json!({ "User": "nosuchuser" }), 500),
        (json!({ "User": "root:nosuchgroup" }), 500),
        (
            json!({ "HostConfig": { "Devices": [{ "PathOnHost": "/dev/nosuch", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm" }] } }),
            404,
        ),
        (json!({ "HostConfig": { "NetworkMode": "container:nosuch" } }), 404),
        (json!({ "HostConfig": { "Binds": ["/etc/passwd:/tmp"] } }), 500),
        (json!({ "HostConfig": { "LogConfig": { "Type": "bogus", "Config": {} } } }), 500),
    ];
    for (over, status) in cases {
        let id = engine.create(&merged(sh("true"), over.clone()));
        let answer = engine.post(&format!("/containers/{id}/start")).expect(status);
        assert!(
            answer.text().starts_with(&format!("Cannot start container {id}: ")),
            "{over}: {}",
            answer.text()
        );
        assert_eq!(engine.state(&id, "Running"), false, "{over}");
        let _ = engine.delete(&format!("/containers/{id}")).expect(204);
    }
}

#[test]
fn unknown_containers_are_not_found() {
    let engine = Engine::start();
    let answer = engine.post("/containers/nosuch/start").expect(404);
    assert_eq!(answer.text(), "no such id: nosuch\n");
}

#[test]
fn two_starts_at_once_start_it_once() {
    let engine = Engine::start();
    let id = engine.create(&sh("echo begun; sleep 600"));
    let path = format!("/containers/{id}/start");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| engine.post(&path).status())).collect();
        starts.into_iter().map(|start| start.join().expect("an answer")).collect()
    });
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(204), count(304)), (1, 7), "{statuses:?}");
    berth_tests::wait::until("the log", || (!engine.logs(&id).0.is_empty()).then_some(()));
    assert_eq!(engine.logs(&id).0, "begun\n");
}

#[test]
fn ends_are_seen_although_the_daemon_was_told_to_ignore_those_of_children() {
    let engine = Engine::start_with(Options { ignores_children: true, ..Options::default() });
    assert_eq!(engine.output(&sh("exit 3")).code, 3);
    let id = engine.run(&sh("sleep 600"));
    assert_eq!(engine.exec(&id, &["sh", "-c", "exit 4"]).code, 4);
    let built = engine.build(&[], berth_tests::Context::of("FROM busybox\nRUN true\n"));
    assert_eq!(built.error, None, "{}", built.said);
    engine.forget_builds();
}
