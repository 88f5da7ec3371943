//! Bytes through a published port, beside the same through nothing but links and address translation.
//!
//! The bytes go from a container to another host (a network namespace with a cable to the engine's),
//! and to a client on 127.0.0.1. What they are compared with is a router made here by hand: the same
//! sender behind a pair of links, one rule that translates, the same receiver. Both are measured in
//! turns, since a machine is not equally fast all the time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use berth_tests::host::in_network_of;
use berth_tests::other_host::{Namespace, OtherHost, inside};
use serde_json::json;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::Sample;

const PORT: u16 = 8000;
const BLOCK: usize = 128 * 1024;
const ROUNDS: usize = 5;
/// The router's translation of what comes for its port.
const TRANSLATION: &str = "ip link add in0 type veth peer name eth0 netns SERVER && \
    ip addr add 10.9.9.1/24 dev in0 && ip link set in0 up && echo 1 > /proc/sys/net/ipv4/ip_forward && \
    nft add table ip plain && \
    nft 'add chain ip plain in { type nat hook prerouting priority -100 ; }' && \
    nft add rule ip plain in tcp dport 8000 dnat to 10.9.9.2";
const SERVER: &str =
    "ip addr add 10.9.9.2/24 dev eth0 && ip link set eth0 up && ip route add default via 10.9.9.1";

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let bytes = arguments.megabytes * 4 * 1_000_000;
    let mut body = engine.body(&["sleep", "3600"], "bridge");
    body["ExposedPorts"] = json!({ "8000/tcp": {} });
    body["HostConfig"]["PortBindings"] = json!({ "8000/tcp": [{ "HostPort": "" }] });
    let mut session = engine.session();
    let id = session.create(&body)?;
    session.start(&id)?;
    let inspected = session.ask("GET", &format!("/containers/{id}/json"), None)?.json();
    let pid = u32::try_from(inspected["State"]["Pid"].as_u64().context("no pid")?)?;
    let port =
        inspected["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"].as_str().context("no port")?;
    let port: u16 = port.parse()?;
    let host = engine.pid()?;
    let outside = OtherHost::beside_process(host);
    let (router, server) = (Namespace::new(), Namespace::new());
    let beside_router = OtherHost::beside_process(router.pid());
    let script = TRANSLATION.replace("SERVER", &server.pid().to_string());
    let _ = in_network_of(router.pid(), &["sh", "-ec", &script]);
    let _ = in_network_of(server.pid(), &["sh", "-ec", SERVER]);
    let _senders = [Sender::start(pid)?, Sender::start(server.pid())?];
    let ways = [
        ("published port to another host", outside.pid(), OtherHost::ENGINE, port),
        ("plain links and translation to another host", beside_router.pid(), OtherHost::ENGINE, PORT),
        ("published port to 127.0.0.1", host, Ipv4Addr::LOCALHOST, port),
    ];
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for ((_, pid, address, port), times) in ways.iter().zip(&mut times) {
            times.push(receive(*pid, (*address, *port).into(), bytes)?);
        }
    }
    let samples = ways.iter().zip(times).map(|((name, ..), mut times)| {
        times.sort_unstable();
        Sample::megabytes_a_second(&format!("throughput, {name}"), bytes, times[ROUNDS / 2])
    });
    Ok(samples.collect())
}

/// Takes so many bytes from a sender.
fn receive(pid: u32, address: SocketAddr, bytes: usize) -> anyhow::Result<Duration> {
    let take = || -> std::io::Result<Duration> {
        let mut stream = TcpStream::connect(address)?;
        let mut buffer = vec![0; BLOCK];
        stream.read_exact(&mut buffer)?;
        let begin = Instant::now();
        let mut left = bytes;
        while left > 0 {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            left = left.saturating_sub(length);
        }
        Ok(begin.elapsed())
    };
    inside(pid, take).with_context(|| format!("cannot receive from {address}"))
}

/// Sends zeros to each client, from the network namespace of a process.
struct Sender {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    fn start(pid: u32) -> anyhow::Result<Self> {
        let listener = inside(pid, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)))?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let block = vec![0; BLOCK];
            while !of_thread.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((mut client, _)) => {
                        let blocking = client.set_nonblocking(false);
                        // It ends when the receiver has enough.
                        while blocking.is_ok() && client.write_all(&block).is_ok() {}
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
