//! The name service against a container that means harm: it stays bounded, and so does all else of the shim.
//! Needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Header, Message};
use support::names::*;
use support::{TIMEOUT, rest, streams};

/// A container with one name, whose only server receives queries and never answers.
fn with_silent_server(script: &str) -> (Named, std::net::UdpSocket) {
    let named = Named::start(script, |place| {
        let file = write_names(place, "net", &[("web", &[], &["172.18.0.2"])]);
        service(&[&file], &[], &[in_container("127.0.0.1")])
    });
    let silent = named.within(|| std::net::UdpSocket::bind("127.0.0.1:53").unwrap());
    (named, silent)
}

/// The name is answered still; over TCP, since datagrams may get lost in a flood.
fn web(named: &Named) {
    let reply = named.ask_as(&Ask { name: "web", connection: true, ..Ask::default() });
    assert_eq!(reply.addresses(), [address("172.18.0.2")]);
}

fn code(answer: &[u8]) -> (u16, Rcode) {
    let header = Message::from_slice(answer).unwrap().header();
    (header.id(), header.rcode())
}

/// The memory of a process that is no file's, in KiB: pages of its program come and go as the host likes.
fn memory(shim: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{shim}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap()
}

fn descriptors(shim: u32) -> usize {
    std::fs::read_dir(format!("/proc/{shim}/fd")).unwrap().count()
}

#[test]
fn malformed_packets_are_refused_or_get_no_answer() {
    let (named, _silent) = with_silent_server("exec sleep 1000");
    let good = Ask { name: "web", ..Ask::default() }.packet();
    let mut loops = good.clone();
    // A name that points to itself.
    loops.splice(12..17, [0xc0, 12]);
    let mut two = good.clone();
    two[5] = 2;
    two.extend_from_slice(&good[12..]);
    let mut update = good.clone();
    Header::for_message_slice_mut(&mut update).set_opcode(domain::base::iana::Opcode::UPDATE);
    let long = [&good[..], &[0; 5000]].concat();
    let refused: [(&[u8], Rcode); 6] = [
        (&good[..good.len() - 3], Rcode::FORMERR),
        (&[&good[..4], &[0; 8]].concat(), Rcode::FORMERR),
        (&loops, Rcode::FORMERR),
        (&two, Rcode::FORMERR),
        (&long, Rcode::FORMERR),
        (&update, Rcode::NOTIMP),
    ];
    let mut reply = good.clone();
    Header::for_message_slice_mut(&mut reply).set_qr(true);
    named.within(|| {
        let socket = datagrams();
        for noise in [&b""[..], b"\0", b"xxxxxxxxxxx", &reply] {
            socket.send(noise).unwrap();
        }
        for (packet, wanted) in &refused {
            socket.send(packet).unwrap();
            assert_eq!(code(&received(&socket)), (0x1234, *wanted), "{packet:?}");
        }
        for (packet, wanted) in &refused {
            let mut stream = connection();
            send_framed(&mut stream, packet);
            if packet.len() <= 4096 {
                assert_eq!(code(&receive_framed(&mut stream)), (0x1234, *wanted));
            } else {
                // It ends with what is unread, which resets it.
                let ended = stream.read(&mut [0]).map_or_else(
                    |error| error.kind(),
                    |length| {
                        assert_eq!(length, 0);
                        std::io::ErrorKind::ConnectionReset
                    },
                );
                assert_eq!(ended, std::io::ErrorKind::ConnectionReset);
            }
        }
        for noise in [&b"\0\0"[..], b"\0\x05xx", b"\0\x05xxxxx"] {
            let mut stream = connection();
            stream.write_all(noise).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(rest(&mut stream), b"");
        }
    });
    web(&named);
    named.end();
}

#[test]
fn many_connections_and_slow_ones_keep_nobody_out() {
    let (named, _silent) = with_silent_server("exec sleep 1000");
    let shim = named.daemon.shim.unwrap();
    let before = descriptors(shim);
    named.within(|| {
        let packet = Ask { name: "web", ..Ask::default() }.packet();
        let mut slow: Vec<TcpStream> = (0..200).map(|_| connection()).collect();
        for stream in &mut slow {
            // Those that gave way to later ones are gone.
            let _ = stream.write_all(&[0]);
        }
        let mut stream = connection();
        send_framed(&mut stream, &packet);
        assert_eq!(Reply::read(&packet, &receive_framed(&mut stream)).addresses().len(), 1);
        assert!(descriptors(shim) <= before + 32, "{} of {before}", descriptors(shim));
    });
    web(&named);
    named.end();
}

#[test]
fn a_client_that_takes_no_answers_is_not_read_further() {
    let (named, _silent) = with_silent_server("exec sleep 1000");
    let shim = named.daemon.shim.unwrap();
    let before = memory(shim);
    named.within(|| {
        let packet = Ask { name: "web", ..Ask::default() }.packet();
        let frame = [&u16::try_from(packet.len()).unwrap().to_be_bytes(), &packet[..]].concat();
        let many = frame.repeat(1000);
        let mut stream = connection();
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        // The shim stops reading, so that the kernel's buffers fill, which are large on the loopback.
        let mut sent = 0;
        while sent < 256 << 20
            && let Ok(length) = stream.write(&many)
        {
            sent += length;
        }
        assert!(sent < 256 << 20, "it takes queries without end");
    });
    let after = memory(shim);
    assert!(after < before + 1024, "{before} KiB, then {after} KiB");
    web(&named);
    named.end();
}

#[test]
fn queries_that_nobody_answers_are_bounded_and_given_up() {
    let (named, _silent) = with_silent_server("exec sleep 1000");
    let shim = named.daemon.shim.unwrap();
    let before = descriptors(shim);
    named.within(|| {
        let socket = datagrams();
        for number in 0..2000 {
            let name = format!("x{number}.example");
            socket.send(&Ask { name: &name, number, ..Ask::default() }.packet()).unwrap();
        }
    });
    web(&named);
    // Besides the sockets to the server there may be the connection of the question just before.
    assert!(descriptors(shim) <= before + 128 + 1, "{} of {before}", descriptors(shim));
    let until = Instant::now() + TIMEOUT;
    while descriptors(shim) > before {
        assert!(Instant::now() < until, "{} of {before}", descriptors(shim));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(named.ask("x.example", Rtype::A).code, Rcode::SERVFAIL);
    named.end();
}

#[test]
fn a_flood_of_queries_leaves_streams_and_memory_alone() {
    let script = "head -n 1; seq 1 100000";
    let place_and_service = |place: &support::Place| {
        let file = write_names(place, "net", &[("web", &[], &["172.18.0.2"])]);
        service(&[&file], &[], &[])
    };
    let mut named = Named::start_as(script, |spec| spec.open_stdin = true, place_and_service);
    let shim = named.daemon.shim.unwrap();
    let init = named.init;
    let before = memory(shim);
    let (mut client, theirs) = support::client();
    named.daemon.attach(&shim_protocol::Attach { stdin: true, ..support::attachment(1) }, &theirs);
    drop(theirs);
    let is_over = AtomicBool::new(false);
    let (output, peak) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            within(init, || {
                let socket = datagrams();
                let packets = ["web", "x.example"].map(|name| Ask { name, ..Ask::default() }.packet());
                while !is_over.load(Ordering::Relaxed) {
                    for packet in &packets {
                        // The kernel drops what the shim does not read.
                        let _ = socket.send(packet);
                    }
                }
            });
        });
        let most = scope.spawn(|| {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(memory(shim));
                std::thread::sleep(Duration::from_millis(5));
            }
            most
        });
        client.write_all(b"input\n").unwrap();
        let output = rest(&mut client);
        is_over.store(true, Ordering::Relaxed);
        flood.join().unwrap();
        (output, most.join().unwrap())
    });
    let text = String::from_utf8(streams(&output).0).unwrap();
    assert!(text.starts_with("input\n1\n") && text.ends_with("\n100000\n"), "{} bytes", text.len());
    assert!(peak < before + 2048, "{before} KiB, then {peak} KiB");
    named.daemon.finish();
}
