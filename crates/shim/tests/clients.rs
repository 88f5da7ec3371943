//! Clients attached to a container: input, ends of streams, terminals, logs first, many, slow. Needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use model::ContainerSpec;
use shim_protocol::{Attach, DetachReason, Notice, Request};
use support::*;

/// A container with open input.
fn with_input(place: &Place, script: &str, once: bool) -> ContainerSpec {
    ContainerSpec { open_stdin: true, stdin_once: once, ..place.spec(script) }
}

fn with_terminal(place: &Place, script: &str) -> ContainerSpec {
    let mut spec = with_input(place, script, false);
    spec.process.terminal = true;
    spec.process.terminal_size = (24, 80);
    spec
}

fn typing(client: u64) -> Attach {
    Attach { stdin: true, ..attachment(client) }
}

fn on_terminal(client: u64) -> Attach {
    Attach { framed: false, detach_keys: vec![0x10, 0x11], ..typing(client) }
}

fn detached(daemon: &mut Daemon, client: u64) -> DetachReason {
    match daemon.wait(|notice| matches!(notice, Notice::Detached { client: of, .. } if *of == client)) {
        Notice::Detached { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// Bytes that differ all along.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u8::try_from(state >> 24).unwrap()
        })
        .collect()
}

#[test]
fn with_stdin_once_the_end_of_a_client_is_the_end_of_input() {
    let place = Place::new();
    let (mut client, theirs) = client();
    let attach = Attach { early_input: b"early ".to_vec(), ..typing(1) };
    let mut daemon =
        Daemon::start(&place, &with_input(&place, "cat; echo eof", true), &mut [(attach, theirs)]);
    client.write_all(b"late\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(streams(&rest(&mut client)).0, b"early late\neof\n");
    assert_eq!(detached(&mut daemon, 1), DetachReason::Finished);
    assert_eq!(daemon.finish().code, 0);
}

#[test]
fn with_stdin_once_a_client_that_vanishes_ends_input() {
    let place = Place::new();
    let (mut client, theirs) = client();
    let mut daemon = Daemon::start(
        &place,
        &with_input(&place, "cat > /dev/null; exit 5", true),
        &mut [(typing(1), theirs)],
    );
    client.write_all(b"x\n").unwrap();
    drop(client);
    assert_eq!(detached(&mut daemon, 1), DetachReason::Closed);
    assert_eq!(daemon.finish().code, 5);
}

#[test]
fn without_stdin_once_input_stays_open_for_the_next_client() {
    let place = Place::new();
    let (mut first, theirs) = client();
    let mut daemon = Daemon::start(&place, &with_input(&place, "cat", false), &mut [(typing(1), theirs)]);
    first.write_all(b"one\n").unwrap();
    first.shutdown(Shutdown::Write).unwrap();
    assert_eq!(streams(&rest(&mut first)).0, b"one\n", "the answer comes, then the connection ends");
    assert_eq!(detached(&mut daemon, 1), DetachReason::Closed);
    let (mut second, theirs) = client();
    daemon.attach(&typing(2), &theirs);
    second.write_all(b"two\n").unwrap();
    let mut frame = [0; 12];
    second.read_exact(&mut frame).unwrap();
    assert_eq!(&frame[8..], b"two\n");
    daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    assert_eq!(daemon.finish().code, 137);
}

#[test]
fn a_client_without_input_may_close_its_direction_and_hear_on() {
    let place = Place::new();
    let (mut client, theirs) = client();
    let spec = place.spec("sleep 0.5; echo late");
    let daemon = Daemon::start(&place, &spec, &mut [(attachment(1), theirs)]);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(streams(&rest(&mut client)).0, b"late\n");
    assert_eq!(daemon.finish().code, 0);
}

#[test]
fn a_terminal_echoes_resizes_and_lets_go_by_keys() {
    let place = Place::new();
    let (mut client, theirs) = client();
    let spec = with_terminal(&place, "stty size; cat");
    let mut daemon = Daemon::start(&place, &spec, &mut [(on_terminal(1), theirs)]);
    read_until(&mut client, "24 80\r\n");
    daemon.ask(Request::Resize { height: 40, width: 100 }, None).unwrap();
    client.write_all(b"hello\n").unwrap();
    read_until(&mut client, "hello\r\nhello\r\n");
    client.write_all(b"a\x10").unwrap();
    read_until(&mut client, "a");
    std::thread::sleep(Duration::from_millis(50));
    client.write_all(b"\x11").unwrap();
    assert_eq!(rest(&mut client), b"");
    assert_eq!(detached(&mut daemon, 1), DetachReason::Keys);
    let (mut second, theirs) = client_pair();
    daemon.attach(&on_terminal(2), &theirs);
    drop(theirs);
    second.write_all(b"\n").unwrap();
    read_until(&mut second, "a\r\n");
    second.write_all(b"\x04").unwrap();
    rest(&mut second);
    assert_eq!(daemon.finish().code, 0);
}

fn client_pair() -> (UnixStream, OwnedFd) {
    client()
}

#[test]
fn logs_come_first_without_gap_or_overlap() {
    let place = Place::new();
    let spec = with_input(&place, "seq 1 20000; printf begun; read x; echo ' ended'; seq 1 20000", false);
    let mut daemon = Daemon::start(&place, &spec, &mut []);
    let until = std::time::Instant::now() + TIMEOUT;
    while place.logged().len() < 20_000 {
        assert!(std::time::Instant::now() < until);
    }
    let (mut client, theirs) = client();
    let attach = Attach { logs: true, ..typing(1) };
    daemon.attach(&attach, &theirs);
    drop(theirs);
    let numbers: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    // The line without an end comes a moment later, and is in the log for clients before it is one on disk.
    for number in 2.. {
        let (mut logs_only, theirs) = client_pair();
        daemon.attach(&Attach { logs: true, stream: false, ..attachment(number) }, &theirs);
        drop(theirs);
        let logged = String::from_utf8(streams(&rest(&mut logs_only)).0).unwrap();
        if logged == format!("{numbers}begun") {
            break;
        }
        assert_eq!(logged, numbers);
        assert!(std::time::Instant::now() < until, "the line without an end is not there");
    }
    client.write_all(b"\n").unwrap();
    let all = streams(&rest(&mut client)).0;
    assert!(all == format!("{numbers}begun ended\n{numbers}").as_bytes(), "{} bytes", all.len());
    assert_eq!(daemon.finish().code, 0);
}

#[test]
fn a_slow_client_loses_nothing_and_holds_nobody_up() {
    let place = Place::new();
    let data = pattern(24 << 20);
    std::fs::write(place.directory.path().join("root/tmp/data"), &data).unwrap();
    let (mut slow, slow_end) = client();
    let (mut quick, quick_end) = client();
    let spec = place.spec("cat /tmp/data; echo end >&2");
    let mut clients = [(attachment(1), slow_end), (attachment(2), quick_end)];
    let mut daemon = Daemon::start(&place, &spec, &mut clients);
    drop(clients);
    let quickly = streams(&rest(&mut quick));
    assert!(quickly.0 == data && quickly.1 == b"end\n", "{} bytes", quickly.0.len());
    assert_eq!(daemon.exit().code, 0, "the exit does not wait for the client that reads nothing");
    let slowly = streams(&rest(&mut slow));
    assert!(slowly.0 == data && slowly.1 == b"end\n", "{} bytes", slowly.0.len());
    daemon.ask(Request::Release, None).unwrap();
    daemon.gone();
}

#[test]
fn without_a_log_a_client_that_reads_nothing_is_let_go_for_the_others() {
    let place = Place::new();
    let mut spec = place.spec("cat /tmp/data; echo end >&2");
    spec.log.driver = model::LogDriver::None;
    let data = pattern(16 << 20);
    std::fs::write(place.directory.path().join("root/tmp/data"), &data).unwrap();
    let (stuck, stuck_end) = client();
    let (mut quick, quick_end) = client();
    let mut clients = [(attachment(1), stuck_end), (attachment(2), quick_end)];
    let mut daemon = Daemon::start(&place, &spec, &mut clients);
    drop(clients);
    let quickly = streams(&rest(&mut quick));
    assert!(quickly.0 == data && quickly.1 == b"end\n", "{} bytes", quickly.0.len());
    assert_eq!(detached(&mut daemon, 1), DetachReason::Closed);
    assert_eq!(daemon.finish().code, 0);
    drop(stuck);
}

#[test]
fn without_a_log_the_process_waits_for_its_only_client() {
    let place = Place::new();
    let mut spec = place.spec("cat /tmp/data; echo end >&2");
    spec.log.driver = model::LogDriver::None;
    let data = pattern(16 << 20);
    std::fs::write(place.directory.path().join("root/tmp/data"), &data).unwrap();
    let (mut client, theirs) = client();
    let daemon = Daemon::start(&place, &spec, &mut [(attachment(1), theirs)]);
    std::thread::sleep(Duration::from_millis(2500));
    let all = streams(&rest(&mut client));
    assert!(all.0 == data && all.1 == b"end\n", "{} bytes", all.0.len());
    assert_eq!(daemon.finish().code, 0);
}

#[test]
fn large_input_comes_back_unchanged_over_tcp() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.set_read_timeout(Some(TIMEOUT)).unwrap();
    let theirs: OwnedFd = listener.accept().unwrap().0.into();
    let mut spec = with_input(&place, "cat", true);
    spec.log.driver = model::LogDriver::None;
    let daemon = Daemon::start(&place, &spec, &mut [(typing(1), theirs)]);
    let data = pattern(32 << 20);
    let mut writer = ours.try_clone().unwrap();
    let sent = data.clone();
    let feeder = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let back = streams(&rest(&mut ours)).0;
    feeder.join().unwrap();
    assert!(back == data, "{} of {} bytes", back.len(), data.len());
    assert_eq!(daemon.finish().code, 0);
}

#[test]
fn three_hundred_clients_hear_the_same() {
    let place = Place::new();
    let spec = with_input(&place, "read x; seq 1 2000", true);
    let (mut typist, end) = client();
    let mut daemon = Daemon::start(&place, &spec, &mut [(typing(1), end)]);
    let mut listeners = Vec::new();
    for number in 2..302 {
        let (ours, theirs) = client();
        daemon.attach(&attachment(number), &theirs);
        listeners.push(ours);
    }
    typist.write_all(b"go\n").unwrap();
    let wanted: String = (1..=2000).map(|number| format!("{number}\n")).collect();
    for mut listener in listeners {
        assert!(streams(&rest(&mut listener)).0 == wanted.as_bytes());
    }
    assert_eq!(daemon.finish().code, 0);
}
