//! Contexts and files by http address, from a small server.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::remote;
use crate::BuildError;
use crate::fixture::{Fixture, context};

/// An HTTP server of a few pages that runs as long as its test.
struct Server {
    address: String,
    stop: std::sync::Arc<AtomicBool>,
}

type Page = (&'static str, Vec<u8>);

impl Server {
    fn start(pages: HashMap<&'static str, Page>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let pages = pages.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &pages));
            }
        });
        Self { address, stop }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(self.address.trim_start_matches("http://"));
    }
}

fn answer(mut stream: std::net::TcpStream, pages: &HashMap<&'static str, Page>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    while lines.next().is_some_and(|line| !line.unwrap_or_default().is_empty()) {}
    let path = first.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
    if path == "/stall" {
        std::thread::sleep(Duration::from_secs(60));
    }
    let head = |status: &str, kind: &str, length: usize| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\nConnection: close\r\n"
        )
    };
    let answer = match pages.get(path.as_str()) {
        _ if path == "/redirect" => {
            format!("{}Location: /text\r\n\r\n", head("302 Found", "text/plain", 0)).into_bytes()
        }
        _ if path == "/cut" => format!("{}\r\nhalf", head("200 OK", "text/plain", 100)).into_bytes(),
        Some((kind, data)) => [format!("{}\r\n", head("200 OK", kind, data.len())).as_bytes(), data].concat(),
        None => format!("{}\r\n", head("404 Not Found", "text/plain", 0)).into_bytes(),
    };
    let _ = stream.write_all(&answer);
}

fn remote_server() -> Server {
    let packed = || {
        context("FROM base\nCOPY . /c")
            .file("f.md", "1")
            .file(".dockerignore", "*.md\n.dockerignore\n")
            .directory("sub/")
            .file("sub/D", "FROM base\nLABEL at=sub")
            .bytes()
    };
    Server::start(HashMap::from([
        ("/text", ("text/plain; charset=utf-8", b"FROM base\nLABEL at=text\n".to_vec())),
        ("/binary", ("application/octet-stream", b"FROM base\nLABEL at=binary\n".to_vec())),
        ("/context.tar", ("application/x-tar", packed())),
        ("/context", ("application/octet-stream", packed())),
        ("/page", ("text/html", b"<html>".to_vec())),
        ("/nul", ("application/octet-stream", b"a\0b".to_vec())),
        ("/bad", ("application/x-tar", context("FROM base").file(".dockerignore", "[").bytes())),
    ]))
}

#[test]
fn remote_contexts_by_address() {
    let fixture = Fixture::new();
    let server = remote_server();
    for path in ["/text", "/binary", "/redirect"] {
        let built =
            remote(&fixture, &server.url(path), |request| request.dockerfile = Some("zzz".to_owned()));
        built.result.unwrap();
        assert!(built.text.starts_with("Step 0 : FROM base\n-> Step 1 : LABEL at "), "{}", built.text);
    }
    for path in ["/context.tar", "/context"] {
        let url = server.url(path);
        let built = remote(&fixture, &url, |_| {});
        assert!(built.text.starts_with(&format!("STATUS {url} ")), "{}", built.text);
        let image = fixture.store.image(&built.result.unwrap()).unwrap();
        let names = fixture.top_layer(&image);
        let names: Vec<_> = names.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["c/", "c/Dockerfile", "c/sub/", "c/sub/D"]);
    }
    let sub = remote(&fixture, &server.url("/context.tar"), |request| {
        request.dockerfile = Some("sub/D".to_owned())
    });
    assert!(sub.text.contains("LABEL at sub"), "{}", sub.text);
    let address = |path: &str| server.url(path);
    for (remote_address, want) in [
        (
            address("/nope"),
            format!(
                "Error downloading remote context {}: Got HTTP status code >= 400: 404 Not Found",
                address("/nope")
            ),
        ),
        (
            address("/page"),
            format!(
                "Error detecting content type for remote {}: unsupported Content-Type \"text/html\"",
                address("/page")
            ),
        ),
        (address("/nul"), format!("Error detecting content type for remote {}", address("/nul"))),
        (
            address("/cut"),
            format!("Error downloading remote context {}: cannot get the rest", address("/cut")),
        ),
        (address("/bad"), "cannot read .dockerignore: syntax error in pattern \"[\"".to_owned()),
        (
            "http://127.0.0.1:1/x".to_owned(),
            "Error downloading remote context http://127.0.0.1:1/x: cannot get http://127.0.0.1:1/x: connection refused"
                .to_owned(),
        ),
        ("http://".to_owned(), "Error downloading remote context http://: ".to_owned()),
        (
            "foo".to_owned(),
            "remote \"foo\" is neither a git repository nor an http or https address".to_owned(),
        ),
        ("/etc/passwd".to_owned(), "remote \"/etc/passwd\" is neither".to_owned()),
        ("file:///etc/passwd".to_owned(), "remote \"file:///etc/passwd\" is neither".to_owned()),
        ("ftp://127.0.0.1/x".to_owned(), "remote \"ftp://127.0.0.1/x\" is neither".to_owned()),
    ] {
        let text = remote(&fixture, &remote_address, |_| {}).result.unwrap_err().to_string();
        assert!(text.starts_with(&want), "{text}");
        assert!(!text.contains("os error"), "{text}");
    }
}

#[test]
fn a_stalled_server_does_not_hold_a_cancelled_build() {
    let fixture = Fixture::new();
    let server = remote_server();
    let started = Instant::now();
    let built = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            fixture.cancellation.cancel();
        });
        remote(&fixture, &server.url("/stall"), |_| {})
    });
    assert!(matches!(built.result, Err(BuildError::Cancelled)), "{:?}", built.result);
    assert!(started.elapsed() < Duration::from_secs(30), "waited for the server");
}

#[test]
fn add_downloads_and_asks_the_cache_by_what_came() {
    let fixture = Fixture::new();
    let server = remote_server();
    let text = server.url("/text");
    let step = |rest: &str| fixture.build(context(&format!("FROM base\nADD {rest}")));
    let first = step(&format!("{text} /h"));
    assert!(
        first.text.ends_with(&format!("Step 1 : ADD {text} /h\nSTATUS Downloading \n-> RM OK")),
        "{}",
        first.text
    );
    let image = fixture.store.image(&first.result.unwrap()).unwrap();
    let lines = fixture.top_layer(&image);
    assert!(lines[0].starts_with("h 600 0:0 ") && lines.len() == 1, "{lines:?}");
    let file = fixture.store.lower_directories(&image)[0].join("h");
    let modified = crate::tree::Node::read(&file).unwrap().metadata.modified.unwrap();
    assert_eq!(modified.seconds, 1_420_070_400);
    assert!(step(&format!("{text}?a=b /h")).text.contains("Using cache"));
    let unpacked = step(&format!("{} /d/", server.url("/context.tar")));
    let image = fixture.store.image(&unpacked.result.unwrap()).unwrap();
    assert!(fixture.top_layer(&image)[1].starts_with("d/context.tar 600 0:0 "));
    for (rest, want) in [
        (format!("{} /h", server.url("/nope")), "Got HTTP status code >= 400: 404 Not Found".to_owned()),
        (
            format!("{}/ /d/", server.url("/text").replace("/text", "")),
            "Got HTTP status code >= 400: 404 Not Found".to_owned(),
        ),
        ("ftp://127.0.0.1/x /h".to_owned(), "ftp://127.0.0.1/x: no such file or directory".to_owned()),
    ] {
        assert_eq!(step(&rest).result.unwrap_err().to_string(), want);
    }
}
