//! Log drivers: rotation under a follower, syslog, gelf (journald's protocol has its own test). Needs root.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use model::ContainerSpec;
use shim_protocol::log::{Reader, Start, rotated};
use shim_protocol::{Attach, Notice};
use support::*;

#[test]
fn a_follower_sees_each_line_once_while_the_log_rotates() {
    let place = Place::new();
    // A part at a time, which fills one file at most: what a reader has not seen before it is rotated away is lost to it.
    let script = "i=0; while read end; do while [ $i -lt $end ]; do echo line $i; i=$((i+1)); done; done";
    let mut spec = ContainerSpec { open_stdin: true, stdin_once: true, ..place.spec(script) };
    spec.log.options = [("max-size", "64k"), ("max-file", "3")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let mut reader = Reader::open(&place.log(), Start::Beginning, None).unwrap();
    let (mut typist, end) = client();
    let typing = Attach { stdin: true, stdout: false, stderr: false, ..attachment(1) };
    let mut daemon = Daemon::start(&place, &spec, &mut [(typing, end)]);
    let mut seen = Vec::new();
    for part in 1..=6 {
        typist.write_all(format!("{}\n", part * 500).as_bytes()).unwrap();
        let until = Instant::now() + TIMEOUT;
        while seen.len() < part * 500 {
            assert!(Instant::now() < until, "{} lines", seen.len());
            while let Some(record) = reader.next_record().unwrap() {
                seen.push(String::from_utf8(record.payload.to_vec()).unwrap());
            }
        }
    }
    drop(typist);
    let wanted: Vec<String> = (0..3000).map(|number| format!("line {number}\n")).collect();
    assert!(seen == wanted);
    assert!(rotated(&place.log(), 2).exists() && !rotated(&place.log(), 3).exists());
    assert_eq!(daemon.exit().code, 0);
    daemon.ask(shim_protocol::Request::Release, None).unwrap();
    daemon.gone();
}

fn driver(place: &Place, script: &str, driver: &str, options: &[(&str, String)]) -> ContainerSpec {
    let mut spec = place.spec(script);
    spec.log.driver = driver.to_owned().into();
    spec.log.options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    spec
}

#[test]
fn syslog_over_udp_and_tcp() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(TIMEOUT)).unwrap();
    let place = Place::new();
    let address = format!("udp://{}", udp.local_addr().unwrap());
    let options = [("syslog-address", address), ("syslog-facility", "local0".to_owned())];
    let spec = driver(&place, "echo one; echo two >&2; printf three", "syslog", &options);
    assert_eq!(Daemon::start(&place, &spec, &mut []).finish().code, 0);
    let mut messages = Vec::new();
    for _ in 0..3 {
        let mut packet = [0; 2048];
        let length = udp.recv(&mut packet).unwrap();
        messages.push(String::from_utf8(packet[..length].to_vec()).unwrap());
    }
    let tag = format!("docker/{}[", place.id.short());
    assert!(messages.iter().all(|message| message.contains(&tag)), "{messages:?}");
    // What comes by another pipe may come at any time.
    let place = messages.iter().position(|message| message.starts_with("<131>")).unwrap();
    assert!(messages.remove(place).ends_with(": two\n"));
    assert!(messages[0].starts_with("<134>") && messages[0].ends_with(": one\n"));
    assert!(messages[1].ends_with(": three\n"));

    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let options = [("syslog-address", format!("tcp://{}", tcp.local_addr().unwrap()))];
    let spec = driver(&place, "seq 1 1000", "syslog", &options);
    let daemon = Daemon::start(&place, &spec, &mut []);
    let mut text = String::new();
    tcp.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 1000);
    assert!(text.lines().last().unwrap().ends_with(": 1000"));
    assert_eq!(daemon.finish().code, 0);
}

#[test]
fn syslog_of_the_host() {
    let place = Place::new();
    let path = place.directory.path().join("syslog");
    let server = UnixDatagram::bind(&path).unwrap();
    server.set_read_timeout(Some(TIMEOUT)).unwrap();
    let options = [("syslog-address", format!("unix://{}", path.display()))];
    let spec = driver(&place, "echo hello", "syslog", &options);
    assert_eq!(Daemon::start(&place, &spec, &mut []).finish().code, 0);
    let mut packet = [0; 2048];
    let length = server.recv(&mut packet).unwrap();
    let message = String::from_utf8(packet[..length].to_vec()).unwrap();
    assert!(message.starts_with("<30>") && message.ends_with(": hello\n"), "{message}");
}

#[test]
fn a_server_that_is_not_there_fails_the_start_or_is_counted() {
    let place = Place::new();
    let options = [("syslog-address", "unix:///no/such/socket".to_owned())];
    let mut daemon = Daemon::spawn(&place, &driver(&place, "true", "syslog", &options));
    let failed = daemon.wait(|notice| matches!(notice, Notice::StartFailed { .. }));
    let Notice::StartFailed { failure, .. } = failed else { unreachable!() };
    assert_eq!(failure.message, "Failed to initialize logging driver: Unix syslog delivery error");
    daemon.ask(shim_protocol::Request::Release, None).unwrap();
    daemon.gone();

    let place = Place::new();
    // Nothing else gets the port, and a socket that is connected elsewhere receives nothing from others.
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = taken.local_addr().unwrap();
    taken.connect(nobody).unwrap();
    let options = [("gelf-address", format!("udp://{nobody}"))];
    let script = "echo a; sleep 0.2; echo b; sleep 0.2; echo c; sleep 2; exit 2";
    let mut daemon = Daemon::start(&place, &driver(&place, script, "gelf", &options), &mut []);
    daemon.wait(|notice| matches!(notice, Notice::LogDropped { lines } if *lines > 0));
    assert_eq!(daemon.finish().code, 2);
}

#[test]
fn gelf_says_what_the_container_is() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(TIMEOUT)).unwrap();
    let place = Place::new();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let mut spec =
        driver(&place, "echo hello", "gelf", &[("gelf-address", address), ("labels", "team".into())]);
    spec.log.attributes = [("image_name", "busybox"), ("team", "blue")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    assert_eq!(Daemon::start(&place, &spec, &mut []).finish().code, 0);
    let mut packet = [0; 4096];
    let length = server.recv(&mut packet).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packet[..length]).read_to_string(&mut text).unwrap();
    let message: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(message["short_message"], "hello");
    assert_eq!(message["_container_id"], place.id.as_str());
    assert_eq!((&message["_image_name"], &message["_team"]), (&"busybox".into(), &"blue".into()));
}
