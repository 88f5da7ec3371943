//! `HostConfig.LogConfig`: every driver against a real server, every option, and servers that fail.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Duration;

use berth_tests::host::within_network_of;
use berth_tests::{Engine, Options, frames, http, merged, sh, wait};
use serde_json::{Value, json};

fn with_log(script: &str, driver: &str, options: &Value) -> Value {
    merged(sh(script), json!({ "HostConfig": { "LogConfig": { "Type": driver, "Config": options } } }))
}

/// A datagram server in the engine's network, and its port.
fn udp(engine: &Engine) -> (UdpSocket, u16) {
    let socket = within_network_of(engine.network_pid(), || UdpSocket::bind("127.0.0.1:0").expect("a port"));
    socket.set_read_timeout(Some(wait::TIMEOUT)).expect("a limit");
    let port = socket.local_addr().expect("an address").port();
    (socket, port)
}

fn tcp(engine: &Engine, port: u16) -> TcpListener {
    within_network_of(engine.network_pid(), || {
        wait::until("the port", || TcpListener::bind(("127.0.0.1", port)).ok())
    })
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).expect("a datagram");
    buffer.truncate(length);
    buffer
}

/// What stands behind `<priority>time host docker/`, with the priority.
fn syslog_parts(line: &str) -> (u32, &str) {
    let (priority, rest) = line.strip_prefix('<').and_then(|line| line.split_once('>')).expect("a priority");
    let (_, tagged) = rest.split_once(" docker/").unwrap_or_else(|| panic!("no tag: {line}"));
    (priority.parse().expect("a number"), tagged)
}

/// Takes the `[pid]` out.
fn without_pid(tagged: &str) -> String {
    let (name, rest) = tagged.split_once('[').expect("a pid");
    format!("{name}{}", &rest[rest.find(']').expect("a pid's end") + 1..])
}

const TALK: &str = "echo out; echo err >&2; echo; head -c 20000 /dev/zero | tr '\\0' x; echo; printf end";

#[test]
fn syslog_by_datagrams_over_a_network() {
    let engine = Engine::start();
    let (server, port) = udp(&engine);
    let options = json!({ "syslog-address": format!("udp://localhost:{port}"), "syslog-facility": "local3",
                          "tag": "{{.Name}}/{{.ImageName}}" });
    let id = engine.create_named("talker", &with_log(TALK, "syslog", &options));
    for _ in 0..2 {
        engine.start(&id);
        let mut found: Vec<(u32, String)> = Vec::new();
        for _ in 0..6 {
            let line = String::from_utf8(receive(&server)).expect("text");
            let (priority, tagged) = syslog_parts(&line);
            found.push((priority, without_pid(tagged)));
        }
        let line = |priority, text: &str| (priority, format!("talker/busybox: {text}\n"));
        // 19 is local3, 6 information, 3 an error. What comes by another pipe may come at any time.
        let place = found.iter().position(|(priority, _)| *priority == 155).expect("an error");
        assert_eq!(found.remove(place), line(155, "err"));
        let long = "x".repeat(20_000);
        let wanted = ["out", "", &long[..16_384], &long[16_384..], "end"];
        assert_eq!(found, wanted.map(|text| line(158, text)));
        assert_eq!(engine.wait(&id), 0);
    }
    let refused = engine.get(&format!("/containers/{id}/logs?stdout=1")).expect(500);
    assert_eq!(
        refused.text(),
        "configured logging reader does not support reading: \"logs\" is supported only for \"json-file\" and \"journald\" logging drivers (got: syslog)\n"
    );
    assert_eq!(engine.inspect(&id)["LogPath"], "");
    let refused = engine.at("1.55").get(&format!("/containers/{id}/logs?stdout=1")).expect(501);
    assert_eq!(refused.message(), "configured logging driver does not support reading");
}

#[test]
fn syslog_by_a_stream_that_comes_and_goes() {
    let engine = Engine::start();
    let server = tcp(&engine, 0);
    let port = server.local_addr().expect("an address").port();
    let options = json!({ "syslog-address": format!("tcp://127.0.0.1:{port}"), "syslog-tag": "t" });
    let script = "echo one; read x; echo two; read x; echo three";
    let id = engine.run(&merged(with_log(script, "syslog", &options), json!({ "OpenStdin": true })));
    let mut stdin = engine.attach(&id, "stream=1&stdin=1");
    let line = |server: &TcpListener| {
        let (connection, _) = server.accept().expect("a connection");
        connection.set_read_timeout(Some(wait::TIMEOUT)).expect("a limit");
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        (reader, without_pid(syslog_parts(&line).1))
    };
    let (first, text) = line(&server);
    assert_eq!(text, "t: one\n");
    // The server goes while the container is quiet; what comes then waits for it.
    drop((first, server));
    stdin.send(b"\n").expect("stdin");
    let server = tcp(&engine, port);
    let (second, text) = line(&server);
    assert_eq!(text, "t: two\n", "nothing is lost");
    drop(second);
    stdin.send(b"\n").expect("stdin");
    assert_eq!(line(&server).1, "t: three\n");
    assert_eq!(engine.wait(&id), 0);
    assert_eq!(engine.state(&id, "LogLinesDropped"), Value::Null);
}

#[test]
fn a_server_that_is_dead_or_slow_holds_nothing_up_and_what_is_lost_is_counted() {
    let engine = Engine::start();
    // One takes connections and reads nothing, one is not there, one is no datagram server any more.
    let slow = tcp(&engine, 0);
    let gone = tcp(&engine, 0);
    let (closed, closed_port) = udp(&engine);
    let port = |server: &TcpListener| server.local_addr().expect("an address").port();
    let (slow_port, gone_port) = (port(&slow), port(&gone));
    drop((gone, closed));
    let script = "i=0; while [ $i -lt 40 ]; do head -c 400000 /dev/zero | tr '\\0' x | fold -w 99; i=$((i+1)); done; exit 3";
    for address in [
        format!("tcp://127.0.0.1:{slow_port}"),
        format!("tcp://127.0.0.1:{gone_port}"),
        format!("udp://127.0.0.1:{closed_port}"),
    ] {
        let id = engine.run(&with_log(script, "syslog", &json!({ "syslog-address": address })));
        assert_eq!(engine.wait(&id), 3, "{address}");
        let dropped = wait::until("the count", || engine.state(&id, "LogLinesDropped").as_u64());
        assert!(dropped > 1000, "{address}: {dropped}");
    }
    // What may wait for a server is the client's choice.
    let few = json!({
        "syslog-address": format!("tcp://127.0.0.1:{gone_port}"), "mode": "non-blocking", "max-buffer-size": "1k",
    });
    let script = "i=0; while [ $i -lt 40 ]; do printf '%0100d\\n' $i; i=$((i+1)); done; sleep 600";
    let id = engine.run(&with_log(script, "syslog", &few));
    wait::until("the count", || engine.state(&id, "LogLinesDropped").as_u64().filter(|lines| *lines > 20));
    // Lines that the end of the container finds waiting count as well.
    let address = format!("tcp://127.0.0.1:{gone_port}");
    let id = engine.run(&with_log("echo 1; echo 2; echo 3", "syslog", &json!({ "syslog-address": address })));
    assert_eq!(engine.wait(&id), 0);
    wait::until("the count", || (engine.state(&id, "LogLinesDropped") == 3).then_some(()));
}

#[test]
fn syslog_on_this_host_and_its_formats() {
    let engine = Engine::start();
    let path = engine.directory().join("log.sock");
    let datagrams = UnixDatagram::bind(&path).expect("a socket");
    datagrams.set_read_timeout(Some(wait::TIMEOUT)).expect("a limit");
    let mut buffer = [0; 4096];
    let mut one = |options: &Value, over: Value| {
        let id = engine.run(&merged(with_log("echo hello", "syslog", options), over));
        let length = datagrams.recv(&mut buffer).expect("a datagram");
        assert_eq!(engine.wait(&id), 0);
        (id[..12].to_owned(), String::from_utf8(buffer[..length].to_vec()).expect("text"))
    };
    for scheme in ["unixgram", "unix"] {
        let (id, line) =
            one(&json!({ "syslog-address": format!("{scheme}://{}", path.display()) }), json!({}));
        let (priority, tagged) = syslog_parts(&line);
        assert_eq!((priority, without_pid(tagged)), (30, format!("{id}: hello\n")), "{line}");
    }
    let address = format!("unixgram://{}", path.display());
    let options = json!({ "syslog-address": address, "syslog-format": "rfc5424micro", "tag": "app",
                          "labels": "who,none", "env": "MODE" });
    let over = json!({ "Labels": { "who": "a \"b\"]" }, "Env": ["MODE=fast"] });
    let (_, line) = one(&options, over);
    let words: Vec<&str> = line.splitn(7, ' ').collect();
    assert_eq!((words[0], words[3], words[5]), ("<30>1", "docker/app", "-"), "{line}");
    assert_eq!(words[6], "[container@32473 MODE=\"fast\" who=\"a \\\"b\\\"\\]\"] hello\n");
    assert_eq!((words[1].len(), words[1].ends_with('Z')), (27, true), "{line}");
    let (_, line) = one(&json!({ "syslog-address": address, "syslog-format": "rfc3164" }), json!({}));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert!(line.contains(&format!(" {host} docker/")), "{line}");

    let path = engine.directory().join("stream.sock");
    let server = UnixListener::bind(&path).expect("a socket");
    let options = json!({ "syslog-address": format!("unix://{}", path.display()) });
    let id = engine.run(&with_log("echo a; echo b", "syslog", &options));
    // The first connection only tried the socket's kind.
    let texts = wait::until("a connection with lines", || {
        let mut text = String::new();
        server.accept().expect("a connection").0.read_to_string(&mut text).expect("lines");
        (!text.is_empty()).then_some(text)
    });
    let lines: Vec<String> = texts.lines().map(|line| without_pid(syslog_parts(line).1)).collect();
    assert_eq!(lines, ["a", "b"].map(|text| format!("{}: {text}", &id[..12])));
}

/// Joins the chunks of one message, checking each head, and unpacks it.
fn gelf_message(server: &UdpSocket) -> (Value, usize) {
    let mut chunks: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let (mut packed, mut id) = (receive(server), None);
    if packed.starts_with(&[0x1e, 0x0f]) {
        loop {
            assert!(packed.len() <= 1420, "fits a network's frames");
            assert_eq!(*id.get_or_insert_with(|| packed[2..10].to_vec()), packed[2..10]);
            let count = packed[11];
            chunks.insert(packed[10], packed[12..].to_vec());
            if chunks.len() == usize::from(count) {
                break;
            }
            packed = receive(server);
        }
        packed = chunks.values().flatten().copied().collect();
    }
    let mut text = Vec::new();
    match packed[..2] {
        [0x1f, 0x8b] => drop(flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut text).expect("gzip")),
        [b'{', _] => text = packed,
        _ => drop(flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut text).expect("zlib")),
    }
    (serde_json::from_slice(&text).expect("JSON"), chunks.len())
}

#[test]
fn gelf_packed_and_in_chunks() {
    let engine = Engine::start();
    let (server, port) = udp(&engine);
    let address = format!("udp://127.0.0.1:{port}");
    let script = "echo; echo short >&2; head -c 11000 /dev/urandom | base64 -w 0; echo";
    for (kind, level) in [("gzip", "9"), ("zlib", "1"), ("none", "0")] {
        let options = json!({ "gelf-address": address, "gelf-compression-type": kind, "gelf-compression-level": level,
                              "gelf-tag": "{{.ID}}", "labels": "who,id,image_name", "env": "MODE" });
        let over = json!({ "Labels": { "who": "me", "id": "x", "image_name": "lie" }, "Env": ["MODE=fast"] });
        let id = engine.create_named(kind, &merged(with_log(script, "gelf", &options), over));
        engine.start(&id);
        // They come by two pipes, in any order.
        let mut messages = [gelf_message(&server), gelf_message(&server)];
        messages.sort_by_key(|(message, _)| message["level"].as_u64());
        let [(message, chunks), (long, long_chunks)] = messages;
        assert_eq!(chunks, 0);
        let field = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        assert_eq!((field("version"), field("short_message")), ("1.1".to_owned(), "short".to_owned()));
        assert_eq!(message["level"], 3);
        assert_eq!((field("_container_id"), field("_container_name")), (id.clone(), kind.to_owned()));
        assert_eq!((field("_image_name"), field("_tag")), ("busybox".to_owned(), id[..12].to_owned()));
        assert_eq!((field("_who"), field("_MODE")), ("me".to_owned(), "fast".to_owned()));
        assert!(field("_command").starts_with("sh -c echo; echo short"), "{message}");
        assert_eq!(message["_id"], Value::Null, "GELF keeps it for the server");
        assert!(long_chunks > 5, "{long_chunks} chunks");
        let text = long["short_message"].as_str().expect("a text");
        assert_eq!((text.len(), &long["level"]), (14_668, &json!(6)));
        assert!(long["timestamp"].as_f64() > Some(1e9));
        assert_eq!(engine.wait(&id), 0);
    }
}

#[test]
fn journald_takes_what_is_logged_and_gives_it_back() {
    let engine = Engine::start_with(Options { journal: true, ..Options::default() });
    let options = json!({ "tag": "{{.Name}}", "labels": "who,message", "env": "MODE" });
    let over =
        json!({ "Labels": { "who": "me", "message": "lie" }, "Env": ["MODE=fast"], "OpenStdin": true });
    let script = "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo; printf 'a\\377b\\n'; head -c 20000 /dev/zero | tr '\\0' x; echo; read x; echo three; printf end";
    let id = engine.create_named("talker", &merged(with_log(script, "journald", &options), over));
    engine.start(&id);
    let other = engine.run(&with_log("echo other", "journald", &json!({})));
    assert_eq!(engine.wait(&other), 0);
    let logs = |parameters: &str| {
        let answer = engine.get(&format!("/containers/{id}/logs?{parameters}")).expect(200);
        frames::split(&answer.body)
    };
    let long = "x".repeat(20_000);
    let begun = [b"one\n\na\xffb\n", long.as_bytes(), b"\n"].concat();
    wait::until("the long line", || (logs("stdout=1").0 == begun).then_some(()));
    let attached =
        |parameters: &str| frames::split(&engine.attach(&id, parameters).read_to_end().expect("its end"));
    assert_eq!(attached("logs=1&stdout=1&stderr=1"), (begun.clone(), b"two\n".to_vec()), "the past alone");
    let mut watching = engine.attach(&id, "logs=1&stream=1&stdout=1");
    // Both answers have begun before the next line is written.
    let follower = |parameters: &str| {
        let mut connection = engine.connect();
        let path = format!("/v1.20/containers/{id}/logs?{parameters}");
        connection.request("GET", &path, &[], b"").expect("a request");
        let head = connection.read_head().expect("an answer");
        (connection, head)
    };
    let [following, tailing] = ["stdout=1&follow=1", "stdout=1&follow=1&tail=0"].map(follower);
    std::thread::sleep(Duration::from_millis(300));
    engine.attach(&id, "stream=1&stdin=1").send(b"\n").expect("stdin");
    let end_of = |(mut connection, head): (http::Connection, http::Head)| {
        frames::split(&connection.read_body("GET", &head).expect("the log"))
    };
    assert_eq!(end_of(following), ([&begun[..], b"three\nend\n"].concat(), Vec::new()));
    assert_eq!(end_of(tailing).0, b"three\nend\n");
    assert_eq!(engine.wait(&id), 0);
    let watched = frames::split(&watching.read_to_end().expect("its end")).0;
    assert_eq!(watched, [&begun[..], b"three\nend"].concat(), "the past, then the stream");
    assert_eq!(attached("logs=1&stderr=1").1, b"two\n", "of one that has ended");
    assert_eq!(logs("stderr=1").1, b"two\n");
    assert_eq!(logs("stdout=1&stderr=1&tail=2").0, b"three\nend\n");
    assert_eq!(logs("stdout=1&since=4000000000").0, b"");
    let stamped = String::from_utf8(logs("stdout=1&tail=1&timestamps=1").0).expect("text");
    assert!(stamped.len() == 35 && stamped.ends_with("Z end\n"), "{stamped}");

    let journal = format!("--mount=/proc/{}/ns/mnt", engine.network_pid());
    let entry = std::process::Command::new("nsenter")
        .args([
            &journal,
            "journalctl",
            "--quiet",
            "--output=json",
            "--lines=1",
            &format!("CONTAINER_ID_FULL={id}"),
        ])
        .output()
        .expect("journalctl");
    let entry: Value = serde_json::from_slice(&entry.stdout).expect("an entry");
    for (field, value) in [
        ("MESSAGE", "end"),
        ("PRIORITY", "6"),
        ("CONTAINER_NAME", "talker"),
        ("CONTAINER_TAG", "talker"),
        ("SYSLOG_IDENTIFIER", "talker"),
        ("CONTAINER_ID", &id[..12]),
        ("WHO", "me"),
        ("MODE", "fast"),
    ] {
        assert_eq!(entry[field], value, "{field}");
    }
}

#[test]
fn the_daemons_own_defaults_and_the_attributes_of_lines() {
    let arguments = [
        "--log-driver",
        "json-file",
        "--log-opt",
        "labels=who,missing",
        "--log-opt",
        "env=MODE",
        "--log-opt",
        "tag={{.Name}}",
    ];
    let arguments = arguments.map(str::to_owned).to_vec();
    let engine = Engine::start_with(Options { arguments, ..Options::default() });
    let body =
        merged(sh("echo line"), json!({ "Labels": { "who": "me", "x": "y" }, "Env": ["MODE=fast", "A=b"] }));
    let id = engine.create_named("named", &body);
    engine.start(&id);
    assert_eq!(engine.wait(&id), 0);
    let inspected = engine.inspect(&id);
    let log = &inspected["HostConfig"]["LogConfig"];
    assert_eq!(log["Config"], json!({ "labels": "who,missing", "env": "MODE", "tag": "{{.Name}}" }));
    let text = std::fs::read_to_string(inspected["LogPath"].as_str().expect("a path")).expect("the log");
    let record: Value = serde_json::from_str(&text).expect("one record");
    assert_eq!(record["attrs"], json!({ "who": "me", "MODE": "fast", "tag": "named" }));
    assert_eq!(engine.logs(&id).0, "line\n");
    let none = engine.run(&with_log("echo line", "none", &json!({ "meant": "for another" })));
    assert_eq!(engine.wait(&none), 0);
    let refused = engine.get(&format!("/containers/{none}/logs?stdout=1")).expect(500).text();
    assert!(refused.ends_with("(got: none)\n"), "{refused}");
}
