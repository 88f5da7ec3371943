//! The HTTP server against clients that are slow, wrong or gone.

use std::time::Duration;

use berth_tests::{Engine, Options, sh, wait};

#[test]
fn a_connection_serves_many_requests() {
    let engine = Engine::start();
    let mut connection = engine.connect();
    for path in ["/_ping", "/v1.20/version", "/v1.20/nosuch", "/v1.20/containers/json", "/_ping"] {
        connection.request("GET", path, &[], b"").expect("a request");
        let head = connection.read_head().expect("an answer");
        let _ = connection.read_body("GET", &head).expect("a body");
    }
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let engine = Engine::start();
    let mut connection = engine.connect();
    let request = "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nGET /v1.20/version HTTP/1.1\r\nHost: x\r\n\r\nHEAD /_ping HTTP/1.1\r\nHost: x\r\n\r\n";
    connection.send(request.as_bytes()).expect("three requests");
    let head = connection.read_head().expect("an answer");
    assert_eq!(connection.read_body("GET", &head).expect("a body"), b"OK");
    let head = connection.read_head().expect("an answer");
    assert!(connection.read_body("GET", &head).expect("a body").starts_with(b"{"));
    assert_eq!(connection.read_head().expect("an answer").status, 200);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let engine = Engine::start();
    let body = sh("true").to_string();
    let request = format!(
        "POST /v1.20/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = engine.connect();
    for byte in request.bytes() {
        connection.send(&[byte]).expect("a byte");
    }
    assert_eq!(connection.read_head().expect("an answer").status, 201);
}

#[test]
fn a_client_may_go_at_any_byte() {
    let engine = Engine::start();
    let body = sh("true").to_string();
    let request = format!(
        "POST /v1.20/containers/create?name=half HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for length in 0..request.len() {
        let mut connection = engine.connect();
        connection.send(&request.as_bytes()[..length]).expect("a part");
    }
    assert_eq!(engine.get("/_ping").text(), "OK");
    assert_eq!(
        engine.get("/containers/json?all=1").json().as_array().map(Vec::len),
        Some(0),
        "half a body makes nothing"
    );
}

#[test]
fn a_client_may_go_while_it_is_answered() {
    let engine = Engine::start();
    let id = engine.run(&sh("while :; do echo line; done"));
    // More than is read below: of an answer that is whole nothing more comes.
    wait::until("the output", || (engine.logs(&id).0.len() > 200_000).then_some(()));
    let _ = engine.post(&format!("/containers/{id}/stop?t=0"));
    for length in [1_usize, 50, 200, 1000, 70_000] {
        let path = format!("/containers/{id}/logs?stdout=1");
        let (_, mut connection) = engine.open("GET", &path, &[], b"");
        connection.read_exactly(length).expect("a part of the answer");
    }
    for path in ["/events", "/containers/json", "/images/json"] {
        let (head, connection) = engine.open("GET", path, &[], b"");
        assert_eq!(head.status, 200);
        drop(connection);
    }
    assert_eq!(engine.get("/_ping").text(), "OK");
}

#[test]
fn malformed_requests_are_refused() {
    let engine = Engine::start();
    for (request, status) in [
        ("nonsense\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        ("GET /_ping\r\n\r\n", 400),
        ("GET /_ping HTTP/9.9\r\nHost: x\r\n\r\n", 505),
        ("GET /_ping HTTP/1.1\r\nbad header\r\n\r\n", 400),
        ("POST /v1.20/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", 400),
        ("POST /v1.20/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (
            "POST /v1.20/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            400,
        ),
        (
            "POST /v1.20/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
        ),
        ("\0\0\0\0\r\n\r\n", 400),
    ] {
        let mut connection = engine.connect();
        connection.send(request.as_bytes()).expect("a request");
        let _ = connection.half_close();
        assert_eq!(connection.read_head().expect("an answer").status, status, "{request:?}");
        assert_eq!(engine.get("/_ping").text(), "OK", "after {request:?}");
    }
}

#[test]
fn heads_without_end_are_cut_off() {
    let engine = Engine::start();
    let mut connection = engine.connect();
    let _ = connection.send(b"GET /_ping HTTP/1.1\r\nHost: x\r\n");
    let line = format!("X-Long: {}\r\n", "a".repeat(8000));
    // A little more than a head may have, so that nothing is left unread that would reset the connection.
    for _ in 0..=(256 << 10) / line.len() {
        connection.send(line.as_bytes()).expect("a field");
    }
    assert_eq!(connection.read_head().expect("an answer").status, 431);
    assert_eq!(engine.get("/_ping").text(), "OK");
    let path = format!("/containers/{}/json", "a".repeat(200_000));
    let _ = engine.get(&path).expect(404);
}

#[test]
fn a_body_of_json_without_end_is_cut_off() {
    let engine = Engine::start();
    let mut connection = engine.connect();
    let head = "POST /v1.20/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(head.as_bytes()).expect("the head");
    let piece = format!("{:x}\r\n{}\r\n", 65_536, " ".repeat(65_536));
    let mut sent = 0;
    while sent < 256 * 1024 * 1024 && connection.send(piece.as_bytes()).is_ok() {
        sent += 65_536;
    }
    // A connection over a Unix socket returns what has come before it reports that the other side is closed.
    assert_eq!(connection.read_head().expect("an answer").status, 413);
    assert_eq!(engine.get("/_ping").text(), "OK");
}

#[test]
fn continue_is_sent_when_asked_for() {
    let engine = Engine::start();
    let body = sh("true").to_string();
    let mut connection = engine.connect();
    let head = format!(
        "POST /v1.20/containers/create HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.send(head.as_bytes()).expect("the head");
    assert!(connection.read_line().expect("a line").contains("100"));
    connection.send(body.as_bytes()).expect("the body");
    let _ = connection.read_line();
    assert_eq!(connection.read_head().expect("an answer").status, 201);
}

#[test]
fn old_clients_are_served() {
    let engine = Engine::start();
    let mut connection = engine.connect();
    connection.send(b"GET /_ping HTTP/1.0\r\n\r\n").expect("a request");
    let text = String::from_utf8(connection.read_to_end().expect("the end")).expect("text");
    assert!(text.starts_with("HTTP/1.") && text.contains(" 200 ") && text.ends_with("OK"), "{text}");
}

#[test]
fn many_idle_connections_disturb_nobody() {
    let engine = Engine::start();
    let idle: Vec<_> = (0..500).map(|_| engine.connect()).collect();
    assert_eq!(engine.get("/_ping").text(), "OK");
    drop(idle);
    let mut half = engine.connect();
    half.send(b"GET /_ping HT").expect("half a head");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(engine.get("/_ping").text(), "OK");
}

#[test]
fn the_same_api_over_tcp() {
    let arguments = vec!["--host".to_owned(), "tcp://127.0.0.1:22375".to_owned()];
    let engine = Engine::start_with(Options { arguments, ..Options::default() });
    let answer = {
        let address = "127.0.0.1:22375".parse().expect("an address");
        berth_tests::host::fetch(engine.network_pid(), address, "/v1.20/version")
    };
    assert!(answer.contains("\"ApiVersion\":\"1.55\""), "{answer}");
}

#[test]
fn paths_are_decoded_once() {
    let engine = Engine::start();
    let id = engine.create_named("named", &sh("true"));
    let answer = engine.get("/containers/%6Eamed/json").expect(200).json();
    assert_eq!(answer["Id"], id.as_str());
    for (path, status) in [
        ("/containers/%zz/json", 400),
        ("/containers/%00/json", 404),
        ("/containers/..%2f..%2fetc/json", 301),
        ("/containers/%2525/json", 404),
    ] {
        let _ = engine.get(path).expect(status);
    }
}

#[test]
fn connections_are_kept_or_closed_as_the_client_asks() {
    let engine = Engine::start();
    let mut kept = engine.connect();
    for _ in 0..3 {
        kept.send(b"GET /_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("a request");
        let head = kept.read_head().expect("an answer");
        assert_eq!(head.header("connection").map(str::to_lowercase), Some("keep-alive".to_owned()));
        assert_eq!(kept.read_body("GET", &head).expect("a body"), b"OK");
    }
    let mut closed = engine.connect();
    closed.send(b"HEAD /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a request");
    let head = closed.read_head().expect("an answer");
    assert_eq!((head.status, head.header("connection")), (200, Some("close")));
    assert!(closed.read_to_end().expect("the end").is_empty(), "an answer to HEAD has no body");
    // Without chunks for clients that do not support them.
    let mut old = engine.connect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    old.send(format!("GET /events?since=1&until={now} HTTP/1.0\r\n\r\n").as_bytes()).expect("a request");
    let head = old.read_head().expect("an answer");
    assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
    let _ = old.read_to_end().expect("the end of the connection is the end of the body");
}

#[test]
fn pages_of_one_origin_are_let_in_when_it_is_named() {
    let arguments = vec!["--api-cors-header".to_owned(), "http://foo.bar".to_owned()];
    let engine = Engine::start_with(Options { arguments, ..Options::default() });
    let asking = [("Origin", "http://foo.bar"), ("Access-Control-Request-Method", "POST")];
    for (method, path) in [
        ("OPTIONS", "/containers/create"),
        ("OPTIONS", "/nosuch"),
        ("GET", "/_ping"),
        ("GET", "/containers/nosuch/json"),
        ("GET", "/events?since=1&until=2"),
    ] {
        let answer = engine.call(method, path, &asking, b"");
        assert_eq!(
            answer.head.header("access-control-allow-origin"),
            Some("http://foo.bar"),
            "{method} {path}"
        );
        let methods = answer.head.header("access-control-allow-methods").unwrap_or_default();
        assert!(
            ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"].iter().all(|method| methods.contains(method))
        );
        let headers = answer.head.header("access-control-allow-headers").unwrap_or_default();
        assert!(headers.contains("Content-Type") && headers.contains("X-Registry-Auth"), "{headers}");
    }
    let without = Engine::start();
    let answer = without.call("OPTIONS", "/containers/create", &asking, b"").expect(200);
    assert_eq!(answer.head.header("access-control-allow-origin"), None);
}
