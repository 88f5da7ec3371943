//! Pages of strangers at a TCP listener that knows no client: refused by `Origin` and by `Host`, with the reason.

use std::net::SocketAddr;

use berth_tests::{Engine, Options, host, sh};
use serde_json::json;

use super::Target;

const PLACE: &str = "127.0.0.1:22390";

fn engine(arguments: &[&str]) -> Target {
    let mut all = vec!["--host".to_owned(), format!("tcp://{PLACE}")];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    Target::start_with(Options { arguments: all, ..Options::default() })
}

/// The refusal of a request for this reason.
fn refused(reason: &str) -> (u16, String) {
    (403, format!("{}\n", json!({ "message": reason })))
}

/// Status and body of a request with these lines in its head.
fn ask(engine: &Engine, line: &str, fields: &[&str]) -> (u16, String) {
    let address: SocketAddr = PLACE.parse().expect("an address");
    let mut connection = host::connect(engine.network_pid(), address);
    let head = format!("{line} HTTP/1.1\r\n{}\r\nConnection: close\r\n\r\n", fields.join("\r\n"));
    connection.send(head.as_bytes()).expect("a request");
    let head = connection.read_head().expect("an answer");
    let method = line.split(' ').next().unwrap_or_default();
    let body = connection.read_body(method, &head).expect("a body");
    (head.status, String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn pages_of_other_origins_are_refused_where_clients_are_not_known() {
    let engine = engine(&[]);
    let id = engine.run(&sh("sleep 600"));
    let own = format!("Host: {PLACE}");
    let page = "Origin: http://evil.example";
    let reason = "pages of the origin \"http://evil.example\" are not allowed where clients show no certificate: \
                  start the daemon with --api-cors-header";
    let stop = format!("POST /containers/{id}/stop?t=0");
    let attach = format!("GET /containers/{id}/attach/ws?stream=1");
    let upgrade = [
        &own,
        page,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    assert_eq!(ask(&engine, &stop, &[&own, page]), refused(reason));
    assert_eq!(ask(&engine, &attach, &upgrade), refused(reason));
    assert_eq!(ask(&engine, "OPTIONS /containers/json", &[&own, page]), refused(reason));
    assert_eq!(ask(&engine, "GET /_ping", &[&own, "Origin: null"]).0, 403);
    assert_eq!(engine.state(&id, "Running"), true);
    // Clients that are no browser, and pages that the engine's own address serves.
    assert_eq!(ask(&engine, "GET /_ping", &[&own]), (200, "OK".to_owned()));
    assert_eq!(
        ask(&engine, "GET /_ping", &[&own, &format!("Origin: http://{PLACE}")]),
        (200, "OK".to_owned())
    );
    // The unix socket has its permissions.
    let answer = engine.call("GET", "/_ping", &[("Origin", "http://evil.example")], b"");
    assert_eq!(answer.head.status, 200);
}

#[test]
fn pages_of_the_named_origin_may_use_the_api() {
    let engine = engine(&["--api-cors-header", "http://pages.example"]);
    let own = format!("Host: {PLACE}");
    assert_eq!(ask(&engine, "GET /_ping", &[&own, "Origin: http://pages.example"]).0, 200);
    assert_eq!(ask(&engine, "GET /_ping", &[&own, "Origin: http://evil.example"]).0, 403);
}

#[test]
fn strange_names_of_the_host_are_refused_where_clients_are_not_known() {
    let engine = engine(&["--allowed-host", "engine.example"]);
    let reason = "the host \"evil:22390\" is not allowed where clients show no certificate: use an address or \
                  localhost, or start the daemon with --allowed-host";
    assert_eq!(ask(&engine, "GET /info", &["Host: evil:22390"]), refused(reason));
    for own in [PLACE, "localhost", "localhost:22390", "[::1]:22390", "192.0.2.1", "engine.example:22390", ""]
    {
        assert_eq!(ask(&engine, "GET /_ping", &[&format!("Host: {own}")]).0, 200, "{own}");
    }
    assert_eq!(engine.call("GET", "/_ping", &[("X-Host", "evil")], b"").head.status, 200);
}

/// A request whose host can be understood in two ways is refused: what is checked would not be what is meant.
#[test]
fn requests_that_name_two_hosts_are_refused() {
    let engine = engine(&[]);
    let own = format!("Host: {PLACE}");
    let two = (400, "400 Bad Request: too many Host headers\n".to_owned());
    assert_eq!(ask(&engine, "GET /info", &[&own, "Host: evil"]), two);
    assert_eq!(ask(&engine, "GET /info", &["Host: evil", &own]), two);
    let different =
        (400, "400 Bad Request: the target and the Host header name different hosts\n".to_owned());
    assert_eq!(ask(&engine, "GET http://evil/info", &[&own]), different);
    assert_eq!(ask(&engine, &format!("GET http://{PLACE}/info"), &["Host: evil"]), different);
    assert_eq!(ask(&engine, "GET http://evil/info", &["Host: evil"]).0, 403);
    assert_eq!(ask(&engine, &format!("GET http://{PLACE}/_ping"), &[&own]), (200, "OK".to_owned()));
}

/// What a page merely loads, an image for example, comes without `Origin`.
#[test]
fn what_pages_of_other_sites_load_is_refused_where_clients_are_not_known() {
    let strict = engine(&[]);
    let own = format!("Host: {PLACE}");
    for site in ["cross-site", "same-site"] {
        let reason = format!(
            "pages of other sites (sec-fetch-site: \"{site}\") are not allowed where clients show no certificate: \
             start the daemon with --api-cors-header"
        );
        let field = format!("Sec-Fetch-Site: {site}");
        assert_eq!(ask(&strict, "GET /images/json", &[&own, &field]), refused(&reason));
    }
    for site in ["none", "same-origin"] {
        assert_eq!(ask(&strict, "GET /_ping", &[&own, &format!("Sec-Fetch-Site: {site}")]).0, 200, "{site}");
    }
    let across = [("Sec-Fetch-Site", "cross-site")];
    assert_eq!(
        strict.call("GET", "/_ping", &across, b"").status(),
        200,
        "the unix socket has its permissions"
    );
    drop(strict);
    let named = engine(&["--api-cors-header", "http://pages.example"]);
    let across = "Sec-Fetch-Site: cross-site";
    assert_eq!(ask(&named, "GET /_ping", &[&own, across, "Origin: http://pages.example"]).0, 200);
    assert_eq!(ask(&named, "GET /_ping", &[&own, across]).0, 403);
    drop(named);
    assert_eq!(ask(&engine(&["--api-cors-header", "*"]), "GET /_ping", &[&own, across]).0, 200);
}
