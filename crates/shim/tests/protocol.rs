//! The protocol's number, requests of other releases, and requests that are sent again. Needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use model::ExecId;
use shim_protocol::{Answer, Exec, MAXIMUM_PACKET, Notice, PROTOCOL, Request};
use support::*;

fn sleeping() -> (Place, Daemon) {
    let place = Place::new();
    let daemon = Daemon::start(&place, &place.spec("exec sleep 1000"), &mut []);
    (place, daemon)
}

fn end(mut daemon: Daemon) {
    daemon.ask(Request::Signal(model::Signal::KILL), None).unwrap();
    daemon.finish();
}

/// The next packet as JSON.
fn packet(socket: &std::os::fd::OwnedFd) -> serde_json::Value {
    let (packet, _) = sys::seqpacket::receive(socket, MAXIMUM_PACKET).unwrap().unwrap();
    serde_json::from_slice(&packet).unwrap()
}

#[test]
fn the_first_packet_on_every_connection_is_the_protocols_number() {
    let (place, mut daemon) = sleeping();
    let socket = sys::seqpacket::connect(&place.run().socket()).unwrap();
    assert_eq!(packet(&socket), serde_json::json!({ "hello": { "protocol": PROTOCOL } }));
    assert!(packet(&socket)["created"].is_object());
    let mut next = Daemon::connect(&place);
    next.shim = daemon.shim.take();
    end(next);
}

#[test]
fn an_unknown_request_is_answered_and_the_connection_stays() {
    let (_place, mut daemon) = sleeping();
    daemon.ask(Request::Hello { protocol: PROTOCOL + 1 }, None).unwrap();
    daemon.send(br#"{"number":900,"request":{"checkpoint":{"to":"/x"}}}"#);
    let reply = daemon.wait(|notice| matches!(notice, Notice::Reply { number: 900, .. }));
    let Notice::Reply { result: Err(failure), .. } = reply else { panic!("{reply:?}") };
    assert_eq!(failure.kind, shim_protocol::FailureKind::Unsupported);
    end(daemon);
}

#[test]
fn a_request_that_is_sent_again_is_done_once() {
    let (_place, mut daemon) = sleeping();
    daemon.ask(Request::Start { interface: None }, None).unwrap();
    let (mut client, theirs) = client();
    daemon.attach(&attachment(1), &theirs);
    daemon.attach(&attachment(1), &theirs);
    let id = ExecId::from_random([1; 32]);
    let process = process(&["sh", "-c", "echo once > /proc/1/root/tmp/x; exec sleep 1000"]);
    let exec = || Exec { id: id.clone(), process: process.clone(), privileged: false, attach: None };
    let pid = |answer| match answer {
        Answer::ExecStarted { process } => process.pid,
        other => panic!("{other:?}"),
    };
    let first = pid(daemon.ask(Request::Exec(Box::new(exec())), None).unwrap());
    let second = pid(daemon.ask(Request::Exec(Box::new(exec())), None).unwrap());
    assert_eq!(first, second);
    let Ok(Answer::Execs(execs)) = daemon.ask(Request::Execs, None) else { panic!("it lists execs") };
    assert_eq!(
        execs.iter().map(|(id, process)| (id.clone(), process.pid)).collect::<Vec<_>>(),
        [(id, first)]
    );
    drop(theirs);
    end(daemon);
    assert_eq!(rest(&mut client), b"");
}

#[test]
fn the_end_of_an_exec_that_a_daemon_left_unread_is_sent_to_the_next() {
    let (place, mut first) = sleeping();
    let id = ExecId::from_random([1; 32]);
    let exec =
        Exec { id: id.clone(), process: process(&["sh", "-c", "exit 4"]), privileged: false, attach: None };
    first.ask(Request::Exec(Box::new(exec)), None).unwrap();
    let is_end = |notice: &Notice| matches!(notice, Notice::ExecExited { exec, .. } if *exec == id);
    first.wait(is_end);
    let mut second = Daemon::connect(&place);
    second.wait(is_end);
    second.shim = first.shim.take();
    end(second);
}
