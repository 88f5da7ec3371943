//! Several networks on one host: apart from each other, ports and all.

use std::collections::HashMap;
use std::os::fd::AsFd;

use berth_network::inside::Configurer;
use berth_network::{BridgeChoice, Network, Options, Request};

use crate::world::*;

fn second() -> Options {
    Options { bridge: BridgeChoice::Own { name: SECOND.to_owned(), address: None }, ..options() }
}

#[test]
fn networks_reach_each_other_by_published_ports_alone() {
    for communicate in [true, false] {
        on_a_host(move |world| {
            let isolated = Options { inter_container_communication: communicate, ..second() };
            let first = Network::open(&options(), Vec::new()).expect("open");
            let second = open_beside(&first, &isolated, Vec::new()).expect("open");
            let web = Container::start(&first, 1, &["8080:80"]);
            let other = Container::start(&second, 2, &["8081:80"]);
            let neighbour = Container::start(&second, 3, &[]);
            for container in [&web, &other] {
                serve(&container.namespace, 80);
                serve(&container.namespace, 81);
            }
            let (web_at, other_at) = (web.address(), other.address());
            assert!(other.namespace.run(|| unreachable(web_at, 80)), "from the second to the first");
            assert!(web.namespace.run(|| unreachable(other_at, 80)), "from the first to the second");
            let reached = neighbour.namespace.run(|| reaches(other_at, 81, communicate));
            assert_eq!(reached, communicate, "within the second");
            for (client, port, server) in
                [(&other, 8080, &web), (&web, 8081, &other), (&neighbour, 8081, &other)]
            {
                let seen = client.namespace.run(|| ask(HOST, port));
                assert_eq!(seen, Ok(server.gateway().to_string()), "by the host's address");
            }
            for (port, container) in [(8080, &web), (8081, &other)] {
                assert_eq!(world.outside.run(|| ask(HOST, port)), Ok(OUTSIDE.to_string()));
                let loopback = ask(std::net::Ipv4Addr::LOCALHOST, port);
                assert_eq!(loopback, Ok(container.gateway().to_string()));
            }
            serve(&world.outside, 80);
            for container in [&web, &neighbour] {
                assert_eq!(container.namespace.run(|| ask(OUTSIDE, 80)), Ok(HOST.to_string()));
            }
        });
    }
}

/// Two names of bridges whose networks' interfaces have one group: the lower three bytes of their FNV-1a are the same.
fn names_of_one_group() -> [String; 2] {
    let group = |name: &str| {
        let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        name.bytes().fold(0x811c_9dc5, step) & 0x00ff_ffff
    };
    let mut known = HashMap::new();
    let mut names = (0..100_000).map(|number| format!("brg{number}"));
    let met = names.find_map(|name| known.insert(group(&name), name.clone()).map(|other| [other, name]));
    met.expect("two of a hundred thousand")
}

#[test]
fn networks_whose_interfaces_have_one_group_are_apart() {
    on_a_host(|_| {
        let first = Network::open(&options(), Vec::new()).expect("open");
        let networks = names_of_one_group().map(|name| {
            let bridge = BridgeChoice::Own { name, address: None };
            first.make_beside(&Options { bridge, ..options() }).expect("made")
        });
        let web = Container::start(&networks[0], 1, &[]);
        let client = Container::start(&networks[1], 2, &[]);
        serve(&web.namespace, 80);
        let address = web.address();
        assert!(reaches(address, 80, true), "from the host");
        assert!(client.namespace.run(|| unreachable(address, 80)), "from the other network");
    });
}

#[test]
fn a_port_of_the_host_belongs_to_one_network() {
    on_a_host(|_| {
        let first = Network::open(&options(), Vec::new()).expect("open");
        let second = open_beside(&first, &second(), Vec::new()).expect("open");
        let web = Container::start(&first, 1, &["8080:80"]);
        let error = second.reserve(&request(2, &["8080:80"])).expect_err("taken");
        assert_eq!(error.to_string(), "Bind for 0.0.0.0:8080 failed: port is already allocated");
        first.disconnect(&web.id).expect("disconnected");
        second.reserve(&request(2, &["8080:80"])).expect("free");
    });
}

#[test]
fn a_container_has_an_endpoint_in_each_network() {
    on_a_host(|_| {
        let first = Network::open(&options(), Vec::new()).expect("open");
        let second = open_beside(&first, &second(), Vec::new()).expect("open");
        let both = Container::start(&first, 1, &[]);
        let request = Request { interface_name: "eth1".to_owned(), ..request(1, &[]) };
        let endpoint = second.reserve(&request).expect("reserved");
        assert_ne!(endpoint.host_interface, both.endpoint.host_interface);
        second.connect(&both.id, both.namespace.as_fd(), Configurer::Init).expect("connected");
        configure_without_route(&both.namespace, &endpoint);
        let peers =
            [(&first, 2), (&second, 3)].map(|(network, number)| Container::start(network, number, &[]));
        for peer in &peers {
            serve(&peer.namespace, 80);
        }
        let ask_both = || peers.each_ref().map(|peer| both.namespace.run(|| ask(peer.address(), 80)));
        let own = [both.address().to_string(), endpoint.ipv4.expect("an address").address.to_string()];
        assert_eq!(ask_both(), own.map(Ok));
        second.disconnect(&both.id).expect("disconnected");
        let interfaces = || both.namespace.run(|| run("ip", "-o link").0);
        eventually("the interface goes", || !interfaces().contains("eth1"));
        assert_eq!(ask_both()[0], Ok(both.address().to_string()), "the other one stays");
        assert!(first.endpoint(&both.id).is_some());
        assert!(second.endpoint(&both.id).is_none());
    });
}

#[test]
fn a_network_that_is_removed_leaves_nothing_of_its_own() {
    on_a_host(|_| {
        assert!(run("iptables", "-P FORWARD DROP").1);
        let first = Network::open(&options(), Vec::new()).expect("open");
        let state = || {
            let rules = ["ip", "bridge"]
                .map(|family| run("nft", &format!("--stateless list table {family} berth-brtest0")).0);
            (rules, run("iptables", "-S FORWARD").0, run("ip", "-4 -o addr").0)
        };
        let before = state();
        let second = open_beside(&first, &second(), Vec::new()).expect("open");
        let container = Container::start(&second, 1, &["8080:80"]);
        assert_ne!(state(), before);
        second.disconnect(&container.id).expect("disconnected");
        second.remove().expect("removed");
        assert_eq!(state(), before);
        let again = open_beside(&first, &self::second(), Vec::new()).expect("open");
        let web = Container::start(&again, 2, &["8080:80"]);
        serve(&web.namespace, 80);
        assert_eq!(ask(HOST, 8080), Ok(HOST.to_string()));
    });
}

#[test]
fn rules_of_all_networks_come_back_when_somebody_removes_them() {
    on_a_host(|world| {
        let first = Network::open(&options(), Vec::new()).expect("open");
        let second = open_beside(&first, &second(), Vec::new()).expect("open");
        let web = Container::start(&second, 1, &["8080:80"]);
        serve(&web.namespace, 80);
        assert!(run("nft", "flush ruleset").1);
        eventually("the container is reached", || world.outside.run(|| reaches(HOST, 8080, false)));
        let known = vec![web.endpoint.clone()];
        drop((second, first));
        let first = Network::open(&options(), Vec::new()).expect("open again");
        let second = open_beside(&first, &self::second(), known).expect("open again");
        assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()));
        assert_eq!(second.endpoint(&web.id), Some(web.endpoint.clone()));
    });
}
