//! Heads as clients and attackers send them.

use super::*;

fn take(text: &str) -> Result<Option<RequestHead>, HeadError> {
    take_head(&mut BytesMut::from(text), &mut 0)
}

fn head(text: &str) -> RequestHead {
    take(text)
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
        .unwrap_or_else(|| panic!("{text:?} incomplete"))
}

fn error(text: &str) -> HeadError {
    take(text).expect_err(text)
}

#[test]
fn an_ordinary_request() {
    let head = head(
        "POST /v1.20/containers/a%2Fb%20c/start?t=5&x=%2F HTTP/1.1\r\nHost: docker\r\nX: y\r\nContent-Length: 7\r\n\r\n",
    );
    assert_eq!(head.method, Method::POST);
    assert_eq!(head.path, "/v1.20/containers/a/b c/start");
    assert_eq!(head.raw_path, "/v1.20/containers/a%2Fb%20c/start");
    assert_eq!(head.query, "t=5&x=%2F");
    assert_eq!(head.framing, Framing::Length(7));
    assert!(head.keep_alive && !head.expects_continue);
}

#[test]
fn a_head_in_any_split_leaves_what_follows() {
    let text = "\r\nGET /_ping HTTP/1.1\r\nHost: d\r\n\r\nrest";
    for at in 0..text.len() - 4 {
        let (mut buffer, mut scanned) = (BytesMut::from(&text[..at]), 0);
        assert!(take_head(&mut buffer, &mut scanned).expect(text).is_none(), "split at {at}");
        buffer.extend_from_slice(&text.as_bytes()[at..]);
        assert_eq!(take_head(&mut buffer, &mut scanned).expect(text).expect("whole").path, "/_ping");
        assert_eq!(&buffer[..], b"rest");
    }
}

#[test]
fn bare_line_feeds_end_lines_too() {
    assert_eq!(head("GET /_ping HTTP/1.1\nHost: d\n\n").path, "/_ping");
}

#[test]
fn forms_of_the_target() {
    for (target, path, query) in [
        ("/a?b?c", "/a", "b?c"),
        ("http://localhost:1/v1.20/_ping", "/v1.20/_ping", ""),
        ("HTTPS://h?x=1", "/", "x=1"),
        ("http://h", "/", ""),
        ("*", "*", ""),
        ("/a#b?c", "/a", ""),
    ] {
        let host =
            target.split_once("//").map_or("d", |(_, rest)| rest.split(['/', '?']).next().unwrap_or("d"));
        let head = head(&format!("OPTIONS {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!((head.path.as_str(), head.query.as_str()), (path, query), "{target}");
    }
    for target in ["a", "ftp://h/", "localhost:80", "/%zz", "/%4", "/%"] {
        assert_eq!(
            error(&format!("GET {target} HTTP/1.1\r\nHost: d\r\n\r\n")),
            HeadError::Malformed,
            "{target}"
        );
    }
}

#[test]
fn keep_alive_by_version_and_word() {
    for (version, connection, expected) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: foo, Close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
    ] {
        let head = head(&format!("GET / HTTP/{version}\r\nHost: d\r\n{connection}\r\n"));
        assert_eq!(head.keep_alive, expected, "{version} {connection}");
    }
}

#[test]
fn requests_that_smuggle_are_refused() {
    let post = |fields: &str| format!("POST /a HTTP/1.1\r\nHost: d\r\n{fields}\r\n");
    for (fields, expected) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", StatusCode::BAD_REQUEST),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", StatusCode::BAD_REQUEST),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", StatusCode::BAD_REQUEST),
        ("Content-Length: 5, 5\r\n", StatusCode::BAD_REQUEST),
        ("Content-Length: +5\r\n", StatusCode::BAD_REQUEST),
        ("Content-Length: -5\r\n", StatusCode::BAD_REQUEST),
        ("Content-Length: abc\r\n", StatusCode::BAD_REQUEST),
        ("Content-Length: \r\n", StatusCode::BAD_REQUEST),
        ("Content-Length: 99999999999999999999\r\n", StatusCode::BAD_REQUEST),
        ("Content-Length : 5\r\n", StatusCode::BAD_REQUEST),
        ("Transfer-Encoding: gzip, chunked\r\n", StatusCode::NOT_IMPLEMENTED),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", StatusCode::NOT_IMPLEMENTED),
        ("Transfer-Encoding: xchunked\r\n", StatusCode::NOT_IMPLEMENTED),
        (" folded: x\r\n", StatusCode::BAD_REQUEST),
        ("A: b\r\n folded\r\n", StatusCode::BAD_REQUEST),
        ("Host: e\r\n", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(error(&post(fields)).status(), expected, "{fields:?}");
    }
    let old = "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(error(old).status(), StatusCode::BAD_REQUEST);
    assert_eq!(head(&post("Transfer-Encoding: Chunked\r\n")).framing, Framing::Chunked);
}

#[test]
fn what_is_no_request_is_refused_at_once() {
    for (text, status) in [
        ("NONSENSE\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        ("GET /_ping HTTP/9.9\r\nHost: d\r\n\r\n", 505),
        ("GET /_ping HTTP/2.0\r\n", 505),
        ("\u{16}\u{3}\u{1}\u{2}", 400),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
    ] {
        assert_eq!(error(text).status().as_u16(), status, "{text:?}");
    }
}

#[test]
fn limits_of_size_and_number() {
    let many = format!("GET / HTTP/1.1\r\nHost: d\r\n{}\r\n", "A: b\r\n".repeat(MAXIMUM_FIELDS));
    assert_eq!(error(&many).status().as_u16(), 431);
    let endless = format!("GET / HTTP/1.1\r\nHost: d\r\nA: {}", "b".repeat(MAXIMUM_HEAD));
    assert_eq!(error(&endless).status().as_u16(), 431);
    let fields: String = (0..200).map(|number| format!("X-{number}: {}\r\n", "v".repeat(500))).collect();
    assert_eq!(head(&format!("GET / HTTP/1.1\r\nHost: d\r\n{fields}\r\n")).headers.len(), 201);
}

#[test]
fn continue_is_expected_only_with_a_body() {
    let text = |length: u8, version: &str| {
        format!(
            "POST / HTTP/{version}\r\nHost: d\r\nExpect: 100-Continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    assert!(head(&text(5, "1.1")).expects_continue);
    assert!(!head(&text(0, "1.1")).expects_continue);
    assert!(!head(&text(5, "1.0")).expects_continue);
}

#[test]
fn a_request_has_one_host() {
    let same = head("GET http://engine:2375/_ping HTTP/1.1\r\nHost: Engine:2375\r\n\r\n");
    assert_eq!(same.header(&header::HOST), "Engine:2375");
    let old = head("GET http://engine/_ping HTTP/1.0\r\n\r\n");
    assert_eq!(old.header(&header::HOST), "engine");
    let different = HeadError::Rule("the target and the Host header name different hosts");
    for (text, want) in [
        ("GET http://evil/_ping HTTP/1.1\r\nHost: localhost\r\n\r\n", different.clone()),
        ("GET http://localhost/_ping HTTP/1.1\r\nHost: evil\r\n\r\n", different.clone()),
        ("GET http://u@localhost/_ping HTTP/1.0\r\nHost: localhost\r\n\r\n", different),
        (
            "GET http:///_ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
            HeadError::Rule("the target names no host"),
        ),
        ("GET / HTTP/1.0\r\nHost: localhost\r\nHost: evil\r\n\r\n", HeadError::Rule("too many Host headers")),
        ("GET / HTTP/1.1\r\nHost: evil\u{e9}\r\n\r\n", HeadError::Rule("malformed Host header")),
    ] {
        assert_eq!(error(text), want, "{text}");
    }
}
