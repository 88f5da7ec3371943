//! Commands, attachments and ports over one-time URLs and SPDY/3.1.

use std::io::{Read, Write};
use std::net::TcpStream;

use berth_tests::channels::Websocket;
use berth_tests::cri::Cri;
use berth_tests::registry::within_network;
use berth_tests::spdy::{Spdy, upgrade};
use berth_tests::{Engine, wait};
use cri_messages::container::ContainerConfig;
use cri_messages::session::{
    AttachRequest, AttachResponse, ExecRequest, ExecResponse, ExecSyncRequest, PortForwardRequest,
    PortForwardResponse,
};
use serde_json::{Value, json};
use tonic::Code;

use crate::engine;
use crate::pod::{exec, logs, pod, remove, run, shell, started};

const COMMANDS: &str = "v4.channel.k8s.io";
const PORTS: &str = "portforward.k8s.io";

fn exec_url(cri: &Cri, asked: ExecRequest) -> String {
    let answer: ExecResponse = cri.call("RuntimeService/Exec", asked).expect("a URL");
    answer.url
}

fn connect(engine: &Engine, url: &str, protocol: &str) -> Spdy {
    let (status, connection) = upgrade(engine, url, protocol);
    connection.unwrap_or_else(|| panic!("{url} is answered {status}"))
}

fn open(connection: &mut Spdy, kind: &str) -> u32 {
    connection.open(&[("streamtype", kind)])
}

fn status(connection: &mut Spdy, error: u32) -> Value {
    serde_json::from_slice(&connection.all_of(error)).expect("a status")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_command_has_its_streams_and_its_exit_code() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    let asked = ExecRequest {
        container_id: id,
        cmd: words(&["sh", "-c", "cat; echo wrong >&2; exit 4"]),
        stdin: true,
        stdout: true,
        stderr: true,
        tty: false,
    };
    let (url, other) = (exec_url(&cri, asked.clone()), exec_url(&cri, asked));
    let mut connection = connect(&engine, &url, COMMANDS);
    let [error, stdin, stdout, stderr] =
        ["error", "stdin", "stdout", "stderr"].map(|kind| open(&mut connection, kind));
    let large = vec![b'x'; 3_000_000];
    connection.send(stdin, b"typed ");
    let mut sent = b"typed ".to_vec();
    for piece in large.chunks(30_000) {
        connection.send(stdin, piece);
        sent.extend_from_slice(piece);
    }
    // The end of the input is the command's end: the output comes whole.
    connection.finish(stdin);
    assert!(connection.all_of(stdout) == sent, "what is typed comes back");
    assert_eq!(connection.all_of(stderr), b"wrong\n");
    let status = status(&mut connection, error);
    assert_eq!(
        (status["status"].as_str(), status["reason"].as_str()),
        (Some("Failure"), Some("NonZeroExitCode"))
    );
    assert_eq!(status["details"]["causes"][0]["message"], "4");
    // The URL is good once, and only for what speaks the protocol.
    assert_eq!(upgrade(&engine, &url, COMMANDS).0, 404);
    assert_eq!(upgrade(&engine, &other, "v9.channel.k8s.io").0, 403);
    assert_eq!(upgrade(&engine, &other.replace("/exec/", "/attach/"), COMMANDS).0, 404);
    remove(&cri, &sandbox);
}

#[test]
fn a_command_has_its_streams_over_a_websocket_too() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    let asked = ExecRequest {
        container_id: id,
        cmd: words(&["sh", "-c", "cat; echo wrong >&2; exit 4"]),
        stdin: true,
        stdout: true,
        stderr: true,
        tty: false,
    };
    let mut socket = Websocket::connect(&engine, &exec_url(&cri, asked.clone()), "v5.channel.k8s.io");
    socket.send(&[0, b'a', b'b']);
    socket.send(&[255, 0]);
    let channels = socket.until_the_end();
    assert_eq!((channels[&1].as_slice(), channels[&2].as_slice()), (&b"ab"[..], &b"wrong\n"[..]));
    let status: Value = serde_json::from_slice(&channels[&3]).expect("a status");
    assert_eq!(status["details"]["causes"][0]["message"], "4");
    // The older protocol has no end of the input but that of the connection.
    let terminal = ExecRequest { cmd: words(&["sh"]), tty: true, stderr: false, ..asked };
    let mut socket = Websocket::connect(&engine, &exec_url(&cri, terminal), "v4.channel.k8s.io");
    socket.send(b"\x04{\"Width\":91,\"Height\":37}");
    socket.send(b"\x00until [ \"$(stty size)\" = '37 91' ]; do sleep 0.05; done; exit\n");
    let status: Value = serde_json::from_slice(&socket.until_the_end()[&3]).expect("a status");
    assert_eq!(status["status"], "Success");
    remove(&cri, &sandbox);
}

#[test]
fn a_terminal_has_a_size_that_changes() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    let asked = ExecRequest {
        container_id: id,
        cmd: words(&["sh"]),
        stdin: true,
        stdout: true,
        stderr: false,
        tty: true,
    };
    let mut connection = connect(&engine, &exec_url(&cri, asked), COMMANDS);
    let [error, stdin, stdout, resize] =
        ["error", "stdin", "stdout", "resize"].map(|kind| open(&mut connection, kind));
    connection.send(resize, b"{\"Width\":91,\"Height\":37}\n");
    connection.send(stdin, b"until [ \"$(stty size)\" = '37 91' ]; do sleep 0.05; done; echo si''zed\n");
    connection.until(stdout, "sized");
    connection.send(stdin, b"exit\n");
    connection.all_of(stdout);
    assert_eq!(status(&mut connection, error)["status"], "Success");
    remove(&cri, &sandbox);
}

#[test]
fn an_attachment_is_joined_to_the_containers_own_streams() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let script = "while read line; do echo \"read $line\"; done; echo over >&2";
    let config = ContainerConfig { stdin: true, stdin_once: true, ..shell("main", script) };
    let id = started(&cri, &sandbox, config);
    let asked = AttachRequest { container_id: id, stdin: true, stdout: true, stderr: true, tty: false };
    let answer: AttachResponse = cri.call("RuntimeService/Attach", asked).expect("a URL");
    let mut connection = connect(&engine, &answer.url, COMMANDS);
    let [error, stdin, stdout, stderr] =
        ["error", "stdin", "stdout", "stderr"].map(|kind| open(&mut connection, kind));
    connection.send(stdin, b"one\n");
    assert_eq!(connection.until(stdout, "read one\n"), "read one\n");
    connection.send(stdin, b"two\n");
    connection.finish(stdin);
    assert_eq!(connection.all_of(stdout), b"read one\nread two\n");
    assert_eq!(connection.all_of(stderr), b"over\n");
    assert_eq!(status(&mut connection, error)["status"], "Success");
    remove(&cri, &sandbox);
}

#[test]
fn a_client_leaves_with_the_end_of_its_input() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let script = "read line; echo \"read $line\"; sleep 1000";
    let id = started(&cri, &sandbox, ContainerConfig { stdin: true, ..shell("main", script) });
    let asked = AttachRequest { container_id: id, stdin: true, stdout: true, stderr: true, tty: false };
    let answer: AttachResponse = cri.call("RuntimeService/Attach", asked).expect("a URL");
    let mut connection = connect(&engine, &answer.url, COMMANDS);
    let [error, stdin, stdout, _] =
        ["error", "stdin", "stdout", "stderr"].map(|kind| open(&mut connection, kind));
    connection.send(stdin, b"one\n");
    assert_eq!(connection.until(stdout, "read one\n"), "read one\n");
    connection.finish(stdin);
    assert_eq!(status(&mut connection, error)["status"], "Success");
    remove(&cri, &sandbox);
}

#[test]
fn a_client_that_was_too_slow_for_an_attachment_learns_it() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    // More than all buffers on the way hold.
    let script =
        "read line; yes 0123456789012345678901234567890123456789 | head -n 1000000; : > /over; sleep 1000";
    let id = started(&cri, &sandbox, ContainerConfig { stdin: true, ..shell("main", script) });
    let container_id = id.clone();
    let asked = AttachRequest { container_id, stdin: true, stdout: true, stderr: true, tty: false };
    let answer: AttachResponse = cri.call("RuntimeService/Attach", asked).expect("a URL");
    let mut connection = connect(&engine, &answer.url, COMMANDS);
    let [error, stdin, stdout, _] =
        ["error", "stdin", "stdout", "stderr"].map(|kind| open(&mut connection, kind));
    connection.send(stdin, b"go\n");
    // Neither the container nor its log waits for it.
    wait::until("the end of the output", || (exec(&cri, &id, "test -e /over").2 == 0).then_some(()));
    assert!(connection.all_of(stdout).len() < 41_000_000);
    let status = status(&mut connection, error);
    assert_eq!((&status["status"], &status["reason"]), (&json!("Failure"), &json!("InternalError")));
    assert!(status["message"].as_str().expect("a message").contains("in the log"), "{status}");
    remove(&cri, &sandbox);
    let _ = std::fs::remove_dir_all(logs(&engine));
}

#[test]
fn ports_of_a_pod_are_reached_and_closed_ones_are_named() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let _ = started(&cri, &sandbox, shell("main", "while true; do nc -l -p 7100 -e cat; done"));
    let asked = PortForwardRequest { pod_sandbox_id: sandbox.clone(), port: vec![7100] };
    let answer: PortForwardResponse = cri.call("RuntimeService/PortForward", asked).expect("a URL");
    let mut connection = connect(&engine, &answer.url, PORTS);
    let mut requests = 0;
    let mut pair = |connection: &mut Spdy, port: &str| {
        requests += 1;
        let request = requests.to_string();
        ["error", "data"]
            .map(|kind| connection.open(&[("streamtype", kind), ("port", port), ("requestid", &request)]))
    };
    wait::until("the port", || {
        let [error, data] = pair(&mut connection, "7100");
        connection.send(data, b"hello");
        connection.finish(data);
        let answer = connection.all_of(data);
        let failure = String::from_utf8(connection.all_of(error)).expect("text");
        (answer == b"hello" && failure.is_empty()).then_some(())
    });
    // A server that listens at the loopback address of IPv6 alone.
    let _ = started(&cri, &sandbox, shell("six", "exec busybox httpd -f -p '[::1]:7200'"));
    wait::until("the port of IPv6", || {
        let [error, data] = pair(&mut connection, "7200");
        connection.send(data, b"GET / HTTP/1.0\r\n\r\n");
        let answer = connection.all_of(data);
        let _ = connection.all_of(error);
        answer.starts_with(b"HTTP/1.").then_some(())
    });
    let [error, data] = pair(&mut connection, "7999");
    assert_eq!(connection.all_of(data), b"");
    let failure = String::from_utf8(connection.all_of(error)).expect("text");
    assert!(failure.contains("cannot reach port 7999 of the pod"), "{failure}");
    remove(&cri, &sandbox);
}

#[test]
fn streams_that_cannot_be_are_refused_before_there_is_a_url() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let container_id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    let good = ExecRequest {
        container_id: container_id.clone(),
        cmd: words(&["true"]),
        stdout: true,
        ..ExecRequest::default()
    };
    for bad in [
        ExecRequest { stdout: false, ..good.clone() },
        ExecRequest { stderr: true, tty: true, ..good.clone() },
        ExecRequest { cmd: Vec::new(), ..good.clone() },
    ] {
        let answer = cri.call("RuntimeService/Exec", bad.clone()).map(|answer: ExecResponse| answer.url);
        assert_eq!(answer.expect_err("a refusal").code(), Code::InvalidArgument, "{bad:?}");
    }
    let attach = AttachRequest { container_id, ..AttachRequest::default() };
    for bad in [attach.clone(), AttachRequest { tty: true, stdout: true, stderr: true, ..attach }] {
        let answer = cri.call("RuntimeService/Attach", bad.clone()).map(|answer: AttachResponse| answer.url);
        assert_eq!(answer.expect_err("a refusal").code(), Code::InvalidArgument, "{bad:?}");
    }
    for port in [0, 65536, -1] {
        let asked = PortForwardRequest { pod_sandbox_id: sandbox.clone(), port: vec![80, port] };
        let answer = cri.call("RuntimeService/PortForward", asked);
        let answer = answer.map(|answer: PortForwardResponse| answer.url);
        assert_eq!(answer.expect_err("a refusal").code(), Code::InvalidArgument, "{port}");
    }
    // The refusal of a request has the reason.
    let url = exec_url(&cri, good);
    let get = |url: &str| {
        let (address, path) = url.trim_start_matches("http://").split_once('/').expect("a path");
        let connect = || TcpStream::connect(address).expect("a connection");
        let mut connection = within_network(&engine, connect);
        write!(connection, "GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let answer = get(&url);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("no upgrade"), "{answer}");
    let answer = get(&format!("{url}x"));
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("not known"), "{answer}");
    // The server listens for as long as a URL is good.
    assert_eq!(upgrade(&engine, &url.replace("/exec/", "/attach/"), COMMANDS).0, 404);
    remove(&cri, &sandbox);
}

#[test]
fn a_command_whose_client_leaves_is_killed() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    let asked = ExecSyncRequest {
        container_id: id.clone(),
        cmd: words(&["sh", "-c", "echo $$ > /begun; exec sleep 1000"]),
        timeout: 0,
    };
    let command = cri.leave("RuntimeService/ExecSync", asked, || {
        let other = Cri::of(&engine);
        wait::until("the command", || {
            let (pid, ..) = exec(&other, &id, "cat /begun 2> /dev/null");
            pid.trim().parse::<u32>().ok()
        })
    });
    wait::until("the command's end", || {
        let (_, _, code) = exec(&cri, &id, &format!("kill -0 {command}"));
        (code != 0).then_some(())
    });
    remove(&cri, &sandbox);
}
