//! Clients of sessions whose data is not read, and that leave while nothing happens.

use berth_tests::channels::Websocket;
use berth_tests::cri::Cri;
use berth_tests::spdy::{Spdy, upgrade};
use berth_tests::{Engine, host, wait};
use cri_messages::session::{
    AttachRequest, AttachResponse, ExecRequest, ExecResponse, PortForwardRequest, PortForwardResponse,
};

use crate::engine;
use crate::pod::{pod, remove, run, shell, started};

/// Clients at once, half of them of each carrier.
const CLIENTS: usize = 8;
/// What each of them sends at most, in messages of so many bytes.
const SENT: usize = 48 << 20;
const MESSAGE: usize = 3 << 20;
/// What the daemon may hold more meanwhile.
const GROWTH: u64 = 100 << 20;

/// A session's connection.
enum Client {
    Spdy { connection: Spdy, input: Option<u32> },
    Websocket(Websocket),
}

fn open_spdy(engine: &Engine, url: &str, protocol: &str) -> Spdy {
    upgrade(engine, url, protocol).1.expect("an upgrade")
}

/// Every other client speaks SPDY.
fn connect(engine: &Engine, url: &str, number: usize, kinds: &[&str]) -> Client {
    if number.is_multiple_of(2) {
        return Client::Websocket(Websocket::connect(engine, url, "v5.channel.k8s.io"));
    }
    let mut connection = open_spdy(engine, url, "v4.channel.k8s.io");
    let mut input = None;
    for kind in kinds {
        let stream = connection.open(&[("streamtype", kind)]);
        if *kind == "stdin" {
            input = Some(stream);
        }
    }
    Client::Spdy { connection, input }
}

impl Client {
    fn flood(&mut self) -> usize {
        match self {
            Self::Spdy { connection, input } => {
                connection.flood(input.expect("an input"), &vec![b'x'; MESSAGE], SENT)
            }
            Self::Websocket(socket) => socket.flood(&[&[0][..], &vec![b'x'; MESSAGE]].concat(), SENT),
        }
    }
}

/// Waits until the daemon holds no more sockets than before.
fn until_closed(engine: &Engine, before: usize) {
    wait::until("the end of the sessions", || {
        (host::sockets_of(engine.daemon_pid()) <= before).then_some(())
    });
}

#[test]
fn input_that_nobody_takes_is_not_held() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let id = started(&cri, &sandbox, shell("main", "sleep 1000"));
    let before = host::sockets_of(engine.daemon_pid());
    engine.forget_peak_memory();
    let held = engine.peak_memory();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let asked = ExecRequest {
            container_id: id.clone(),
            cmd: ["sleep", "1000"].map(str::to_owned).to_vec(),
            stdin: true,
            stdout: true,
            ..ExecRequest::default()
        };
        let answer: ExecResponse = cri.call("RuntimeService/Exec", asked).expect("a URL");
        clients.push(connect(&engine, &answer.url, number, &["error", "stdin", "stdout"]));
    }
    for client in &mut clients {
        let sent = client.flood();
        assert!(sent > 0, "a client could send nothing");
    }
    let grown = engine.peak_memory() - held;
    assert!(grown < GROWTH, "{} MiB were held for {CLIENTS} clients", grown >> 20);
    // The commands keep running, and nothing is held for clients that left.
    drop(clients);
    until_closed(&engine, before);
    remove(&cri, &sandbox);
}

#[test]
fn clients_that_leave_while_nothing_happens_leave_no_sockets() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let id = started(&cri, &sandbox, shell("main", "nc -l -p 7200 -e sleep 1000"));
    let before = host::sockets_of(engine.daemon_pid());
    for number in 0..CLIENTS {
        let asked = AttachRequest {
            container_id: id.clone(),
            stdout: true,
            stderr: true,
            ..AttachRequest::default()
        };
        let answer: AttachResponse = cri.call("RuntimeService/Attach", asked).expect("a URL");
        drop(connect(&engine, &answer.url, number, &["error", "stdout", "stderr"]));
        let asked = ExecRequest {
            container_id: id.clone(),
            cmd: ["sleep", "1000"].map(str::to_owned).to_vec(),
            stdout: true,
            ..ExecRequest::default()
        };
        let answer: ExecResponse = cri.call("RuntimeService/Exec", asked).expect("a URL");
        drop(connect(&engine, &answer.url, number, &["error", "stdout"]));
    }
    until_closed(&engine, before);
    // A server that does not end when its client does.
    let asked = PortForwardRequest { pod_sandbox_id: sandbox.clone(), port: vec![7200] };
    let answer: PortForwardResponse = cri.call("RuntimeService/PortForward", asked).expect("a URL");
    let mut connection = open_spdy(&engine, &answer.url, "portforward.k8s.io");
    for kind in ["error", "data"] {
        connection.open(&[("streamtype", kind), ("port", "7200"), ("requestid", "1")]);
    }
    drop(connection);
    until_closed(&engine, before);
    remove(&cri, &sandbox);
}
