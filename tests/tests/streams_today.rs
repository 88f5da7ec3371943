//! Logs, attachments and stats as the versions after 1.20 have them.

use berth_tests::http::Connection;
use berth_tests::{Client, Engine, frames, merged, query, sh, wait};
use serde_json::{Value, json};

const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
const RAW: &str = "application/vnd.docker.raw-stream";

/// The standard output of a log.
fn lines(engine: &Client, id: &str, parameters: &[(&str, &str)]) -> String {
    let parameters = [&[("stdout", "1")], parameters].concat();
    let answer = engine.get(&format!("/containers/{id}/logs{}", query(&parameters))).expect(200);
    String::from_utf8_lossy(&frames::split(&answer.body).0).into_owned()
}

/// A time of a log in seconds, with nine digits.
fn seconds(time: &str) -> String {
    let script = ["-u", "-d", time, "+%s.%N"];
    let output = std::process::Command::new("date").args(script).output().expect("date");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn logs_have_two_bounds_to_the_nanosecond_and_both_belong_to_them() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.run(&sh("for i in 1 2 3 4; do echo $i; sleep 0.02; done"));
    assert_eq!(today.wait(&id), 0);
    let times: Vec<String> = lines(&today, &id, &[("timestamps", "1")])
        .lines()
        .map(|line| seconds(line.split(' ').next().expect("a time")))
        .collect();
    assert_eq!(times.len(), 4);
    assert_eq!(lines(&today, &id, &[("since", &times[1])]), "2\n3\n4\n");
    assert_eq!(lines(&today, &id, &[("until", &times[2])]), "1\n2\n3\n");
    assert_eq!(lines(&today, &id, &[("since", &times[1]), ("until", &times[2])]), "2\n3\n");
    assert_eq!(lines(&today, &id, &[("since", "0"), ("until", "0")]), "1\n2\n3\n4\n");
    assert_eq!(lines(&today, &id, &[("until", "1")]), "");
    assert_eq!(lines(&engine.at("1.34"), &id, &[("until", "1")]), "1\n2\n3\n4\n", "no parameter yet");
    for (name, value) in [
        ("since", "x"),
        ("until", "10m"),
        ("since", "2020-01-01T00:00:00Z"),
        ("until", "2020-01-01T00:00:00Z"),
    ] {
        let path = format!("/containers/{id}/logs{}", query(&[("stdout", "1"), (name, value)]));
        let message = today.get(&path).expect(400).message();
        assert!(message.contains(name) && message.contains(value), "{message}");
    }
    assert_eq!(
        lines(&engine, &id, &[("since", "2020-01-01T00:00:00Z")]),
        "1\n2\n3\n4\n",
        "understood by 1.20"
    );
}

#[test]
fn who_follows_up_to_a_moment_hears_no_more_behind_it() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.run(&sh("echo x; exec sleep 600"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let heard = lines(&today, &id, &[("follow", "1"), ("until", &(now + 1).to_string())]);
    assert!(["", "x\n"].contains(&heard.as_str()), "{heard}");
    assert_eq!(today.state(&id, "Running"), true);
}

#[test]
fn details_are_what_the_driver_selects() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let selected = json!({ "Labels": { "tier": "a b", "other": "c" }, "Env": ["COLOUR=red"],
        "HostConfig": { "LogConfig": { "Type": "json-file", "Config": { "labels": "tier", "env": "COLOUR" } } } });
    let id = today.run(&merged(sh("echo line; echo error >&2"), selected));
    assert_eq!(today.wait(&id), 0);
    assert_eq!(lines(&today, &id, &[("details", "1")]), "COLOUR=red,tier=a+b line\n");
    let both = lines(&today, &id, &[("details", "1"), ("timestamps", "1")]);
    let (time, rest) = both.split_once(' ').expect("a time");
    assert!(time.ends_with('Z') && rest == "COLOUR=red,tier=a+b line\n", "{both}");
    assert_eq!(lines(&engine.at("1.22"), &id, &[("details", "1")]), "line\n");
    let plain = today.run(&sh("echo line"));
    assert_eq!(today.wait(&plain), 0);
    assert_eq!(lines(&today, &plain, &[("details", "1")]), " line\n", "nothing is selected");
}

#[test]
fn logs_are_lines_in_frames_or_objects() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.run(&sh("echo o; echo e >&2"));
    let terminal = today.run(&merged(sh("echo o"), json!({ "Tty": true })));
    assert_eq!((today.wait(&id), today.wait(&terminal)), (0, 0));
    let get = |engine: &Client, id: &str, parameters: &str, accept: &str| {
        let path = format!("/containers/{id}/logs?{parameters}");
        let answer = engine.call("GET", &path, &[("Accept", accept)], b"").expect(200);
        (answer.head.header("content-type").expect("a type").to_owned(), answer.text())
    };
    let kind = |version: &str, id: &str| get(&engine.at(version), id, "stdout=1", "*/*").0;
    assert_eq!(
        (kind("1.55", &id), kind("1.42", &id), kind("1.41", &id)),
        (MULTIPLEXED.into(), MULTIPLEXED.into(), RAW.into())
    );
    assert_eq!(kind("1.55", &terminal), RAW);
    let (kind, text) = get(&today, &id, "stdout=1&stderr=1&format=json", "*/*");
    assert_eq!(kind, "application/x-ndjson");
    let mut objects: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    objects.sort_by_key(|object| object["Source"].to_string());
    for (object, line, source) in [(&objects[0], "e\n", "stderr"), (&objects[1], "o\n", "stdout")] {
        assert_eq!((&object["Line"], &object["Source"]), (&json!(line), &json!(source)));
        assert_eq!(object["Timestamp"].as_str().map(str::len), Some("2026-01-01T00:00:00.000000000Z".len()));
    }
    assert_eq!(get(&today, &id, "stdout=1", "application/jsonl").0, "application/jsonl");
    let (kind, text) = get(&today, &id, "stdout=1", "application/json-seq");
    assert!(kind == "application/json-seq" && text.starts_with("\u{1e}{"), "{kind}: {text}");
    assert_eq!(get(&engine.at("1.53"), &id, "stdout=1&format=json", "application/jsonl").0, MULTIPLEXED);
    let refused = today.get(&format!("/containers/{id}/logs?stdout=1&format=xml")).expect(400).message();
    assert_eq!(refused, "unsupported log format \"xml\"");
}

#[test]
fn the_driver_local_is_rotated_by_itself_and_read_again() {
    let mut engine = Engine::start();
    let local =
        |options: Value| json!({ "HostConfig": { "LogConfig": { "Type": "local", "Config": options } } });
    let body =
        merged(sh("echo first; read x; echo last"), merged(local(json!({})), json!({ "OpenStdin": true })));
    let id = engine.at("1.55").run(&body);
    let today = engine.at("1.55");
    wait::until("the first line", || (lines(&today, &id, &[]) == "first\n").then_some(()));
    assert_eq!(today.inspect(&id)["LogPath"], "");
    engine.replace_daemon();
    let today = engine.at("1.55");
    let (_, mut stream) = attach(&today, &id, "stream=1&stdin=1&stdout=1&logs=1");
    stream.send(b"\n").expect("stdin");
    assert_eq!(frames::split(&stream.read_to_end().expect("the output")).0, b"first\nlast\n");
    assert_eq!(lines(&today, &id, &[("tail", "1")]), "last\n");
    // 150 kB in two files of 20: the oldest are gone.
    let small = local(json!({ "max-size": "20k", "max-file": "2", "compress": "false" }));
    let id = today.run(&merged(sh("for i in $(seq 1000 3000); do echo $i; done"), small));
    assert_eq!(today.wait(&id), 0);
    let kept = lines(&today, &id, &[]);
    assert!(kept.ends_with("2999\n3000\n") && !kept.contains("1000\n"), "{} lines", kept.lines().count());
    // Of its own accord: 25 MB in files of 20, five of them, keep everything, the first file beside a second.
    let script = "dd if=/dev/zero bs=1000000 count=25 2>/dev/null | tr '\\0' x | fold -w 1000";
    let id = today.run(&merged(sh(script), local(json!({}))));
    assert_eq!(today.wait(&id), 0);
    let directory = engine.data_root().join("containers").join(&id);
    let logs = std::fs::read_dir(directory).expect("a directory").flatten();
    let logs = logs.filter(|entry| entry.file_name().to_string_lossy().contains("-local.log"));
    assert_eq!(logs.count(), 2);
}

#[test]
fn files_of_the_driver_local_are_compressed_and_read_again() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let options = json!({ "max-size": "20k", "max-file": "4" });
    let log = json!({ "HostConfig": { "LogConfig": { "Type": "local", "Config": options } } });
    let script =
        "read x; for i in $(seq 1000 4000); do echo $i; [ $((i % 250)) = 0 ] && sleep 0.1; done; read x";
    let id = today.create(&merged(sh(script), merged(log, json!({ "OpenStdin": true }))));
    today.start(&id);
    let (_, mut follower) = today.open("GET", &format!("/containers/{id}/logs?stdout=1&follow=1"), &[], b"");
    let (_, mut stdin) = attach(&today, &id, "stream=1&stdin=1");
    stdin.send(b"\n").expect("stdin");
    let directory = engine.data_root().join("containers").join(&id);
    let is_compressed = |age: u32| {
        let files = std::fs::read_dir(&directory).expect("a directory").flatten();
        files
            .map(|entry| entry.file_name())
            .any(|name| name.to_string_lossy().ends_with(&format!(".{age}.gz")))
    };
    wait::until("all files", || (is_compressed(1) && is_compressed(2) && is_compressed(3)).then_some(()));
    wait::until("the last line", || lines(&today, &id, &[("tail", "1")]).starts_with("4000").then_some(()));
    let kept = lines(&today, &id, &[]);
    let first: u32 = kept.lines().next().expect("a line").parse().expect("a number");
    assert!(first > 1000);
    let expected: String = (first..=4000).map(|number| format!("{number}\n")).collect();
    assert_eq!(kept, expected);
    assert_eq!(lines(&today, &id, &[("tail", "600")]).lines().count(), 600);
    stdin.send(b"\n").expect("stdin");
    assert_eq!(today.wait(&id), 0);
    let all: String = (1000..=4000).map(|number| format!("{number}\n")).collect();
    let mut followed = Vec::new();
    while let Some(chunk) = follower.read_chunk().expect("the log") {
        followed.extend_from_slice(&chunk);
    }
    assert_eq!(frames::split(&followed).0, all.as_bytes(), "who follows sees each line once");
}

/// Attaches with an upgraded connection; gives the type of its stream too.
fn attach(engine: &Client, id: &str, parameters: &str) -> (String, Connection) {
    let path = format!("/containers/{id}/attach?{parameters}");
    let (head, connection) =
        engine.open("POST", &path, &[("Connection", "Upgrade"), ("Upgrade", "tcp")], b"");
    assert_eq!(head.status, 101, "{head:?}");
    (head.header("content-type").expect("a type").to_owned(), connection)
}

#[test]
fn attachments_say_whether_they_are_in_frames() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.run(&sh("echo o; echo e >&2"));
    let terminal = today.run(&merged(sh("echo o"), json!({ "Tty": true })));
    assert_eq!((today.wait(&id), today.wait(&terminal)), (0, 0));
    for (version, id, kind) in
        [("1.55", &id, MULTIPLEXED), ("1.42", &id, MULTIPLEXED), ("1.41", &id, RAW), ("1.55", &terminal, RAW)]
    {
        let (seen, mut stream) = attach(&engine.at(version), id, "logs=1&stdout=1");
        assert_eq!(seen, kind, "{version}");
        let all = stream.read_to_end().expect("the log");
        assert_eq!(all.ends_with(b"o\n"), id != &terminal, "{version}");
    }
}

#[test]
fn why_a_start_failed_is_no_output_of_the_container() {
    let engine = Engine::start();
    let written = |client: &Client, status: u16| {
        let id = client.create(&json!({ "Image": "busybox", "Cmd": ["nosuchcommand"] }));
        let mut stream = client.attach(&id, "stream=1&stdout=1&stderr=1");
        let _ = client.post(&format!("/containers/{id}/start")).expect(status);
        let written = stream.read_to_end().expect("the stream's end");
        String::from_utf8_lossy(&frames::split(&written).1).into_owned()
    };
    assert_eq!(written(&engine.at("1.55"), 400), "");
    let words = "exec: \"nosuchcommand\": executable file not found in $PATH\n";
    assert_eq!(written(&engine.at("1.20"), 404), words);
}

#[test]
fn clients_leave_by_keys_of_their_own() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let script = "stty raw -echo; echo ready; head -c 3 | od -An -tx1; exec sleep 600";
    let id = today.run(&merged(sh(script), json!({ "Tty": true, "OpenStdin": true })));
    let (_, mut stream) = attach(&today, &id, "stream=1&stdin=1&stdout=1&logs=1&detachKeys=ctrl-a,x");
    stream.read_until(b"ready").expect("the script");
    // The usual keys are the container's now.
    stream.send(b"\x10\x11\x02").expect("keys");
    stream.read_until(b"10 11 02").expect("what was typed");
    stream.send(b"\x01x").expect("keys");
    let _ = stream.read_to_end().expect("the end");
    let events = |version: &str| {
        let filters = json!({ "container": [id], "event": ["attach", "detach"] });
        let events = engine.at(version).past_events(&filters);
        let action = |event: &Value| event["Action"].as_str().expect("an action").to_owned();
        events.iter().map(action).collect::<Vec<_>>()
    };
    wait::until("the event", || (events("1.55") == ["attach", "detach"]).then_some(()));
    assert_eq!(events("1.23"), ["attach"]);
    assert_eq!(today.state(&id, "Running"), true);
    // Before there were names, the usual keys count whatever the request has.
    let (_, mut stream) = attach(&engine.at("1.21"), &id, "stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,x");
    stream.send(b"\x10\x11").expect("keys");
    let _ = stream.read_to_end().expect("the end");
}

#[test]
fn attachments_that_cannot_be_are_refused() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.run(&sh("exec sleep 600"));
    let post =
        |engine: &Client, parameters: &str| engine.post(&format!("/containers/{id}/attach?{parameters}"));
    let message = post(&today, "stream=1&detachKeys=ctrl-nonsense").expect(400).message();
    assert_eq!(message, "Invalid detach keys (ctrl-nonsense) provided");
    let _ = today.post("/containers/nope/attach?stream=1").expect(404);
    let _ = today.post(&format!("/containers/{id}/pause")).expect(204);
    let message = post(&today, "stream=1&stdout=1").expect(409).message();
    assert!(message.contains("paused, unpause the container before attach"), "{message}");
    let _ = post(&engine, "stdout=1&logs=1").expect(200);
    let _ = today.post(&format!("/containers/{id}/unpause")).expect(204);
}

/// Makes a websocket of an attachment; gives its first frame's kind and content.
fn first_message(engine: &Client, id: &str, parameters: &str) -> (u8, Vec<u8>) {
    let headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Origin", "http://localhost"),
    ];
    let path = format!("/containers/{id}/attach/ws?{parameters}");
    let (head, mut connection) = engine.open("GET", &path, &headers, b"");
    assert_eq!(head.status, 101);
    let head = connection.read_exactly(2).expect("a frame's head");
    (head[0] & 0x0f, connection.read_exactly(usize::from(head[1])).expect("a message"))
}

#[test]
fn messages_of_websockets_are_binary() {
    const TEXT: u8 = 1;
    const BINARY: u8 = 2;
    let engine = Engine::start();
    let id = engine.run(&sh("echo o; echo e >&2; exec sleep 600"));
    wait::until("the output", || (engine.logs(&id) == ("o\n".into(), "e\n".into())).then_some(()));
    let first = |version: &str, parameters: &str| first_message(&engine.at(version), &id, parameters);
    assert_eq!(first("1.55", "stream=1&logs=1&stdout=1"), (BINARY, b"o\n".to_vec()));
    assert_eq!(first("1.28", "stream=1&logs=1&stderr=1"), (BINARY, b"e\n".to_vec()));
    assert_eq!(first("1.27", "stream=1&logs=1&stdout=1"), (TEXT, b"o\n".to_vec()));
}

#[test]
fn stats_have_the_shape_of_their_version() {
    let engine = Engine::start();
    let id = engine.run(&sh("exec sleep 600"));
    let stopped = engine.create(&sh("true"));
    let stats = |version: &str, id: &str, more: &str| {
        engine.at(version).get(&format!("/containers/{id}/stats?stream=false{more}")).expect(200).json()
    };
    let has = |stats: &Value, field: &str| stats.get(field).is_some();
    for (version, network, preread, os_type) in [
        ("1.20", true, false, false),
        ("1.21", false, false, false),
        ("1.24", false, true, false),
        ("1.52", false, true, true),
    ] {
        for id in [&id, &stopped] {
            let seen = stats(version, id, "");
            assert_eq!(has(&seen, "network"), network, "{version}");
            assert_eq!((has(&seen, "preread"), has(&seen, "num_procs")), (preread, preread), "{version}");
            assert_eq!(has(&seen, "os_type"), os_type, "{version}");
        }
    }
    let seen = stats("1.55", &id, "");
    assert!(
        seen["preread"].as_str() < seen["read"].as_str() && seen["preread"].as_str() > Some("2"),
        "{seen}"
    );
    assert!(seen["networks"]["eth0"]["rx_bytes"].is_u64(), "{seen}");
    let once = stats("1.55", &id, "&one-shot=1");
    assert_eq!(once["preread"], "0001-01-01T00:00:00Z");
    assert_eq!(
        once["precpu_stats"],
        json!({ "cpu_usage": { "total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0 },
                "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 } })
    );
    let none = stats("1.55", &stopped, "");
    assert_eq!(
        (&none["memory_stats"], &none["pids_stats"], none.get("networks")),
        (&json!({}), &json!({}), None)
    );
    assert_eq!((&none["id"], &none["read"]), (&json!(stopped), &json!("0001-01-01T00:00:00Z")));
    assert_eq!(none["blkio_stats"]["io_serviced_recursive"], Value::Null);
    let old = stats("1.20", &stopped, "");
    assert_eq!(old["memory_stats"]["usage"], 0);
    assert_eq!(old["blkio_stats"]["io_serviced_recursive"], json!([]));
    // Followers of several versions each get their own form.
    let follow = |version: &str| {
        let (_, mut stream) = engine.at(version).open("GET", &format!("/containers/{id}/stats"), &[], b"");
        let chunk = stream.read_chunk().expect("a sample").expect("no early end");
        serde_json::from_slice::<Value>(&chunk).expect("one object a chunk")
    };
    std::thread::scope(|scope| {
        let old = scope.spawn(|| follow("1.20"));
        let new = scope.spawn(|| follow("1.55"));
        assert!(has(&old.join().expect("it ends"), "network"));
        assert!(has(&new.join().expect("it ends"), "os_type"));
    });
}
