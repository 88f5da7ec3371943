//! Containers on the bridge reach the host, each other and the outside.

use std::os::fd::AsFd;

use berth_network::inside::Configurer;
use berth_network::{BridgeChoice, Error, Network, Options};

use crate::world::*;

#[test]
fn containers_reach_host_each_other_and_outside() {
    on_a_host(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        assert_eq!(network.warnings(), [] as [String; 0]);
        let one = Container::start(&network, 1, &[]);
        let two = Container::start(&network, 2, &[]);
        serve(&two.namespace, 80);
        assert_eq!(ask(two.address(), 80), Ok(one.gateway().to_string()), "from the host");
        let seen = one.namespace.run(|| ask(two.address(), 80));
        assert_eq!(seen, Ok(one.address().to_string()), "from a container");
        serve(&world.outside, 80);
        let seen = one.namespace.run(|| ask(OUTSIDE, 80));
        assert_eq!(seen, Ok(HOST.to_string()), "outbound connections take the host's address");
        let shown = one.namespace.run(|| run("ip", "-o link show eth0").0);
        assert!(shown.contains(&one.endpoint.mac.to_string()), "{shown}");
        let shown = one.namespace.run(|| run("ip", "-6 addr show eth0").0);
        assert_eq!(shown, "", "no address of IPv6");
    });
}

#[test]
fn a_disconnected_container_leaves_nothing() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let before = (run("ip", "-o link").0, run("nft", "list ruleset").0, routes());
        let one = Container::start(&network, 1, &["8080:80", "127.0.0.1:0:53/udp"]);
        assert!(run("nft", "list ruleset").0.contains("8080"));
        network.disconnect(&one.id).expect("disconnected");
        network.disconnect(&one.id).expect("nothing to do");
        eventually("the interface goes", || !run("ip", "-o link").0.contains(&one.endpoint.host_interface));
        let after = (run("ip", "-o link").0, run("nft", "list ruleset").0, routes());
        assert_eq!(before.1, after.1);
        assert_eq!(before.2, after.2);
        assert_eq!(before.0.lines().count(), after.0.lines().count(), "{}", after.0);
        assert!(network.endpoint(&one.id).is_none());
    });
}

#[test]
fn a_second_endpoint_of_a_container_is_refused() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let one = Container::start(&network, 1, &[]);
        assert!(matches!(network.reserve(&request(1, &[])), Err(Error::Connected(_))));
        let again = network.connect(&one.id, one.namespace.as_fd(), Configurer::Init);
        assert!(matches!(again, Err(Error::Connected(_))), "{again:?}");
        let unknown = network.connect(&id(9), one.namespace.as_fd(), Configurer::Init);
        assert!(matches!(unknown, Err(Error::NotConnected(_))), "{unknown:?}");
    });
}

/// The host's routes; whether an interface has a carrier changes a moment later.
fn routes() -> String {
    run("ip", "route").0.replace("linkdown ", "")
}

#[test]
fn host_and_container_know_each_other_before_they_ask() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let one = Container::start(&network, 1, &[]);
        let mac = one.endpoint.mac.to_string();
        let known = run("ip", "neigh").0;
        assert!(known.contains(&format!("{} dev {BRIDGE} lladdr {mac}", one.address())), "{known}");
        let learned = run("bridge", &format!("fdb show dev {}", one.endpoint.host_interface)).0;
        assert!(learned.contains(&mac), "{learned}");
        let bridge = run("ip", &format!("-o link show {BRIDGE}")).0;
        let known = one.namespace.run(|| run("ip", "neigh").0);
        let gateway = known.split_once("lladdr ").map(|(_, rest)| &rest[..17]).expect("a neighbour");
        assert!(known.starts_with(&one.gateway().to_string()) && bridge.contains(gateway), "{known}");
    });
}

#[test]
fn a_namespace_that_lives_on_gets_a_new_interface() {
    on_a_host(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let first = Container::start(&network, 1, &["8080:80"]);
        serve(&first.namespace, 80);
        for _ in 0..3 {
            network.disconnect(&first.id).expect("disconnected");
            let endpoint = network.reserve(&request(1, &["8080:80"])).expect("reserved");
            network
                .connect(&endpoint.container, first.namespace.as_fd(), Configurer::Init)
                .expect("connected");
            configure(&first.namespace, &endpoint);
            assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()));
            let interfaces = first.namespace.run(|| run("ip", "-o link").0);
            assert_eq!(interfaces.lines().count(), 2, "{interfaces}");
        }
    });
}

#[test]
fn another_bridge_needs_the_containers_stopped() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let one = Container::start(&network, 1, &[]);
        let known = || vec![one.endpoint.clone()];
        drop(network);
        ip("link add other0 type bridge");
        ip("addr add 10.99.0.1/24 dev other0");
        for bridge in [BridgeChoice::Existing("other0".into()), BridgeChoice::None] {
            let options = Options { bridge, ..options() };
            let error = Network::open(&options, known()).expect_err("refused");
            assert!(
                matches!(error, Error::RunningElsewhere { address } if address == std::net::IpAddr::from(one.address())),
                "{error}"
            );
        }
        Network::open(&options(), known()).expect("the same bridge");
    });
}
