//! Clients that leave in the midst: what they began ends, and nothing of it stays.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use berth_tests::registry::within_network;
use berth_tests::{Context, wait};

use super::Target;

/// Bytes of the files beneath a directory; what goes meanwhile has none.
fn bytes_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Whether what the build of this context downloads without an end goes with its client.
fn assert_ends(what: &str, parameters: &str, body: &[u8], port: u16) {
    let engine = Target::start();
    let listener = within_network(&engine, || TcpListener::bind(("127.0.0.1", port))).expect("a listener");
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let _ = client.read(&mut [0; 4096]).expect("a request");
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n\r\n").expect("a head");
        // A tar of one file that is as long as its size field allows, or a download of no particular kind.
        let mut header = tar::Header::new_ustar();
        header.set_path("file").expect("a name");
        header.set_size(0o777_7777_7777);
        header.set_cksum();
        let _ = client.write_all(header.as_bytes());
        let piece = vec![0; 64 << 10];
        while client.write_all(&piece).is_ok() {}
    });
    let builds = engine.data_root().join("builds");
    let mut client = engine.connect();
    let head = format!(
        "POST /build{parameters} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head.as_bytes()).expect("a head");
    client.send(body).expect("a context");
    wait::until("the download", || (bytes_in(&builds) > 8 << 20).then_some(()));
    drop(client);
    wait::until("the end of the build", || (engine.builds_with_files() == 0).then_some(()));
    server.join().unwrap_or_else(|_| panic!("{what}: the server failed"));
}

#[test]
fn downloads_without_an_end_go_with_their_client() {
    let context = Context::of("FROM scratch\nADD http://127.0.0.1:8901/x /x\n").bytes();
    assert_ends("ADD", "", &context, 8901);
}

#[test]
fn remote_contexts_without_an_end_go_with_their_client() {
    assert_ends("remote", "?remote=http://127.0.0.1:8902/x.tar", b"", 8902);
}
