//! What reaches what: within a network, between networks, from outside, and by published ports.

use berth_tests::host;
use berth_tests::other_host::{self, OtherHost, Servers, ask, unreachable};
use serde_json::json;

use super::*;

/// A container that publishes port 80 at 18080.
fn publishing(network: &str) -> Value {
    merged(
        within(network),
        json!({ "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "18080" }] } } }),
    )
}

#[test]
fn networks_are_apart_and_published_ports_reach_over() {
    let engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    network(&engine, "a", "10.80.0.0/24", json!({}));
    network(&engine, "b", "10.81.0.0/24", json!({}));
    let web = engine.run(&publishing("a"));
    let (beside, other) = (engine.run(&within("a")), engine.run(&within("b")));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let at = address(&engine, &web, "a");
    let reach = |container: &str, at: Ipv4Addr, port| ask(engine.pid(container), (at, port)).is_ok();
    assert!(reach(&beside, at, 80), "within the network");
    assert!(unreachable(engine.pid(&other), (at, 80)), "from another network");
    assert!(reach(&other, OtherHost::ENGINE, 18080), "by the published port");
    assert_eq!(
        ask(outside.pid(), (OtherHost::ENGINE, 18080)).ok(),
        Some(format!("web {}", OtherHost::ADDRESS))
    );
    // The port follows the network that gives the default route.
    connect(&engine, "b", &web, json!({ "GwPriority": 5 }));
    assert!(ask(outside.pid(), (OtherHost::ENGINE, 18080)).is_ok(), "after the change of the gateway");
    disconnect(&engine, "a", &web);
    assert!(ask(outside.pid(), (OtherHost::ENGINE, 18080)).is_ok(), "in the other network alone");
    disconnect(&engine, "b", &web);
    assert!(unreachable(outside.pid(), (OtherHost::ENGINE, 18080)), "in no network");
    connect(&engine, "a", &web, json!({}));
    assert!(ask(outside.pid(), (OtherHost::ENGINE, 18080)).is_ok(), "again");
}

#[test]
fn an_internal_network_leads_nowhere() {
    let engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    let _served = Servers::start(outside.pid(), 80, "outside");
    network(&engine, "closed", "10.82.0.0/24", json!({ "Internal": true }));
    let (one, web) = (engine.run(&within("closed")), engine.run(&publishing("closed")));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    assert!(ask(engine.pid(&one), (address(&engine, &web, "closed"), 80)).is_ok());
    assert_eq!(inside(&engine, &one), "eth0 10.82.0.2/24\n", "no default route");
    assert_eq!(endpoint(&engine, &one, "closed")["Gateway"], "");
    assert!(unreachable(outside.pid(), (OtherHost::ENGINE, 18080)), "no port is published");
    assert!(unreachable(engine.pid(&one), (OtherHost::ADDRESS, 80)));
    connect(&engine, "bridge", &one, json!({}));
    assert!(ask(engine.pid(&one), (OtherHost::ADDRESS, 80)).is_ok(), "another network leads out");
}

#[test]
fn from_a_trusted_interface_published_ports_are_reached_at_the_containers_own_addresses() {
    let mut engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    let route = format!("ip route add 10.80.0.0/12 via {}", OtherHost::ENGINE);
    let _ = host::in_network_of(outside.pid(), &["sh", "-ec", &route]);
    let trusted =
        |names: &str| json!({ "Options": { "com.docker.network.bridge.trusted_host_interfaces": names } });
    network(&engine, "trusting", "10.80.0.0/24", trusted("nosuch:cable0"));
    network(&engine, "other", "10.81.0.0/24", trusted("nosuch"));
    let of_loopback = |network: &str, port: &str| {
        let ports = json!({ "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": port }] });
        merged(within(network), json!({ "HostConfig": { "PortBindings": ports } }))
    };
    let (web, apart) =
        (engine.run(&of_loopback("trusting", "18080")), engine.run(&of_loopback("other", "18081")));
    let _servers = [80, 81].map(|port| Servers::start(engine.pid(&web), port, "web"));
    let _others = Servers::start(engine.pid(&apart), 80, "apart");
    let (at, apart_at) = (address(&engine, &web, "trusting"), address(&engine, &apart, "other"));
    for turn in 0..2 {
        let answer = ask(outside.pid(), (at, 80)).ok();
        assert_eq!(answer, Some(format!("web {}", OtherHost::ADDRESS)), "{turn}");
        assert!(unreachable(outside.pid(), (at, 81)), "it is not published");
        assert!(unreachable(outside.pid(), (apart_at, 80)), "its network trusts another interface");
        assert!(unreachable(engine.pid(&apart), (at, 80)), "another network is no such interface");
        assert!(unreachable(outside.pid(), (OtherHost::ENGINE, 18080)), "it is published at the loopback");
        engine.daemon.replace_daemon();
    }
    let _ = engine.post(&format!("/containers/{web}/stop?t=0")).expect(204);
    let rules = host::rules_of(engine.daemon.network_pid());
    assert!(!rules.iter().any(|rule| rule.contains("cable0")), "{rules:?}");
}

#[test]
fn outbound_connections_take_the_hosts_address_that_a_network_names() {
    let engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    let _servers = Servers::start(outside.pid(), 80, "outside");
    let second = "198.51.100.77";
    let command = format!("ip addr add {second}/24 dev cable0");
    let _ = host::in_network_of(engine.daemon.network_pid(), &["sh", "-ec", &command]);
    network(
        &engine,
        "named",
        "10.80.0.0/24",
        json!({ "Options": { "com.docker.network.host_ipv4": second } }),
    );
    network(&engine, "plain", "10.81.0.0/24", json!({}));
    for (network, source) in [("named", second), ("plain", "198.51.100.1")] {
        let seen = ask(engine.pid(&engine.run(&within(network))), (OtherHost::ADDRESS, 80)).ok();
        assert_eq!(seen, Some(format!("outside {source}")), "{network}");
    }
}

#[test]
fn ports_are_free_when_a_kill_or_a_wait_is_answered() {
    let engine = Today::start();
    network(&engine, "a", "10.80.0.0/24", json!({}));
    for turn in 0..8 {
        let web = engine.run(&publishing("a"));
        let path =
            if turn % 2 == 0 { format!("/containers/{web}/kill") } else { format!("/containers/{web}/wait") };
        if turn % 2 == 1 {
            let process = i32::try_from(engine.pid(&web)).ok().and_then(rustix::process::Pid::from_raw);
            let process = process.expect("a process");
            let waiting = std::thread::scope(|scope| {
                let waiting = scope.spawn(|| engine.post(&path).status());
                rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it runs");
                waiting.join().expect("an answer")
            });
            assert_eq!(waiting, 200);
        } else {
            let _ = engine.post(&path).expect(204);
        }
        let bound = other_host::inside(engine.daemon.network_pid(), || {
            std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 18080)).map(drop)
        });
        assert!(bound.is_ok(), "turn {turn}: {bound:?}");
    }
}

#[test]
fn networks_need_no_default_bridge() {
    let mut engine = Today::start_with(&["--bridge=none"]);
    let outside = OtherHost::beside(&engine.daemon);
    let rules = |engine: &Today| host::rules_of(engine.daemon.network_pid());
    assert!(rules(&engine).is_empty(), "nothing is made before it is needed");
    for (name, subnet) in [("a", "10.80.0.0/24"), ("b", "10.81.0.0/24")] {
        network(&engine, name, subnet, json!({}));
    }
    let (web, other) = (engine.run(&publishing("a")), engine.run(&within("b")));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let at = address(&engine, &web, "a");
    for _ in 0..2 {
        assert!(ask(outside.pid(), (OtherHost::ENGINE, 18080)).is_ok(), "by the published port");
        assert!(unreachable(engine.pid(&other), (at, 80)), "networks are apart");
        assert!(ask(engine.pid(&other), (OtherHost::ENGINE, 18080)).is_ok());
        engine.daemon.replace_daemon();
    }
    disconnect(&engine, "a", &web);
    assert!(unreachable(outside.pid(), (OtherHost::ENGINE, 18080)), "in no network");
    let alone = engine.daemon.output(&sh("ip -o link | wc -l"));
    assert_eq!(alone.stdout, "1\n", "the default network has a loopback");
    for container in [&web, &other] {
        let _ = engine.delete(&format!("/containers/{container}?force=1")).expect(204);
    }
    let _ = engine.post("/networks/prune").expect(200);
    // A daemon that finds none of them takes away what was for them.
    engine.daemon.replace_daemon();
    assert!(rules(&engine).is_empty(), "{:?}", rules(&engine));
}

#[test]
fn without_a_relay_a_port_at_an_address_of_ipv6_needs_a_container_that_has_one() {
    let engine = Today::start_with(&["--userland-proxy=false"]);
    network(&engine, "a", "10.80.0.0/24", json!({}));
    let at = |address: &str| {
        let ports = json!({ "80/tcp": [{ "HostIp": address, "HostPort": "18080" }] });
        engine.create(&merged(within("a"), json!({ "HostConfig": { "PortBindings": ports } })))
    };
    for address in ["::", "::1"] {
        let answer = engine.post(&format!("/containers/{}/start", at(address))).expect(400);
        assert!(answer.text().contains(&format!("cannot publish a port at {address}")), "{}", answer.text());
    }
    let container = at("");
    engine.start(&container);
    let ports = engine.inspect(&container)["NetworkSettings"]["Ports"].clone();
    assert_eq!(ports, json!({ "80/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "18080" }] }));
}
