//! Shims of earlier releases, played from their packets as they were: protocols 1 to 7.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use model::{ExecId, ProcessReference, ProcessSpec};
use shim_protocol::{Exec, PROTOCOL, UNNUMBERED};

use super::*;

/// The packets of an old shim to every daemon that connects while its container runs.
const SNAPSHOT: [&str; 2] = [
    r#"{"created":{"init":{"pid":4711,"start_time":42},"cgroups":["/sys/fs/cgroup/berth/x"]}}"#,
    r#"{"started":{"at":"2026-11-23T12:05:01.496100000Z"}}"#,
];

/// A limit for what must happen.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The run directory of a shim, and a process that stands for the shim's.
struct OldShim {
    /// 1 has no number.
    protocol: u32,
    directory: tempfile::TempDir,
    process: Child,
    /// `None` once it has ended: a process takes its listener with it.
    listener: Option<OwnedFd>,
}

impl OldShim {
    fn new(protocol: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let process = Command::new("sleep").arg("600").spawn().expect("a process");
        let pid = process.id();
        let start_time = sys::process::start_time(pid).expect("it runs");
        let shim = ProcessReference { pid, start_time };
        let left =
            format!(r#"{{"shim":{},"init":null,"cgroups":[]}}"#, serde_json::to_string(&shim).expect("JSON"));
        let run = RunDirectory::at(directory.path().to_owned());
        std::fs::write(run.processes(), left).expect("a file");
        let listener = sys::seqpacket::listen(&run.socket()).expect("a listener");
        sys::seqpacket::set_nonblocking(&listener).expect("a listener");
        Self { protocol, directory, process, listener: Some(listener) }
    }

    fn run(&self) -> RunDirectory {
        RunDirectory::at(self.directory.path().to_owned())
    }

    /// Takes the daemon's next connection, exchanges the numbers if it has one, and sends the snapshot.
    async fn accept(&self) -> OldConnection {
        let until = Instant::now() + TIMEOUT;
        let listener = self.listener.as_ref().expect("it runs");
        let socket = loop {
            match sys::seqpacket::accept(listener) {
                Ok(socket) => break socket,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            assert!(Instant::now() < until, "no daemon connects");
            tokio::task::yield_now().await;
        };
        let connection = OldConnection(Channel::new(socket).expect("a socket"));
        if self.protocol > UNNUMBERED {
            connection.send(&format!(r#"{{"hello":{{"protocol":{}}}}}"#, self.protocol)).await;
            let hello = format!(r#"{{"number":0,"request":{{"hello":{{"protocol":{PROTOCOL}}}}}}}"#);
            assert_eq!(connection.receive().await, hello, "the daemon's first packet");
            connection.send(r#"{"reply":{"number":0,"result":{"Ok":"done"}}}"#).await;
        }
        for packet in SNAPSHOT {
            connection.send(packet).await;
        }
        connection
    }
}

impl Drop for OldShim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct OldConnection(Channel);

impl OldConnection {
    async fn send(&self, packet: &str) {
        self.0.send(packet.as_bytes(), None).await.expect("a daemon");
    }

    /// The daemon's next packet, as text.
    async fn receive(&self) -> String {
        let received = tokio::time::timeout(TIMEOUT, self.0.receive()).await.expect("a packet in time");
        String::from_utf8(received.expect("a connection").expect("a daemon").0).expect("JSON")
    }
}

fn send(shim: &Arc<Shim>, request: Request) -> tokio::task::JoinHandle<Result<Answer, RequestError>> {
    let shim = Arc::clone(shim);
    tokio::spawn(async move { shim.request(request, None).await })
}

fn exec() -> Request {
    Request::Exec(Box::new(Exec {
        id: ExecId::from_random([1; 32]),
        process: ProcessSpec::default(),
        privileged: false,
        attach: None,
    }))
}

/// A request is refused by the daemon itself, and the shim never gets it.
async fn is_unsupported(shim: &Shim, request: Request) {
    let refused = shim.request(request, None).await;
    assert!(
        matches!(&refused, Err(RequestError::Refused(failure)) if failure.kind == FailureKind::Unsupported),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_old_shim_gets_no_request_that_it_does_not_know() {
    let old = OldShim::new(1);
    let (shim, mut notices) = Shim::adopt(&old.run()).expect("its process runs");
    let connection = old.accept().await;
    let created = notices.recv().await.expect("a notice").notice;
    assert!(matches!(created, Notice::Created { init, .. } if init.pid == 4711), "{created:?}");
    is_unsupported(&shim, Request::Execs).await;
    let answer = send(&shim, Request::Processes);
    assert_eq!(connection.receive().await, r#"{"number":1,"request":"processes"}"#, "its first packet");
    connection.send(r#"{"reply":{"number":1,"result":{"Ok":{"processes":[4711,4712]}}}}"#).await;
    let answer = answer.await.expect("a task");
    assert!(matches!(&answer, Ok(Answer::Processes(pids)) if *pids == [4711, 4712]), "{answer:?}");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_what_may_be_repeated_is_sent_again() {
    let old = OldShim::new(1);
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    let first = old.accept().await;
    let answer = send(&shim, Request::Processes);
    assert_eq!(first.receive().await, r#"{"number":1,"request":"processes"}"#);
    drop(first);
    let second = old.accept().await;
    assert_eq!(second.receive().await, r#"{"number":2,"request":"processes"}"#);
    second.send(r#"{"reply":{"number":2,"result":{"Ok":{"processes":[]}}}}"#).await;
    assert!(answer.await.expect("a task").is_ok());
    assert!(!shim.is_gone());
}

#[tokio::test]
async fn an_old_shim_is_not_asked_twice_to_start_an_exec() {
    let old = OldShim::new(1);
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    let first = old.accept().await;
    let answer = send(&shim, exec());
    assert!(first.receive().await.starts_with(r#"{"number":1,"request":{"exec":{"#));
    drop(first);
    let answer = answer.await.expect("a task");
    assert!(matches!(answer, Err(RequestError::Lost)), "{answer:?}");
}

#[tokio::test]
async fn a_shim_of_protocol_2_gets_the_daemons_number_and_what_it_knows() {
    let old = OldShim::new(2);
    let (shim, mut notices) = Shim::adopt(&old.run()).expect("its process runs");
    let connection = old.accept().await;
    let created = notices.recv().await.expect("a notice").notice;
    assert!(matches!(created, Notice::Created { init, .. } if init.pid == 4711), "{created:?}");
    let started = notices.recv().await.expect("a notice").notice;
    assert!(matches!(started, Notice::Started { .. }), "{started:?}");
    is_unsupported(&shim, Request::Names(None)).await;
    let answer = send(&shim, Request::Execs);
    assert_eq!(connection.receive().await, r#"{"number":1,"request":"execs"}"#);
    let id = "01".repeat(32);
    let execs = format!(r#"{{"execs":[["{id}",{{"pid":4712,"start_time":43}}]]}}"#);
    connection.send(&format!(r#"{{"reply":{{"number":1,"result":{{"Ok":{execs}}}}}}}"#)).await;
    let answer = answer.await.expect("a task");
    assert!(
        matches!(&answer, Ok(Answer::Execs(execs)) if execs[0].0.as_str() == id && execs[0].1.pid == 4712),
        "{answer:?}"
    );
    connection.send(r#"{"log_not_rotated":{"error":"no room"}}"#).await;
    let notice = notices.recv().await.expect("a notice").notice;
    assert!(matches!(&notice, Notice::LogNotRotated { error } if error == "no room"), "{notice:?}");
    let answer = send(&shim, Request::Statistics);
    assert_eq!(connection.receive().await, r#"{"number":2,"request":"statistics"}"#);
    let refusal = r#"{"kind":"unsupported","message":"not known here"}"#;
    connection.send(&format!(r#"{{"reply":{{"number":2,"result":{{"Err":{refusal}}}}}}}"#)).await;
    let answer = answer.await.expect("a task");
    assert!(
        matches!(&answer, Err(RequestError::Refused(failure)) if failure.message == "not known here"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_shim_of_protocol_2_gets_an_exec_again_after_a_lost_connection() {
    let old = OldShim::new(2);
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    let first = old.accept().await;
    let answer = send(&shim, exec());
    assert!(first.receive().await.starts_with(r#"{"number":1,"request":{"exec":{"#));
    drop(first);
    let second = old.accept().await;
    assert!(second.receive().await.starts_with(r#"{"number":2,"request":{"exec":{"#));
    let started = r#"{"exec_started":{"process":{"pid":4711,"start_time":42}}}"#;
    second.send(&format!(r#"{{"reply":{{"number":2,"result":{{"Ok":{started}}}}}}}"#)).await;
    let answer = answer.await.expect("a task");
    assert!(matches!(&answer, Ok(Answer::ExecStarted { process }) if process.pid == 4711), "{answer:?}");
}

fn long_exec() -> Request {
    let Request::Exec(mut exec) = exec() else { unreachable!("it is one") };
    exec.process.arguments = vec!["true".to_owned(), "x".repeat(500_000)];
    Request::Exec(exec)
}

#[tokio::test]
async fn a_shim_of_protocol_6_does_not_get_what_it_cannot_take() {
    let old = OldShim::new(6);
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    let connection = old.accept().await;
    let refused = shim.request(long_exec(), None).await;
    assert!(matches!(refused, Err(RequestError::TooLong)), "{refused:?}");
    let answer = send(&shim, Request::Statistics);
    let next = connection.receive().await;
    assert!(next.ends_with(r#""request":"statistics"}"#), "the connection stays: {next}");
    drop(connection);
    assert!(old.accept().await.receive().await.ends_with(r#""request":"statistics"}"#));
    drop(answer);
}

#[tokio::test]
async fn a_shim_of_protocol_7_gets_long_requests_in_pieces() {
    let shim = OldShim::new(7);
    let (daemon, _notices) = Shim::adopt(&shim.run()).expect("its process runs");
    let connection = shim.accept().await;
    let answers = [send(&daemon, long_exec()), send(&daemon, long_exec())];
    let mut pieces = Pieces::default();
    for answer in answers {
        let request = loop {
            let packet = connection.receive().await.into_bytes();
            assert!(packet.len() <= shim_protocol::MAXIMUM_PACKET);
            if let Some(message) = pieces.take(packet).expect("it fits") {
                break message;
            }
        };
        let Received::Known(Envelope { number, request }) = Envelope::read(&request) else {
            panic!("it is a request")
        };
        assert_eq!(request_text(&request), request_text(&long_exec()));
        connection.send(&format!(r#"{{"reply":{{"number":{number},"result":{{"Ok":"done"}}}}}}"#)).await;
        assert!(matches!(answer.await.expect("a task"), Ok(Answer::Done)));
    }
}

#[tokio::test]
async fn a_long_answer_comes_in_pieces() {
    let shim = OldShim::new(7);
    let (daemon, _notices) = Shim::adopt(&shim.run()).expect("its process runs");
    let connection = shim.accept().await;
    let answer = send(&daemon, Request::Processes);
    connection.receive().await;
    let pids: Vec<u32> = (1..100_000).collect();
    let reply = Notice::Reply { number: 1, result: Ok(Answer::Processes(pids.clone())) };
    let message = serde_json::to_vec(&reply).expect("JSON");
    for packet in shim_protocol::packets(&message, 7).expect("it fits") {
        connection.0.send(&packet, None).await.expect("a daemon");
    }
    let answer = answer.await.expect("a task");
    assert!(matches!(&answer, Ok(Answer::Processes(found)) if *found == pids));
}

fn request_text(request: &Request) -> String {
    serde_json::to_string(request).expect("JSON")
}

#[tokio::test]
async fn a_shim_of_protocol_3_gets_names() {
    let old = OldShim::new(3);
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    let connection = old.accept().await;
    let answer = send(&shim, Request::Names(None));
    assert_eq!(connection.receive().await, r#"{"number":1,"request":{"names":null}}"#);
    connection.send(r#"{"reply":{"number":1,"result":{"Ok":"done"}}}"#).await;
    assert!(matches!(answer.await.expect("a task"), Ok(Answer::Done)));
}

#[tokio::test]
async fn a_shim_is_gone_when_its_process_is() {
    let mut old = OldShim::new(1);
    let (shim, mut notices) = Shim::adopt(&old.run()).expect("its process runs");
    let connection = old.accept().await;
    old.process.kill().expect("its process");
    drop(old.listener.take());
    drop(connection);
    let rest = async { while notices.recv().await.is_some() {} };
    tokio::time::timeout(TIMEOUT, rest).await.expect("the end");
    assert!(shim.is_gone());
    let answer = shim.request(Request::Processes, None).await;
    assert!(matches!(answer, Err(RequestError::Gone)), "{answer:?}");
}

#[tokio::test]
async fn a_process_that_got_the_number_of_a_dead_shim_is_not_the_shim() {
    let old = OldShim::new(1);
    let other = ProcessReference { pid: old.process.id(), start_time: 1 };
    let left =
        format!(r#"{{"shim":{},"init":null,"cgroups":[]}}"#, serde_json::to_string(&other).expect("JSON"));
    std::fs::write(old.run().processes(), left).expect("a file");
    assert!(matches!(Shim::adopt(&old.run()), Err(Error::ShimGone)));
}

#[tokio::test]
async fn a_shim_that_does_not_answer_is_silent() {
    let old = OldShim::new(1);
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    let _connection = old.accept().await;
    let answer = shim.request_within(Duration::from_millis(50), Request::Processes, None).await;
    assert!(matches!(answer, Err(RequestError::Silent)), "{answer:?}");
    assert!(Path::new(&old.run().socket()).exists());
}

#[tokio::test]
async fn no_connection_is_made_to_the_place_of_a_shim_that_was_released() {
    let old = OldShim::new(PROTOCOL);
    let (shim, mut notices) = Shim::adopt(&old.run()).expect("its process runs");
    drop(old.accept().await);
    // A connection that is lost before is made again.
    let connection = old.accept().await;
    let answer = send(&shim, Request::Release);
    assert_eq!(connection.receive().await, r#"{"number":1,"request":"release"}"#);
    connection.send(r#"{"reply":{"number":1,"result":{"Ok":"done"}}}"#).await;
    drop(connection);
    let end = async { while notices.recv().await.is_some() {} };
    tokio::time::timeout(TIMEOUT, end).await.expect("the end of the shim, whose process goes on");
    let next = sys::seqpacket::accept(old.listener.as_ref().expect("the place of the next shim"));
    assert!(next.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "a daemon connected");
    assert!(answer.await.expect("a task").is_ok() && shim.is_gone());
}

#[tokio::test]
async fn no_connection_is_made_to_the_place_of_a_shim_that_was_killed() {
    let old = OldShim::new(1);
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    assert!(shim.connect_again().is_some_and(|again| again.is_ok()));
    shim.kill();
    assert!(shim.connect_again().is_none(), "the next shim may listen there before the process has ended");
}

#[tokio::test]
async fn a_forked_copy_of_a_dead_shim_holds_up_nobody() {
    let mut old = OldShim::new(PROTOCOL);
    let (shim, mut notices) = Shim::adopt(&old.run()).expect("its process runs");
    let held = old.accept().await;
    held.send(r#""out_of_memory""#).await;
    old.process.kill().expect("a process");
    old.process.wait().expect("its end");
    let mut last = None;
    let end = async {
        while let Some(incoming) = notices.recv().await {
            last = Some(incoming.notice);
        }
    };
    tokio::time::timeout(TIMEOUT, end).await.expect("the end of the shim, whose connection is open");
    assert!(matches!(last, Some(Notice::OutOfMemory)), "{last:?}: what it sent is read first");
    assert!(shim.is_gone());
    drop(held);
}
