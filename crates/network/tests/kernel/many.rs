//! Many containers: more than a bridge has ports, and many at once.

use std::collections::HashSet;
use std::fmt::Write;
use std::os::fd::AsFd;

use berth_network::inside::Configurer;
use berth_network::{Network, Options};

use crate::world::*;

/// Ports of the bridge and routed interfaces are one network to its containers.
fn reach_each_other(world: &World, containers: &[&Container]) {
    for server in containers {
        serve(&server.namespace, 80);
    }
    for client in containers {
        for server in containers.iter().filter(|server| server.id != client.id) {
            let seen = client.namespace.run(|| ask(server.address(), 80));
            assert_eq!(seen, Ok(client.address().to_string()));
        }
        let seen = client.namespace.run(|| ask(HOST, 8080));
        assert_eq!(seen, Ok(client.gateway().to_string()));
    }
    assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()));
    assert_eq!(world.outside.run(|| ask(HOST, 8081)), Ok(OUTSIDE.to_string()));
}

#[test]
fn a_full_bridge_is_no_wall() {
    on_a_host(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let port = Container::start(&network, 1, &["8080:80"]);
        // Both ends of each pair are ports: 1,022 more, and the bridge is full.
        let mut batch = String::new();
        for number in 0..511 {
            writeln!(batch, "link add a{number} master {BRIDGE} type veth peer name b{number}")
                .expect("text");
            writeln!(batch, "link set b{number} master {BRIDGE}").expect("text");
        }
        let file = std::env::temp_dir().join(format!("berth-batch-{}", std::process::id()));
        std::fs::write(&file, batch).expect("written");
        ip(&format!("-batch {}", file.display()));
        std::fs::remove_file(&file).expect("removed");
        let beyond = Container::start(&network, 2, &["8081:80"]);
        let shown = run("ip", &format!("-o link show {}", beyond.endpoint.host_interface)).0;
        assert!(!shown.contains("master"), "{shown}");
        for interface in [BRIDGE, &beyond.endpoint.host_interface] {
            let path = format!("/proc/sys/net/ipv4/neigh/{interface}/proxy_delay");
            assert_eq!(std::fs::read_to_string(path).expect("a setting").trim(), "0", "{interface}");
        }
        reach_each_other(world, &[&port, &beyond]);
        network.disconnect(&beyond.id).expect("disconnected");
        let rules = run("nft", "list set ip berth-brtest0 interfaces").0;
        assert!(!rules.contains(&beyond.endpoint.host_interface), "{rules}");
    });
}

#[test]
fn ports_and_routed_interfaces_live_together_across_daemons() {
    on_a_host(|world| {
        let isolated = Options { inter_container_communication: false, ..options() };
        let network = Network::open(&isolated, Vec::new()).expect("open");
        let routed = Container::start(&network, 1, &["8080:80"]);
        let other = Container::start(&network, 2, &[]);
        let known = vec![routed.endpoint.clone(), other.endpoint.clone()];
        drop(network);
        let network = Network::open(&options(), known).expect("open again");
        let port = Container::start(&network, 3, &["8081:80"]);
        reach_each_other(world, &[&routed, &other, &port]);
    });
}

#[test]
fn many_at_once_meet_nowhere() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let before = run("ip", "-o link").0.lines().count();
        let start = |thread: u8| {
            let mut kept = Vec::new();
            for number in 0..20 {
                let container = thread * 20 + number;
                let namespace = Namespace::new();
                let endpoint = network.reserve(&request(container, &["0:80", "0:53/udp"])).expect("reserved");
                network.connect(&endpoint.container, namespace.as_fd(), Configurer::Init).expect("connected");
                if number % 2 == 0 {
                    network.disconnect(&endpoint.container).expect("disconnected");
                } else {
                    kept.push((namespace, endpoint));
                }
            }
            kept
        };
        let kept: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || start(thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("the thread ends well")).collect()
        });
        assert_eq!(kept.len(), 80);
        let addresses: HashSet<_> =
            kept.iter().map(|(_, endpoint)| endpoint.ipv4.map(|it| it.address)).collect();
        let ports: HashSet<_> = kept
            .iter()
            .flat_map(|(_, endpoint)| &endpoint.ports)
            .map(|port| (port.container.protocol, port.host_port))
            .collect();
        assert_eq!((addresses.len(), ports.len()), (80, 160));
        for (_, endpoint) in &kept {
            network.disconnect(&endpoint.container).expect("disconnected");
        }
        drop(kept);
        eventually("the interfaces go", || run("ip", "-o link").0.lines().count() == before);
        let rules = run("nft", "list ruleset").0;
        assert!(!rules.contains("tcp . "), "{rules}");
    });
}
