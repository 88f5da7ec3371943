//! A shim of the release before, played from its packets as they were: protocol 1.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use model::{ExecId, ProcessReference, ProcessSpec};
use shim_protocol::Exec;

use super::*;

/// What an old shim sends to every daemon that connects while its container runs.
const SNAPSHOT: [&str; 2] = [
    r#"{"created":{"init":{"pid":4711,"start_time":42},"cgroups":["/sys/fs/cgroup/berth/x"]}}"#,
    r#"{"started":{"at":"2026-11-23T12:05:01.496100000Z"}}"#,
];

/// A limit for what must happen.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The run directory of a shim, and a process that stands for the shim's.
struct OldShim {
    directory: tempfile::TempDir,
    process: Child,
    /// `None` once it has ended: a process takes its listener with it.
    listener: Option<OwnedFd>,
}

impl OldShim {
    fn new() -> Self {
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
        Self { directory, process, listener: Some(listener) }
    }

    fn run(&self) -> RunDirectory {
        RunDirectory::at(self.directory.path().to_owned())
    }

    /// Takes the daemon's next connection and sends the snapshot.
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

fn asks(shim: &Arc<Shim>, request: Request) -> tokio::task::JoinHandle<Result<Answer, RequestError>> {
    let shim = Arc::clone(shim);
    tokio::spawn(async move { shim.request(request, None).await })
}

#[tokio::test]
async fn an_old_shim_gets_no_request_that_it_does_not_know() {
    let old = OldShim::new();
    let (shim, mut notices) = Shim::adopt(&old.run()).expect("its process runs");
    let connection = old.accept().await;
    let created = notices.recv().await.expect("a notice").notice;
    assert!(matches!(created, Notice::Created { init, .. } if init.pid == 4711), "{created:?}");
    let refused = shim.request(Request::Execs, None).await;
    assert!(
        matches!(&refused, Err(RequestError::Refused(failure)) if failure.kind == FailureKind::Unsupported),
        "{refused:?}"
    );
    let asked = asks(&shim, Request::Processes);
    assert_eq!(connection.receive().await, r#"{"number":1,"request":"processes"}"#, "its first packet");
    connection.send(r#"{"reply":{"number":1,"result":{"Ok":{"processes":[4711,4712]}}}}"#).await;
    let answer = asked.await.expect("a task");
    assert!(matches!(&answer, Ok(Answer::Processes(pids)) if *pids == [4711, 4712]), "{answer:?}");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_what_may_be_repeated_is_sent_again() {
    let old = OldShim::new();
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    let first = old.accept().await;
    let asked = asks(&shim, Request::Processes);
    assert_eq!(first.receive().await, r#"{"number":1,"request":"processes"}"#);
    drop(first);
    let second = old.accept().await;
    assert_eq!(second.receive().await, r#"{"number":2,"request":"processes"}"#);
    second.send(r#"{"reply":{"number":2,"result":{"Ok":{"processes":[]}}}}"#).await;
    assert!(asked.await.expect("a task").is_ok());
    assert!(!shim.is_gone());
}

#[tokio::test]
async fn an_old_shim_is_not_asked_twice_to_start_an_exec() {
    let old = OldShim::new();
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    let first = old.accept().await;
    let exec = Exec {
        id: ExecId::from_random([1; 32]),
        process: ProcessSpec::default(),
        privileged: false,
        attach: None,
    };
    let asked = asks(&shim, Request::Exec(Box::new(exec)));
    assert!(first.receive().await.starts_with(r#"{"number":1,"request":{"exec":{"#));
    drop(first);
    let answer = asked.await.expect("a task");
    assert!(matches!(answer, Err(RequestError::Lost)), "{answer:?}");
}

#[tokio::test]
async fn a_shim_is_gone_when_its_process_is() {
    let mut old = OldShim::new();
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
    let old = OldShim::new();
    let other = ProcessReference { pid: old.process.id(), start_time: 1 };
    let left =
        format!(r#"{{"shim":{},"init":null,"cgroups":[]}}"#, serde_json::to_string(&other).expect("JSON"));
    std::fs::write(old.run().processes(), left).expect("a file");
    assert!(matches!(Shim::adopt(&old.run()), Err(Error::ShimGone)));
}

#[tokio::test]
async fn a_shim_that_does_not_answer_is_silent() {
    let old = OldShim::new();
    let (shim, _notices) = Shim::adopt(&old.run()).expect("its process runs");
    let _connection = old.accept().await;
    let answer = shim.request_within(Duration::from_millis(50), Request::Processes, None).await;
    assert!(matches!(answer, Err(RequestError::Silent)), "{answer:?}");
    assert!(Path::new(&old.run().socket()).exists());
}
