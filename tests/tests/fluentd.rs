//! The log driver fluentd against a server that decodes the forward protocol by its specification.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use berth_tests::host::within_network_of;
use berth_tests::{Engine, merged, sh, wait};
use serde_json::{Map, Value, json};

/// Reads one value of MessagePack; an extension is `{"ext": type, "data": [bytes]}`.
fn value(stream: &mut impl Read) -> Value {
    let head = number(stream, 1);
    match head {
        0x00..=0x7f => head.into(),
        0x80..=0x8f => map(stream, head & 0x0f),
        0x90..=0x9f => (0..head & 0x0f).map(|_| value(stream)).collect(),
        0xa0..=0xbf => text(stream, head & 0x1f),
        0xc4 | 0xd9 => counted(stream, 1),
        0xda => counted(stream, 2),
        0xdb => counted(stream, 4),
        0xce => number(stream, 4).into(),
        0xcf => number(stream, 8).into(),
        0xd7 => {
            let kind = number(stream, 1);
            json!({ "ext": kind, "seconds": number(stream, 4), "nanoseconds": number(stream, 4) })
        }
        0xde => {
            let pairs = number(stream, 2);
            map(stream, pairs)
        }
        other => panic!("no value of a forward message begins with {other:#x}"),
    }
}

fn number(stream: &mut impl Read, length: usize) -> u64 {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes[8 - length..]).expect("a number");
    u64::from_be_bytes(bytes)
}

fn counted(stream: &mut impl Read, length: usize) -> Value {
    let count = number(stream, length);
    text(stream, count)
}

fn text(stream: &mut impl Read, length: u64) -> Value {
    let mut bytes = vec![0; usize::try_from(length).expect("a length")];
    stream.read_exact(&mut bytes).expect("a text");
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn map(stream: &mut impl Read, pairs: u64) -> Value {
    let pair = |_| (value(stream).as_str().expect("a name").to_owned(), value(stream));
    Value::Object((0..pairs).map(pair).collect::<Map<String, Value>>())
}

fn with_fluentd(script: &str, options: &Value) -> Value {
    merged(sh(script), json!({ "HostConfig": { "LogConfig": { "Type": "fluentd", "Config": options } } }))
}

fn listen(engine: &Engine, port: u16) -> (TcpListener, u16) {
    let listener = within_network_of(engine.network_pid(), || {
        wait::until("the port", || TcpListener::bind(("127.0.0.1", port)).ok())
    });
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

fn accept(listener: &TcpListener) -> std::net::TcpStream {
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(wait::TIMEOUT)).expect("a limit");
    stream
}

#[test]
fn lines_are_messages_of_the_forward_protocol() {
    let engine = Engine::start();
    let (listener, port) = listen(&engine, 0);
    let options =
        json!({ "fluentd-address": format!("localhost:{port}"), "labels": "who,log", "env-regex": "^MO" });
    let over = json!({ "Labels": { "who": "me", "log": "lie" }, "Env": ["MODE=fast", "OTHER=x"] });
    let script = "echo out; echo err >&2; echo; head -c 20000 /dev/zero | tr '\\0' x; echo; printf end";
    let id = engine.create_named("talker", &merged(with_fluentd(script, &options), over));
    engine.start(&id);
    let mut stream = accept(&listener);
    let record = |source: &str, log: &str| {
        json!({ "container_id": id, "container_name": "/talker", "source": source, "log": log,
                "who": "me", "MODE": "fast" })
    };
    let mut next = || {
        let message = value(&mut stream);
        assert_eq!((message.as_array().map(Vec::len), &message[0]), (Some(3), &json!(id[..12])));
        assert!(message[1].as_u64() > Some(1_000_000_000), "{}", message[1]);
        message[2].clone()
    };
    // What comes by another pipe may come at any time.
    let mut found: Vec<Value> = (0..6).map(|_| next()).collect();
    let place = found.iter().position(|record| record["source"] == "stderr").expect("an error");
    assert_eq!(found.remove(place), record("stderr", "err"));
    assert_eq!(found[..2], [record("stdout", "out"), record("stdout", "")]);
    let pieces = &found[2..4];
    let long = "x".repeat(20_000);
    let part = |text: &str, number: &str, last: &str| {
        let marks = json!({ "partial_message": "true", "partial_id": pieces[0]["partial_id"],
                            "partial_ordinal": number, "partial_last": last });
        merged(record("stdout", text), marks)
    };
    assert_eq!(pieces[0], part(&long[..16_384], "1", "false"));
    assert_eq!(pieces[1], part(&long[16_384..], "2", "true"));
    assert_eq!(pieces[0]["partial_id"].as_str().map(str::len), Some(32));
    assert_eq!(found[4], record("stdout", "end"));
    assert_eq!(engine.wait(&id), 0);
    let refused = engine.at("1.55").get(&format!("/containers/{id}/logs?stdout=1")).expect(501);
    assert_eq!(refused.message(), "configured logging driver does not support reading");
}

#[test]
fn times_are_exact_and_lines_come_again_until_they_are_acknowledged() {
    let engine = Engine::start();
    let path = engine.directory().join("fluentd.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let options = json!({ "fluentd-address": format!("unix://{}", path.display()), "tag": "t.{{.Name}}",
                          "fluentd-sub-second-precision": "true", "fluentd-request-ack": "true",
                          "fluentd-retry-wait": "10ms" });
    let id = engine.create_named("talker", &with_fluentd("echo one; echo two", &options));
    engine.start(&id);
    let accept = || {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(wait::TIMEOUT)).expect("a limit");
        stream
    };
    let mut stream = accept();
    let first = value(&mut stream);
    assert_eq!((first.as_array().map(Vec::len), &first[0]), (Some(4), &json!("t.talker")));
    assert_eq!((&first[2]["log"], &first[1]["ext"]), (&json!("one"), &json!(0)));
    assert!(first[1]["nanoseconds"].as_u64() < Some(1_000_000_000));
    // A server that goes without an answer gets the same message again.
    drop(stream);
    let mut stream = accept();
    assert_eq!(value(&mut stream), first);
    let answer = |chunk: &Value| {
        let chunk = chunk.as_str().expect("an id");
        assert!(chunk.len() < 33, "{chunk}");
        let mut bytes = b"\x81\xa3ack\xd9".to_vec();
        bytes.push(u8::try_from(chunk.len()).expect("a length"));
        bytes.extend_from_slice(chunk.as_bytes());
        bytes
    };
    stream.write_all(&answer(&first[3]["chunk"])).expect("an answer");
    let second = value(&mut stream);
    assert_eq!(second[2]["log"], "two");
    assert_ne!(second[3]["chunk"], first[3]["chunk"]);
    // The container's end waits a little for the last answer.
    stream.write_all(&answer(&second[3]["chunk"])).expect("an answer");
    assert_eq!(engine.wait(&id), 0);
    assert_eq!(engine.state(&id, "LogLinesDropped"), Value::Null);
}

#[test]
fn a_server_that_is_away_is_an_error_unless_it_may_be() {
    let engine = Engine::start();
    let (listener, port) = listen(&engine, 0);
    drop(listener);
    let address = format!("tcp://127.0.0.1:{port}");
    let id = engine.create(&with_fluentd("echo one", &json!({ "fluentd-address": address })));
    let answer = engine.post(&format!("/containers/{id}/start")).expect(500);
    let cause = format!("cannot connect to the log server 127.0.0.1:{port}: connection refused");
    assert!(answer.text().contains(&cause), "{}", answer.text());
    let script = "echo one; read x; echo two";
    let options =
        json!({ "fluentd-address": address, "fluentd-async": "true", "fluentd-retry-wait": "20ms" });
    let id = engine.run(&merged(with_fluentd(script, &options), json!({ "OpenStdin": true })));
    let mut stdin = engine.attach(&id, "stream=1&stdin=1");
    let (listener, _) = listen(&engine, port);
    let mut stream = accept(&listener);
    assert_eq!(value(&mut stream)[2]["log"], "one");
    // Where the number of attempts is limited, what waits is given up.
    stdin.send(b"\n").expect("stdin");
    assert_eq!(value(&mut stream)[2]["log"], "two");
    assert_eq!(engine.wait(&id), 0);
    drop((listener, stream));
    let options = merged(options, json!({ "fluentd-max-retries": "2" }));
    let id = engine.run(&merged(with_fluentd("echo lost; sleep 600", &options), json!({})));
    wait::until("the count", || (engine.state(&id, "LogLinesDropped") == 1).then_some(()));
}

#[test]
fn bad_options_are_refused_when_the_container_is_made() {
    let today = Engine::start();
    let today = today.at("1.55");
    for (options, words) in [
        (
            json!({ "fluentd-address": "tls://h:1" }),
            "fluentd: tls:// is not supported: tcp:// and unix:// are",
        ),
        (json!({ "fluentd-async": "x" }), "invalid value for fluentd-async: 'x' must be true or false"),
        (json!({ "fluentd-retry-wait": "soon" }), "invalid value for fluentd-retry-wait: 'soon'"),
        (json!({ "fluentd-nope": "1" }), "unknown log opt 'fluentd-nope' for fluentd log driver"),
    ] {
        let answer = today.post_json("/containers/create", &with_fluentd("true", &options)).expect(400);
        assert_eq!(answer.message(), words, "{options}");
    }
}
