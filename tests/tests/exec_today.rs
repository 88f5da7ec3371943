//! Further processes in containers as the versions after 1.20 have them.

use berth_tests::http::Connection;
use berth_tests::today::Today;
use berth_tests::{Client, frames, sh, wait};
use serde_json::{Value, json};

fn idle(engine: &Today) -> String {
    engine.run(&sh("sleep 600"))
}

/// What inspect shows of an exec.
fn shown(client: &Client, exec: &str) -> Value {
    client.get(&format!("/exec/{exec}/json")).expect(200).json()
}

/// What inspect shows of an exec that has ended.
fn ended(client: &Client, exec: &str) -> Value {
    wait::until("the exec's end", || Some(shown(client, exec)).filter(|exec| exec["Running"] == false))
}

/// Starts an exec; gives the type of its stream, and the stream.
fn started(client: &Client, exec: &str, body: &Value) -> (String, Connection) {
    let headers = [("Content-Type", "application/json"), ("Connection", "Upgrade"), ("Upgrade", "tcp")];
    let body = body.to_string();
    let (head, connection) = client.open("POST", &format!("/exec/{exec}/start"), &headers, body.as_bytes());
    assert_eq!(head.status, 101, "{head:?}");
    (head.header("content-type").expect("a type").to_owned(), connection)
}

fn actions(client: &Client, container: &str) -> Vec<(String, Value)> {
    let filters = json!({
        "container": [container],
        "event": ["exec_create", "exec_start", "exec_die", "exec_detach"],
    });
    let one = |event: Value| {
        let action = event["Action"].as_str().expect("an action").to_owned();
        (action, event["Actor"]["Attributes"].clone())
    };
    client.past_events(&filters).into_iter().map(one).collect()
}

#[test]
fn inspect_has_each_versions_fields() {
    let engine = Today::start();
    let id = idle(&engine);
    let body = json!({
        "Cmd": ["sh", "-c", "read x; exit 3"], "AttachStdin": true, "AttachStdout": true, "User": "1234",
        "DetachKeys": "ctrl-x,q",
    });
    let exec = engine.exec_create(&id, &body);
    let process = json!({
        "entrypoint": "sh", "arguments": ["-c", "read x; exit 3"], "privileged": false, "tty": false, "user": "1234",
    });
    let expected = json!({
        "ID": exec, "ContainerID": id, "Running": false, "ExitCode": null, "Pid": 0, "CanRemove": false,
        "OpenStdin": true, "OpenStdout": true, "OpenStderr": false, "DetachKeys": "\u{18}q",
        "ProcessConfig": process,
    });
    assert_eq!(shown(&engine, &exec), expected);
    assert_eq!(engine.inspect(&id)["ExecIDs"], json!([exec]));
    let old = shown(&engine.at("1.21"), &exec);
    assert_eq!((&old["ExitCode"], &old["Container"]["ID"]), (&json!(0), &json!(id)));
    assert!(["CanRemove", "ContainerID", "DetachKeys"].iter().all(|field| old.get(field).is_none()), "{old}");
    assert_eq!(old["Container"]["State"]["Status"], "running");
    let (_, mut stream) = started(&engine, &exec, &json!({}));
    let running = shown(&engine, &exec);
    assert_eq!((&running["Running"], &running["ExitCode"]), (&json!(true), &Value::Null));
    let line = format!("/proc/{}/cmdline", running["Pid"]);
    assert_eq!(std::fs::read_to_string(line).expect("its process"), "sh\0-c\0read x; exit 3\0");
    stream.send(b"\n").expect("a line");
    let _ = stream.read_to_end().expect("the end");
    assert_eq!(ended(&engine, &exec)["ExitCode"], 3);
    assert_eq!(engine.inspect(&id)["ExecIDs"], Value::Null);
}

#[test]
fn environment_and_directory_are_taken_in_every_version() {
    let engine = Today::start();
    let id = engine.run(&berth_tests::merged(
        sh("sleep 600"),
        json!({ "Env": ["BASE=1", "BOTH=container"], "WorkingDir": "/tmp" }),
    ));
    let body = json!({
        "Cmd": ["sh", "-c", "echo $BASE $BOTH $NEW; pwd"], "AttachStdout": true,
        "Env": ["NEW=2", "BOTH=exec"], "WorkingDir": "/etc",
    });
    for version in ["1.20", "1.24", "1.25", "1.35", "1.55"] {
        let client = engine.at(version);
        let exec = client.exec_create(&id, &body);
        let bytes = client.exec_start(&exec, &json!({})).read_to_end().expect("the stream");
        assert_eq!(String::from_utf8_lossy(&frames::split(&bytes).0), "1 exec 2\n/etc\n", "{version}");
    }
}

#[test]
fn privileged_ones_have_all_capabilities() {
    let engine = Today::start();
    let id = idle(&engine);
    let effective = |body: Value| {
        let command = json!({ "Cmd": ["grep", "CapEff", "/proc/self/status"], "AttachStdout": true });
        let exec = engine.exec_create(&id, &berth_tests::merged(command, body));
        let bytes = engine.exec_start(&exec, &json!({})).read_to_end().expect("the stream");
        let line = String::from_utf8_lossy(&frames::split(&bytes).0).into_owned();
        u64::from_str_radix(line.split_whitespace().nth(1).expect("a mask"), 16).expect("a mask")
    };
    // CAP_MKNOD, then CAP_SYS_PTRACE, capabilities(7).
    let (plain, privileged) = (effective(json!({})), effective(json!({ "Privileged": true })));
    assert_eq!(
        (plain >> 27 & 1, plain >> 19 & 1, privileged >> 19 & 1),
        (1, 0, 1),
        "{plain:x} {privileged:x}"
    );
    assert_eq!(effective(json!({ "User": "1234" })), 0);
}

#[test]
fn streams_say_since_1_42_whether_they_are_in_frames() {
    let engine = Today::start();
    let id = idle(&engine);
    let exec = |tty: bool| {
        let body = json!({ "Cmd": ["echo", "o"], "AttachStdout": true, "AttachStderr": true, "Tty": tty });
        engine.exec_create(&id, &body)
    };
    let framed = b"\x01\0\0\0\0\0\0\x02o\n".to_vec();
    for (version, tty, kind, content) in [
        ("1.55", false, "multiplexed", framed.clone()),
        ("1.42", false, "multiplexed", framed.clone()),
        ("1.41", false, "raw", framed),
        ("1.55", true, "raw", b"o\r\n".to_vec()),
    ] {
        let (seen, mut stream) = started(&engine.at(version), &exec(tty), &json!({ "Tty": tty }));
        assert_eq!(seen, format!("application/vnd.docker.{kind}-stream"), "{version} {tty}");
        assert_eq!(stream.read_to_end().expect("the stream"), content, "{version} {tty}");
    }
}

#[test]
fn a_terminal_has_its_size_from_the_first() {
    let engine = Today::start();
    let id = idle(&engine);
    for (version, create, start, size) in [
        ("1.55", json!([33, 44]), Value::Null, "33 44"),
        ("1.55", json!([33, 44]), json!([50, 60]), "50 60"),
        ("1.42", Value::Null, json!([20, 30]), "20 30"),
        // busybox finds none there.
        ("1.41", json!([33, 44]), json!([50, 60]), "stty: standard input"),
    ] {
        let client = engine.at(version);
        let command = ["stty", "size"];
        let body = json!({ "Cmd": command, "AttachStdout": true, "Tty": true, "ConsoleSize": create });
        let exec = client.exec_create(&id, &body);
        let (_, mut stream) = started(&client, &exec, &json!({ "Tty": true, "ConsoleSize": start }));
        let output = stream.read_to_end().expect("the stream");
        assert_eq!(String::from_utf8_lossy(&output).trim(), size, "{version}");
    }
    let bad = json!({ "Cmd": ["true"], "ConsoleSize": [1] });
    let _ = engine.post_json(&format!("/containers/{id}/exec"), &bad).expect(400);
}

#[test]
fn its_own_keys_end_the_attachment_and_not_the_process() {
    let engine = Today::start();
    let id = idle(&engine);
    let body = json!({
        "Cmd": ["sh", "-c", "echo ready; read x; exit 4"], "Tty": true, "AttachStdin": true,
        "AttachStdout": true, "DetachKeys": "ctrl-x,q",
    });
    let exec = engine.exec_create(&id, &body);
    let (_, mut stream) = started(&engine, &exec, &json!({ "Tty": true }));
    stream.read_until(b"ready").expect("its output");
    stream.send(b"\x10\x11\x18").expect("other keys, and the first");
    stream.send(b"q").expect("the second");
    let _ = stream.read_to_end().expect("the end of the attachment");
    assert_eq!(shown(&engine, &exec)["Running"], true);
    let detached = || {
        let events = actions(&engine, &id);
        events.into_iter().find(|(action, _)| action == "exec_detach").map(|(_, attributes)| attributes)
    };
    assert_eq!(wait::until("the event", detached)["execID"], json!(exec));
    let events = |version| engine.at(version).past_events(&json!({ "event": ["exec_detach"] })).len();
    assert_eq!((events("1.24"), events("1.23")), (1, 0));
}

#[test]
fn its_life_is_a_sequence_of_events() {
    let engine = Today::start();
    let id = idle(&engine);
    let exec = engine.exec_create(&id, &json!({ "Cmd": ["sh", "-c", "exit 7"], "AttachStdout": true }));
    let _ = engine.exec_start(&exec, &json!({})).read_to_end().expect("the stream");
    assert_eq!(ended(&engine, &exec)["ExitCode"], 7);
    let events = wait::until("its end", || Some(actions(&engine, &id)).filter(|events| events.len() == 3));
    let names: Vec<&str> = events.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(names, ["exec_create: sh -c exit 7", "exec_start: sh -c exit 7", "exec_die"]);
    assert!(events.iter().all(|(_, attributes)| attributes["execID"] == json!(exec)), "{events:?}");
    assert_eq!(events[2].1["exitCode"], "7");
    let ends = |version| engine.at(version).past_events(&json!({ "event": ["exec_die"] })).len();
    assert_eq!((ends("1.36"), ends("1.35"), ends("1.20")), (1, 0, 0));
    // What cannot be run does not die.
    let broken = engine.exec_create(&id, &json!({ "Cmd": ["nosuchcommand"] }));
    let _ = engine.post_json(&format!("/exec/{broken}/start"), &json!({ "Detach": true })).expect(400);
    assert_eq!(shown(&engine, &broken)["ExitCode"], 127);
    assert_eq!(ends("1.55"), 1);
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let engine = Today::start();
    let id = idle(&engine);
    let create = |body: Value| engine.post_json(&format!("/containers/{id}/exec"), &body);
    assert_eq!(create(json!({})).expect(400).message(), "No exec command specified");
    assert_eq!(
        create(json!({ "Cmd": "true" })).expect(400).message(),
        "Cmd must be a list of words, not one text"
    );
    assert_eq!(
        create(json!({ "Cmd": ["true"], "DetachKeys": "ctrl-nonsense" })).expect(400).message(),
        "Invalid detach keys (ctrl-nonsense) provided"
    );
    let old = engine.daemon.post_json(&format!("/containers/{id}/exec"), &json!({ "Cmd": "true" }));
    let _ = old.expect(201);
    assert_eq!(engine.get("/exec/nosuch/json").expect(404).message(), "No such exec instance: nosuch");
    let exec = engine.exec_create(&id, &json!({ "Cmd": ["true"] }));
    let start = || engine.post_json(&format!("/exec/{exec}/start"), &json!({ "Detach": true }));
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    assert!(start().expect(409).message().contains("is paused"));
    let _ = engine.post(&format!("/containers/{id}/unpause")).expect(204);
    let _ = start().expect(200);
    assert!(start().expect(409).message().contains("has already run"));
    let _ = engine.post(&format!("/containers/{id}/stop?t=0")).expect(204);
    assert!(create(json!({ "Cmd": ["true"] })).expect(409).message().contains("is not running"));
}

#[test]
fn what_it_was_made_with_outlives_the_daemon() {
    let mut engine = Today::start();
    let id = idle(&engine);
    let body = json!({
        "Cmd": ["stty", "size"], "Tty": true, "AttachStdout": true, "ConsoleSize": [33, 44], "DetachKeys": "a",
    });
    let exec = engine.exec_create(&id, &body);
    let before = shown(&engine, &exec);
    engine.daemon.replace_daemon();
    assert_eq!(shown(&engine, &exec), before);
    let (_, mut stream) = started(&engine, &exec, &json!({ "Tty": true }));
    assert_eq!(String::from_utf8_lossy(&stream.read_to_end().expect("the stream")).trim(), "33 44");
}
