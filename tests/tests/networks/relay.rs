//! Ports that are published at the host's IPv6 for containers that have IPv4 alone, and at its loopback of IPv6: their shims
//! relay them.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use berth_tests::other_host::{self, OtherHost, Servers, ask, unreachable};
use berth_tests::{host, wait};
use serde_json::json;

use super::*;

const LOCAL: Ipv6Addr = Ipv6Addr::LOCALHOST;

/// No answer in a test takes longer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Whether the kernel passes bridged packets of IPv6 through the host's firewall in the network namespace of the
/// engine. A kernel without br_netfilter has no such switch.
fn pass_bridged_packets(engine: &Today, passes: &str) {
    let command =
        format!("sw=/proc/sys/net/bridge/bridge-nf-call-ip6tables; test ! -e $sw || echo {passes} > $sw");
    let _ = host::in_network_of(engine.daemon.network_pid(), &["sh", "-ec", &command]);
}

#[test]
fn the_loopback_of_ipv6_leads_to_a_container_of_ipv6_whatever_bridged_packets_pass() {
    let mut engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    outside.speak_ipv6(&engine.daemon);
    network(&engine, "six", "fd00:88::/64", json!({ "EnableIPv6": true }));
    network(&engine, "four", "10.88.0.0/24", json!({}));
    let loopback = json!([{ "HostIp": "::1", "HostPort": "18081" }]);
    let ports = json!({ "80/tcp": [{ "HostPort": "18080" }], "80/udp": [{ "HostPort": "18080" }], "81/tcp": loopback });
    let web = engine.run(&publishing("six", ports));
    let _servers = [80, 81].map(|port| Servers::start(engine.pid(&web), port, "web"));
    let host = engine.daemon.network_pid();
    for passes in ["0", "1"] {
        pass_bridged_packets(&engine, passes);
        for port in [18080, 18081] {
            assert_eq!(ask(host, (LOCAL, port)).ok().as_deref(), Some("web fd00:88::1"), "{passes} {port}");
        }
        assert_eq!(ask_datagram(host, LOCAL.into()), "web fd00:88::1", "{passes}");
        let seen = ask(outside.pid(), (OtherHost::IPV6[0], 18080)).ok();
        assert_eq!(seen, Some(format!("web {}", OtherHost::IPV6[1])), "others are translated");
        assert!(unreachable(outside.pid(), (OtherHost::IPV6[0], 18081)), "it is published at the loopback");
        engine.daemon.kill_daemon();
        assert!(ask(host, (LOCAL, 18080)).is_ok(), "no daemon is needed");
        engine.daemon.start_daemon();
    }
    // The ports follow the network that gives the default route, there and back.
    connect(&engine, "four", &web, json!({ "GwPriority": 5 }));
    assert_eq!(ask(host, (LOCAL, 18080)).ok().as_deref(), Some("web 10.88.0.1"));
    disconnect(&engine, "four", &web);
    assert_eq!(ask(host, (LOCAL, 18080)).ok().as_deref(), Some("web fd00:88::1"));
    let _ = engine.post(&format!("/containers/{web}/stop?t=0")).expect(204);
    assert!(unreachable(host, (LOCAL, 18080)), "the port is closed");
}

fn publishing(network: &str, bindings: Value) -> Value {
    merged(within(network), json!({ "HostConfig": { "PortBindings": bindings } }))
}

/// Ports 80 and 53 at all addresses of the host.
fn everywhere(network: &str) -> Value {
    publishing(network, json!({ "80/tcp": [{ "HostPort": "18080" }], "80/udp": [{ "HostPort": "18080" }] }))
}

fn ports(client: &Client, container: &str) -> Value {
    client.inspect(container)["NetworkSettings"]["Ports"].clone()
}

/// The response of a UDP server to a client in the engine's network; the query is repeated where a datagram
/// was lost.
fn ask_datagram(pid: u32, address: IpAddr) -> String {
    other_host::inside(pid, || {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a socket");
        // Only answers from the queried address arrive.
        socket.connect((address, 18080)).expect("a route");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket that waits a while");
        wait::until("a datagram", || {
            let mut buffer = [0; 64];
            let _ = socket.send(b"who?");
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
    })
}

#[test]
fn the_hosts_ipv6_leads_to_a_container_of_ipv4_alone_whatever_becomes_of_the_daemon() {
    let mut engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    outside.speak_ipv6(&engine.daemon);
    network(&engine, "a", "10.80.0.0/24", json!({}));
    let web = engine.run(&everywhere("a"));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let host = engine.daemon.network_pid();
    let both = json!([{ "HostIp": "0.0.0.0", "HostPort": "18080" }, { "HostIp": "::", "HostPort": "18080" }]);
    assert_eq!(ports(&engine, &web), json!({ "80/tcp": both, "80/udp": both }));
    let old = engine.daemon.at("1.40").inspect(&web)["NetworkSettings"]["Ports"].clone();
    assert_eq!(old["80/tcp"], json!([{ "HostIp": "0.0.0.0", "HostPort": "18080" }]), "before Docker 20.10");
    let from_outside = OtherHost::IPV6[0];
    let second: Ipv6Addr = "2001:db8:1::77".parse().expect("an address");
    let command = format!("ip -6 addr add {second}/64 dev cable0 nodad");
    let _ = host::in_network_of(host, &["sh", "-ec", &command]);
    for turn in 0..2 {
        for (pid, address) in [(host, LOCAL), (outside.pid(), from_outside), (outside.pid(), second)] {
            assert_eq!(ask(pid, (address, 18080)).ok().as_deref(), Some("web 10.80.0.1"), "{turn} {address}");
            assert_eq!(ask_datagram(pid, address.into()), "web 10.80.0.1", "{turn} {address}");
        }
        engine.daemon.kill_daemon();
        assert!(ask(host, (LOCAL, 18080)).is_ok(), "no daemon is needed");
        engine.daemon.start_daemon();
    }
    let _ = engine.post(&format!("/containers/{web}/stop?t=0")).expect(204);
    assert!(unreachable(host, (LOCAL, 18080)), "the port is closed");
    let answer = engine.create(&everywhere("a"));
    engine.start(&answer);
}

#[test]
fn an_internal_network_does_not_reach_what_is_relayed() {
    let engine = Today::start();
    network(&engine, "four", "10.89.0.0/24", json!({}));
    let closed =
        json!({ "EnableIPv6": true, "Internal": true, "IPAM": { "Config": [{ "Subnet": "fd00:89::/64" }] } });
    let body = merged(json!({ "Name": "closed" }), closed);
    let _ = engine.post_json("/networks/create", &body).expect(201);
    let web = engine.run(&everywhere("four"));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let inmate = engine.run(&within("closed"));
    let gateway: Ipv6Addr = "fd00:89::1".parse().expect("an address");
    assert!(unreachable(engine.pid(&inmate), (gateway, 18080)), "the host's address there");
    assert!(ask(engine.daemon.network_pid(), (gateway, 18080)).is_ok(), "the host itself reaches it");
    // What else listens on the host, and the same port of others in the network, is as it was.
    let other = engine.run(&within("closed"));
    let _others = [18080, 18090].map(|port| Servers::start(engine.pid(&other), port, "other"));
    let _hosts = Servers::start(engine.daemon.network_pid(), 18090, "host");
    let at = endpoint(&engine, &other, "closed")["GlobalIPv6Address"].as_str().map(str::parse::<Ipv6Addr>);
    let at = at.expect("a text").expect("an address");
    assert!(ask(engine.pid(&inmate), (at, 18080)).is_ok());
    assert!(ask(engine.pid(&inmate), (gateway, 18090)).is_ok());
}

#[test]
fn bytes_arrive_whole_both_ways_and_each_side_may_end_first() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let engine = Today::start();
    // It lives on: what a container has not sent when it ends goes with its network.
    let script = "nc -l -p 80 -e sh -c 'echo begun; wc -c; head -c 5000000 /dev/zero'; sleep 600";
    let ports = json!({ "80/tcp": [{ "HostIp": "::1", "HostPort": "18080" }] });
    let container = engine.run(&merged(sh(script), json!({ "HostConfig": { "PortBindings": ports } })));
    let host = engine.daemon.network_pid();
    assert!(unreachable(host, (Ipv4Addr::LOCALHOST, 18080)), "only at that address");
    let answer = other_host::inside(host, || {
        let mut stream = wait::until("a server", || {
            let mut stream = TcpStream::connect((LOCAL, 18080)).ok()?;
            stream.set_read_timeout(Some(TIMEOUT)).ok()?;
            // A connection without a listener behind the relay is ended at once.
            stream.read_exact(&mut [0; 6]).ok()?;
            Some(stream)
        });
        stream.write_all(&vec![7; LENGTH]).expect("sent");
        stream.shutdown(Shutdown::Write).expect("the end of it");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the answer");
        answer
    });
    let (count, rest) = answer.split_at(answer.iter().position(|byte| *byte == b'\n').expect("a line") + 1);
    assert_eq!(String::from_utf8_lossy(count).trim(), LENGTH.to_string());
    assert_eq!((rest.len(), rest.iter().all(|byte| *byte == 0)), (5_000_000, true));
    engine.remove(&container);
}

#[test]
fn clients_that_take_nothing_or_say_nothing_cost_no_memory_and_do_not_stop_the_relay() {
    let engine = Today::start();
    network(&engine, "a", "10.80.0.0/24", json!({}));
    let script = "while true; do nc -l -p 81 -e cat /dev/zero; done";
    let bindings = json!({ "80/tcp": [{ "HostPort": "18080" }], "81/tcp": [{ "HostPort": "18081" }] });
    let web = engine.run(&merged(publishing("a", bindings), sh(script)));
    let _server = GreetingServer::start(engine.pid(&web));
    let host = engine.daemon.network_pid();
    let shim = engine.daemon.shims().into_iter().next().expect("a shim");
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{shim}/status")).expect("a shim");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let (before, few) = (memory(), host::descriptors_of(shim));
    let slow = wait::until("what fills all buffers", || {
        other_host::inside(host, || {
            let mut stream = TcpStream::connect((LOCAL, 18081)).ok()?;
            stream.set_read_timeout(Some(TIMEOUT)).ok()?;
            stream.read_exact(&mut [0; 100_000]).ok()?;
            Some(stream)
        })
    });
    let silent: Vec<TcpStream> = other_host::inside(host, || {
        (0..600).map(|_| TcpStream::connect((LOCAL, 18080)).expect("connected")).collect()
    });
    // Clients beyond those that the shim takes wait in the kernel.
    wait::until("connections", || (host::descriptors_of(shim) > few + 100).then_some(()));
    assert!(memory() < before + 1024, "{} KiB, before {before}", memory());
    drop(silent);
    wait::until("its turn", || greeted(host));
    wait::until("descriptors again", || (host::descriptors_of(shim) < few + 10).then_some(()));
    drop(slow);
    let _ = engine.delete(&format!("/containers/{web}?force=1")).expect(204);
}

/// A server at port 80 that greets each client and does nothing more.
struct GreetingServer {
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl GreetingServer {
    fn start(pid: u32) -> Self {
        let listener =
            other_host::inside(pid, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).expect("a listener"));
        let own = listener.try_clone().expect("the listener");
        let serve = move || {
            let mut clients = Vec::new();
            while let Ok((mut client, _)) = own.accept() {
                let _ = client.write_all(b"hello");
                clients.push(client);
            }
        };
        Self { listener, thread: Some(std::thread::spawn(serve)) }
    }
}

impl Drop for GreetingServer {
    fn drop(&mut self) {
        // accept(2) ends with an error then.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Sends a request to that server.
fn greeted(host: u32) -> Option<()> {
    other_host::inside(host, || {
        let mut stream = TcpStream::connect((LOCAL, 18080)).ok()?;
        stream.set_read_timeout(Some(TIMEOUT)).ok()?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).ok()?;
        (answer == *b"hello").then_some(())
    })
}

#[test]
fn relayed_ports_follow_the_network_that_leads() {
    let engine = Today::start();
    let own = json!([{ "Subnet": "10.80.0.0/24" }]);
    for (name, body) in [
        ("b", json!({ "IPAM": { "Config": [{ "Subnet": "10.81.0.0/24" }] } })),
        ("a", json!({ "IPAM": { "Config": own } })),
        (
            "a6",
            json!({ "EnableIPv6": true, "IPAM": { "Config": [
            { "Subnet": "10.82.0.0/24" }, { "Subnet": "fd00:82::/64" }] } }),
        ),
    ] {
        let body = merged(json!({ "Name": name }), body);
        let _ = engine.post_json("/networks/create", &body).expect(201);
    }
    let web = engine.run(&everywhere("b"));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let outside = OtherHost::beside(&engine.daemon);
    outside.speak_ipv6(&engine.daemon);
    let at = OtherHost::IPV6[0];
    let reach = |what: &str| {
        let answer = ask(outside.pid(), (at, 18080)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(ask_datagram(outside.pid(), at.into()), answer, "{what}");
        answer
    };
    assert_eq!(reach("of one network"), "web 10.81.0.1");
    connect(&engine, "a", &web, json!({}));
    assert_eq!(reach("with another"), "web 10.80.0.1");
    // With an address of IPv6 nothing is relayed.
    connect(&engine, "a6", &web, json!({ "GwPriority": 1 }));
    assert_eq!(reach("with IPv6"), format!("web {}", OtherHost::IPV6[1]));
    disconnect(&engine, "a6", &web);
    assert_eq!(reach("without IPv6 again"), "web 10.80.0.1");
    for name in ["a", "b"] {
        disconnect(&engine, name, &web);
    }
    assert!(unreachable(outside.pid(), (at, 18080)), "in no network");
    connect(&engine, "b", &web, json!({}));
    assert_eq!(reach("in one again"), "web 10.81.0.1");
}

#[test]
fn a_port_of_ipv6_that_another_program_has_fails_the_start_or_is_passed_over() {
    let engine = Today::start();
    let host = engine.daemon.network_pid();
    let taken = host::listen(host, (LOCAL, 18080).into());
    let container = engine.create(&everywhere("bridge"));
    let answer = engine.post(&format!("/containers/{container}/start")).expect(409);
    assert!(answer.text().contains("18080: bind: address already in use"), "{}", answer.text());
    let range = publishing("bridge", json!({ "80/tcp": [{ "HostPort": "18080-18081" }] }));
    let web = engine.run(&range);
    assert_eq!(ports(&engine, &web)["80/tcp"][1], json!({ "HostIp": "::", "HostPort": "18081" }));
    drop(taken);
    engine.start(&container);
}

#[test]
fn a_host_without_ipv6_publishes_at_ipv4() {
    let setup = ["echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6".to_owned()];
    let options = berth_tests::Options { host_setup: setup.to_vec(), ..berth_tests::Options::default() };
    let engine = berth_tests::Engine::start_with(options);
    let client = engine.at("1.55");
    let web = client.run(&everywhere("bridge"));
    assert_eq!(ports(&client, &web)["80/tcp"], json!([{ "HostIp": "0.0.0.0", "HostPort": "18080" }]));
}
