//! Archives that many clients begin and never end: together they get a share of the memory, then 503, and small requests
//! are served all the while.

use std::time::Duration;

use berth_tests::http::Connection;
use berth_tests::tarball::TAR;
use berth_tests::{piped, wait};
use tar::{EntryType, Header};

use super::Target;

/// As many clients; each sends at least two megabytes, plain or decompressed, if it may.
const CLIENTS: usize = 300;
const MEGABYTE: usize = 1 << 20;

fn header(name: &str, kind: EntryType, size: usize) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path(name).expect("a short name");
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// An entry with most of its content.
fn unfinished(name: &str, kind: EntryType, size: usize) -> Vec<u8> {
    let mut bytes = header(name, kind, size);
    bytes.resize(size - 4096, b'\n');
    bytes
}

/// The status of the answer, if there is one by now.
fn status(connection: &mut Connection) -> Option<u16> {
    connection.set_timeout(Duration::from_millis(1)).expect("a timeout");
    connection.read_head().ok().map(|head| head.status)
}

/// Sends the same to a path over many connections. Every client is either refused or served, small requests are answered,
/// and when all have left there is room again.
fn attack(what: &str, path: &str, body: &[u8]) {
    let engine = Target::start();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        1_u64 << 40
    );
    let mut clients: Vec<Connection> = (0..CLIENTS)
        .map(|_| {
            let mut connection = engine.connect();
            connection.send(head.as_bytes()).expect("a head");
            // One that is refused may get the response in the midst of it.
            let _ = connection.send(body);
            connection
        })
        .collect();
    let mut statuses = Vec::new();
    wait::until("a refusal", || {
        statuses.extend(clients.iter_mut().filter_map(status));
        statuses.contains(&503).then_some(())
    });
    assert!(statuses.iter().all(|status| *status == 503), "{what}: {statuses:?}");
    assert_eq!(engine.get("/_ping").text(), "OK", "{what}");
    let peak = engine.peak_memory();
    assert!(peak < super::PEAK, "{what}: {} MiB", peak >> 20);
    drop(clients);
    // What they held is free again.
    let import = "/images/create?fromSrc=-&repo=after";
    let empty = [0; 1024];
    wait::until("room for an archive", || {
        let answer = engine.call("POST", import, &TAR, &empty);
        (answer.status() == 200 && !answer.text().contains("try again")).then_some(())
    });
    let _ = engine.delete("/images/after").expect(200);
}

#[test]
fn ignore_files_that_do_not_end_share_a_budget() {
    attack("an ignore file", "/build", &unfinished(".dockerignore", EntryType::Regular, MEGABYTE));
    attack("a Dockerfile", "/build", &unfinished("Dockerfile", EntryType::Regular, 2 * MEGABYTE));
}

#[test]
fn documents_that_do_not_end_share_a_budget() {
    attack("a manifest", "/images/load", &unfinished("manifest.json", EntryType::Regular, 8 * MEGABYTE));
}

#[test]
fn layers_that_do_not_end_share_a_budget() {
    let layer = unfinished("file", EntryType::Regular, 2 * MEGABYTE);
    attack("an import", "/images/create?fromSrc=-&repo=x", &layer);
    let name = unfinished("name", EntryType::GNULongName, MEGABYTE);
    attack("a long name", "/images/create?fromSrc=-&repo=x", &name);
}

#[test]
fn windows_of_decoders_share_a_budget() {
    let zeros = unfinished("file", EntryType::Regular, 70 * MEGABYTE);
    for (program, arguments) in [
        ("zstd", &["-q", "-c", "--ultra", "-3", "--long=26"][..]),
        ("xz", &["-c", "--lzma2=preset=0,dict=64MiB"]),
        ("bzip2", &["-c"]),
    ] {
        let mut unended = piped(program, arguments, &zeros);
        unended.truncate(unended.len() - 40);
        attack(program, "/build", &unended);
    }
}
