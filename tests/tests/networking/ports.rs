//! Published ports: the clients that reach them and their addresses, what is refused, when they come free.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use berth_tests::cli::clients;
use berth_tests::other_host::{OtherHost, Servers, ask, ask_datagram, datagram_socket, inside, unreachable};
use berth_tests::{Engine, Options, merged, sh, wait};
use serde_json::{Value, json};

use crate::{address, host_port, idle, publishing, refused_start};

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;
const HOST: Ipv4Addr = OtherHost::ENGINE;

#[test]
fn a_port_is_reached_from_everywhere_and_sees_who_comes() {
    let engine = Engine::start();
    let outside = OtherHost::beside(&engine);
    let host = engine.network_pid();
    let web = engine.run(&publishing(&["18080:80/tcp", "18080:80/udp", "127.0.0.1:18081:80/tcp"]));
    let other = engine.run(&idle(json!({})));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let gateway = address(&engine, &web, "Gateway");
    let client = address(&engine, &other, "IPAddress");
    let seen = |pid, place: (Ipv4Addr, u16)| {
        let tcp = ask(pid, place).unwrap_or_else(|error| panic!("{place:?}: {error}"));
        let udp = ask_datagram(&datagram_socket(pid), place);
        assert_eq!(tcp, udp, "both protocols see the same");
        tcp
    };
    // Clients of an address that the container could not answer come from the gateway.
    assert_eq!(seen(host, (LOCAL, 18080)), format!("web {gateway}"));
    assert_eq!(seen(host, (gateway, 18080)), format!("web {gateway}"));
    assert_eq!(seen(host, (HOST, 18080)), format!("web {HOST}"));
    assert_eq!(seen(outside.pid(), (HOST, 18080)), format!("web {}", OtherHost::ADDRESS));
    for place in [gateway, HOST] {
        assert_eq!(seen(engine.pid(&other), (place, 18080)), format!("web {gateway}"));
        assert_eq!(seen(engine.pid(&web), (place, 18080)), format!("web {gateway}"), "itself");
    }
    // Without a detour the address stays.
    let direct = address(&engine, &web, "IPAddress");
    assert_eq!(ask(engine.pid(&other), (direct, 80)).expect("an answer"), format!("web {client}"));
    // What is published on one address is not on others.
    assert_eq!(ask(host, (LOCAL, 18081)).expect("an answer"), format!("web {gateway}"));
    for (pid, place) in [(host, HOST), (outside.pid(), HOST), (engine.pid(&other), gateway)] {
        assert!(unreachable(pid, (place, 18081)), "{place}");
    }
    assert!(unreachable(engine.pid(&other), (LOCAL, 18080)), "containers have a loopback of their own");
    shown_everywhere(&engine, &web);
}

/// The ports in inspect, the list and `docker port`.
fn shown_everywhere(engine: &Engine, web: &str) {
    let settings = engine.inspect(web)["NetworkSettings"].clone();
    let place = |ip: &str, port: &str| json!({ "HostIp": ip, "HostPort": port });
    assert_eq!(
        settings["Ports"],
        json!({
            "80/tcp": [place("0.0.0.0", "18080"), place("127.0.0.1", "18081")],
            "80/udp": [place("0.0.0.0", "18080")],
        })
    );
    assert_eq!(settings["IPPrefixLen"], 16);
    let listed = engine.get("/containers/json").expect(200).json();
    let listed = listed.as_array().expect("a list").iter().find(|listed| listed["Id"] == web);
    let mut ports: Vec<Value> = listed.expect("listed")["Ports"].as_array().expect("ports").clone();
    ports.sort_by_key(ToString::to_string);
    assert_eq!(
        ports,
        [
            json!({ "IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 18080, "Type": "tcp" }),
            json!({ "IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 18080, "Type": "udp" }),
            json!({ "IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 18081, "Type": "tcp" }),
        ]
    );
    for docker in clients(engine) {
        // Clients before 25 write addresses of IPv6 without brackets.
        let shown = docker.ok(&["port", web, "80/udp"]).replace(":::", "[::]:");
        assert_eq!(shown, "0.0.0.0:18080\n[::]:18080");
    }
}

#[test]
fn a_taken_port_is_refused_and_comes_free_with_the_stop() {
    let mut engine = Engine::start();
    let host = engine.network_pid();
    let first = engine.run(&publishing(&["18080:80/tcp", "127.0.0.1:18081:81/tcp"]));
    let taken = |port: &str, ip: &str, number: u16| {
        let other = engine.create(&publishing(&["18090:90/tcp", port]));
        let text = refused_start(&engine, &other, 500);
        assert_eq!(text, format!("Bind for {ip}:{number} failed: port is already allocated"), "{port}");
        assert_eq!(engine.inspect(&other)["State"]["Error"], text);
        // What it held before the refusal is free.
        assert!(inside(host, || TcpListener::bind("0.0.0.0:18090")).is_ok());
        engine.remove(&other);
    };
    taken("18080:80/tcp", "0.0.0.0", 18080);
    taken("127.0.0.1:18080:80/tcp", "127.0.0.1", 18080);
    taken("18081:80/tcp", "0.0.0.0", 18081);
    // Another protocol is another port, and so is another address.
    let beside = engine.run(&publishing(&["18080:80/udp", "127.0.0.2:18081:80/tcp"]));
    engine.remove(&beside);
    let held = |port: u16| inside(host, || TcpListener::bind(("0.0.0.0", port))).is_err();
    assert!(held(18080) && held(18081), "no other program gets them");
    engine.replace_daemon();
    assert!(held(18080) && held(18081), "nor under the next daemon");
    let _ = engine.post(&format!("/containers/{first}/stop?t=0")).expect(204);
    assert!(!held(18080) && !held(18081));
    assert_eq!(engine.inspect(&first)["NetworkSettings"]["Ports"], Value::Null);
    engine.start(&first);
    assert!(held(18080));
    let _servers = Servers::start(engine.pid(&first), 80, "again");
    assert!(ask(host, (LOCAL, 18080)).expect("an answer").starts_with("again "));
    let _ = engine.post(&format!("/containers/{first}/restart?t=0")).expect(204);
    assert_eq!(host_port(&engine, &first, "80/tcp"), 18080);
}

#[test]
fn a_program_of_the_host_keeps_its_port() {
    let engine = Engine::start();
    let host = engine.network_pid();
    let (_tcp, udp) = inside(host, || {
        (
            TcpListener::bind("0.0.0.0:18080").expect("a listener"),
            UdpSocket::bind("127.0.0.1:18053").expect("a socket"),
        )
    });
    for (port, text) in [
        ("18080:80/tcp", "listen tcp 0.0.0.0:18080: bind: address already in use"),
        ("18053:53/udp", "listen udp 0.0.0.0:18053: bind: address already in use"),
        ("192.0.2.7:18070:80/tcp", "listen tcp 192.0.2.7:18070: bind: cannot assign requested address"),
    ] {
        let id = engine.create(&publishing(&[port]));
        assert_eq!(refused_start(&engine, &id, 500), text);
    }
    drop(udp);
    let id = engine.run(&publishing(&["18053:53/udp"]));
    let _servers = Servers::start(engine.pid(&id), 53, "dns");
    assert!(ask_datagram(&datagram_socket(host), (LOCAL, 18053)).starts_with("dns "));
}

#[test]
fn ranges_several_places_and_all_exposed_ports() {
    let engine = Engine::start();
    let host = engine.network_pid();
    // The first free one of a range; a fourth container finds none.
    let ranged = publishing(&["18100-18102:80/tcp"]);
    let ids: Vec<String> = (0..3).map(|_| engine.run(&ranged)).collect();
    let ports: Vec<u16> = ids.iter().map(|id| host_port(&engine, id, "80/tcp")).collect();
    assert_eq!(ports, [18100, 18101, 18102]);
    let fourth = engine.create(&ranged);
    let text = refused_start(&engine, &fourth, 500);
    assert_eq!(text, "Bind for 0.0.0.0:18100 failed: port is already allocated");
    engine.remove(&ids[1]);
    engine.start(&fourth);
    assert_eq!(host_port(&engine, &fourth, "80/tcp"), 18101);
    // Several places of one port, one of them any.
    let several = engine.run(&publishing(&["18200:80/tcp", "18201:80/tcp", "127.0.0.1::80/tcp"]));
    let _servers = Servers::start(engine.pid(&several), 80, "several");
    let bindings = engine.inspect(&several)["NetworkSettings"]["Ports"]["80/tcp"].clone();
    for binding in bindings.as_array().expect("bindings") {
        let port = binding["HostPort"].as_str().and_then(|port| port.parse().ok()).expect("a port");
        assert!(ask(host, (LOCAL, port)).expect("an answer").starts_with("several "), "{binding}");
    }
    assert_eq!(bindings.as_array().map(Vec::len), Some(3));
    // Everything that image and container expose.
    let exposing =
        engine.create(&merged(sh("true"), json!({ "ExposedPorts": { "81/tcp": {}, "53/udp": {} } })));
    let _ = engine.post(&format!("/commit?container={exposing}&repo=exposing")).expect(201);
    let all = engine.run(&merged(
        idle(json!({ "ExposedPorts": { "80/tcp": {} }, "HostConfig": { "PublishAllPorts": true } })),
        json!({ "Image": "exposing" }),
    ));
    let range = berth_tests::host::in_network_of(host, &["cat", "/proc/sys/net/ipv4/ip_local_port_range"]);
    let range: Vec<u16> = range.split_whitespace().map(|word| word.parse().expect("a port")).collect();
    for port in ["80/tcp", "81/tcp", "53/udp"] {
        let number = host_port(&engine, &all, port);
        assert!((range[0]..=range[1]).contains(&number), "{port}: {number}");
    }
    // A port that names no protocol is TCP's.
    let short = engine.run(&idle(json!({ "ExposedPorts": { "80": {}, "53/udp": {} } })));
    let ports = engine.inspect(&short)["NetworkSettings"]["Ports"].clone();
    assert_eq!(ports, json!({ "53/udp": null, "80/tcp": null }));
    engine.remove(&short);
    engine.remove(&all);
    engine.remove(&exposing);
    let _ = engine.delete("/images/exposing").expect(200);
}

#[test]
fn ephemeral_ports_run_out_and_come_free() {
    let engine = Engine::start_with(Options {
        host_setup: vec!["echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range".into()],
        ..Options::default()
    });
    let body = publishing(&[":80/tcp", ":81/tcp"]);
    let (one, two) = (engine.run(&body), engine.run(&body));
    let third = engine.create(&body);
    assert_eq!(refused_start(&engine, &third, 500), "all ports are allocated");
    engine.remove(&one);
    engine.start(&third);
    assert_ne!(host_port(&engine, &third, "80/tcp"), host_port(&engine, &two, "80/tcp"));
}

#[test]
fn what_is_no_port_is_refused() {
    let engine = Engine::start();
    for (key, host_port, text) in [
        ("80/tcp", "70000", "Invalid port specification: \"70000\""),
        ("80/tcp", "abc", "Invalid port specification: \"abc\""),
        ("80/tcp", "18081-18080", "Invalid port specification: \"18081-18080\""),
        ("70000/tcp", "", "Invalid port specification: \"70000\""),
        ("80-82/tcp", "18080", "Invalid port specification: \"80-82\""),
        ("abc/tcp", "80", "Invalid port specification: \"abc\""),
    ] {
        let body = idle(json!({ "HostConfig": { "PortBindings": { key: [{ "HostPort": host_port }] } } }));
        let answer = engine.post_json("/containers/create", &body).expect(500);
        assert_eq!(answer.text(), format!("{text}\n"), "{key} {host_port}");
    }
    assert_eq!(engine.get("/containers/json?all=1").expect(200).json(), json!([]));
    for (key, ip, text) in
        [("80/tcp", "foo", "Invalid ip address: foo"), ("80/sctp", "", "Invalid proto: sctp")]
    {
        let body = idle(
            json!({ "HostConfig": { "PortBindings": { key: [{ "HostIp": ip, "HostPort": "18080" }] } } }),
        );
        let id = engine.create(&body);
        assert_eq!(refused_start(&engine, &id, 500), text);
    }
}

#[test]
fn a_successor_gets_the_datagrams_of_a_steady_client() {
    let engine = Engine::start();
    let outside = OtherHost::beside(&engine);
    let client = datagram_socket(outside.pid());
    let place = (HOST, 18053);
    // Before the port is published the packets are the host's own.
    let _ = client.send_to(b"early", place);
    for name in ["first", "second"] {
        let id = engine.run(&publishing(&["18053:53/udp"]));
        let servers = Servers::start(engine.pid(&id), 53, name);
        assert_eq!(ask_datagram(&client, place), format!("{name} {}", OtherHost::ADDRESS));
        drop(servers);
        let _ = client.send_to(b"nobody there", place);
        let _ = engine.post(&format!("/containers/{id}/kill")).expect(204);
        wait::until("its end", || (engine.state(&id, "Running") == false).then_some(()));
        engine.remove(&id);
        let _ = client.send_to(b"nobody yet", place);
    }
}
