//! Opening the network: choosing, adopting, rebuilding, collecting what was left.

use std::os::fd::AsFd;

use berth_network::inside::Configurer;
use berth_network::{BridgeChoice, Error, Network, Options};

use crate::world::*;

fn with_address(address: &str) -> Options {
    let address = address.parse().ok();
    Options { bridge: BridgeChoice::Own { name: BRIDGE.to_owned(), address }, ..Options::default() }
}

#[test]
fn the_chosen_network_avoids_the_hosts_and_is_kept() {
    on_a_host(|world| {
        ip(&format!("route add 172.30.0.0/16 via {OUTSIDE}"));
        let network = Network::open(&options(), Vec::new()).expect("open");
        let (name, address) = (network.bridge().expect("a bridge"), network.ipv4().expect("an address"));
        assert_eq!((name, address.to_string().as_str()), (BRIDGE, "172.29.0.1/16"));
        drop(network);
        ip(&format!("route del 172.30.0.0/16 via {OUTSIDE}"));
        let network = Network::open(&options(), Vec::new()).expect("open again");
        assert_eq!(network.ipv4().expect("a bridge").to_string(), "172.29.0.1/16");
        network.remove().expect("removed");
        assert!(!run("ip", &format!("link show {BRIDGE}")).1);
        assert_eq!(run("nft", "list ruleset").0, "");
        serve(&world.outside, 1);
    });
}

#[test]
fn containers_run_on_under_a_new_daemon() {
    on_a_host(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let kept = Container::start(&network, 1, &["8080:80"]);
        let lost = Container::start(&network, 2, &["8081:80"]);
        serve(&kept.namespace, 80);
        drop(network);
        let before = run("nft", "list ruleset").0;
        // The rules were changed meanwhile, and an end of an interface was left.
        run("nft", "flush chain ip berth-brtest0 forward");
        ip(&format!("link set {} nomaster", kept.endpoint.host_interface));
        let network = Network::open(&options(), vec![kept.endpoint.clone()]).expect("open again");
        let after = run("nft", "list ruleset").0;
        assert!(before.contains("8081") && !after.contains("8081"), "{after}");
        let (address, interface) = (lost.address().to_string(), &lost.endpoint.host_interface);
        let is_kept = |line: &String| ![&address, interface, "8081"].iter().any(|gone| line.contains(*gone));
        assert_eq!(sorted(&after), sorted(&before).into_iter().filter(is_kept).collect::<Vec<_>>());
        assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()));
        assert!(
            !run("ip", &format!("link show {}", lost.endpoint.host_interface)).1,
            "an unknown interface goes"
        );
        let error = network.reserve(&request(3, &["8080:80"])).expect_err("taken");
        assert!(matches!(error, Error::PortAllocated(_)), "{error}");
        let third = Container::start(&network, 3, &["8081:80"]);
        assert_ne!(third.address(), kept.address());
        network.disconnect(&kept.id).expect("disconnected");
        assert!(unreachable(HOST, 8080));
    });
}

/// Elements of a map are listed in no order.
fn sorted(rules: &str) -> Vec<String> {
    let mut words: Vec<String> = rules
        .replace("elements = {", "\n")
        .replace(" }", "\n")
        .split([',', '\n'])
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect();
    words.sort();
    words
}

#[test]
fn a_bridge_that_vanished_comes_back_as_it_was() {
    on_a_host(|_| {
        let network = Network::open(&with_address("10.9.0.1/24"), Vec::new()).expect("open");
        let one = Container::start(&network, 1, &["8080:80"]);
        serve(&one.namespace, 80);
        drop(network);
        ip(&format!("link del {BRIDGE}"));
        let network = Network::open(&options(), vec![one.endpoint.clone()]).expect("open again");
        assert_eq!(network.ipv4().expect("a bridge").to_string(), "10.9.0.1/24");
        assert_eq!(ask(HOST, 8080), Ok(HOST.to_string()));
    });
}

#[test]
fn the_bridges_address_follows_the_flag_while_nobody_uses_it() {
    on_a_host(|_| {
        drop(Network::open(&with_address("10.9.0.1/24"), Vec::new()).expect("open"));
        let network = Network::open(&with_address("10.8.0.1/24"), Vec::new()).expect("open again");
        let shown = run("ip", &format!("-o addr show {BRIDGE}")).0;
        assert!(shown.contains("10.8.0.1/24") && !shown.contains("10.9.0.1"), "{shown}");
        let one = Container::start(&network, 1, &[]);
        drop(network);
        let error =
            Network::open(&with_address("10.7.0.1/24"), vec![one.endpoint.clone()]).expect_err("in use");
        assert!(matches!(error, Error::BridgeInUse { .. }), "{error}");
    });
}

#[test]
fn a_part_of_the_network_is_given_to_containers() {
    on_a_host(|_| {
        let options = Options { fixed_cidr: "10.9.0.128/30".parse().ok(), ..with_address("10.9.0.1/24") };
        let network = Network::open(&options, Vec::new()).expect("open");
        let mut given = Vec::new();
        for number in 1..=4 {
            given.push(
                network
                    .reserve(&request(number, &[]))
                    .expect("reserved")
                    .ipv4
                    .expect("an address")
                    .address
                    .octets()[3],
            );
        }
        assert_eq!(given, [128, 129, 130, 131]);
        let error = network.reserve(&request(5, &[])).expect_err("full");
        assert_eq!(error.to_string(), "no available ip addresses on network 10.9.0.128/30");
        network.disconnect(&id(2)).expect("disconnected");
        assert_eq!(
            network.reserve(&request(5, &[])).expect("reserved").ipv4.expect("an address").address.octets()
                [3],
            129
        );
    });
}

#[test]
fn a_bridge_of_others_is_used_as_it_is() {
    on_a_host(|_| {
        let existing =
            |name: &str| Options { bridge: BridgeChoice::Existing(name.to_owned()), ..Options::default() };
        assert!(matches!(Network::open(&existing("br9"), Vec::new()), Err(Error::NoBridge(_))));
        assert!(matches!(Network::open(&existing("up0"), Vec::new()), Err(Error::NotABridge(_))));
        ip("link add br9 type bridge");
        assert!(matches!(Network::open(&existing("br9"), Vec::new()), Err(Error::BridgeWithoutAddress(_))));
        ip("addr add 10.7.0.9/24 dev br9");
        let network = Network::open(&existing("br9"), Vec::new()).expect("open");
        let one = Container::start(&network, 1, &["8080:80"]);
        serve(&one.namespace, 80);
        assert_eq!(one.gateway().to_string(), "10.7.0.9");
        assert_eq!(ask(HOST, 8080), Ok(HOST.to_string()));
        network.disconnect(&one.id).expect("disconnected");
        network.remove().expect("removed");
        assert!(run("ip", "link show br9").1, "it is not the engine's to remove");
    });
}

#[test]
fn mtu_and_hardware_address_are_as_asked() {
    on_a_host(|_| {
        ip("link set up0 mtu 1400");
        let network = Network::open(&options(), Vec::new()).expect("open");
        let mac = "12:34:56:78:9a:bc".parse().ok();
        let endpoint = network.reserve(&berth_network::Request { mac, ..request(1, &[]) }).expect("reserved");
        let namespace = Namespace::new();
        network.connect(&endpoint.container, namespace.as_fd(), Configurer::Init).expect("connected");
        let shown = namespace.run(|| run("ip", "-o link show eth0").0);
        assert!(shown.contains("mtu 1400") && shown.contains("12:34:56:78:9a:bc"), "{shown}");
        drop(network);
        let network = Network::open(&Options { mtu: Some(1300), ..options() }, vec![endpoint]).expect("open");
        let two = Container::start(&network, 2, &[]);
        let shown = two.namespace.run(|| run("ip", "-o link show eth0").0);
        assert!(shown.contains("mtu 1300") && shown.contains("02:42:"), "{shown}");
    });
}

#[test]
fn forwarding_is_left_alone_when_asked() {
    on_a_host(|_| {
        let forwards = || std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("a switch");
        let network = Network::open(&Options { forward: false, ..options() }, Vec::new()).expect("open");
        assert_eq!((forwards().trim(), network.warnings().len()), ("0", 1));
        drop(network);
        let network = Network::open(&options(), Vec::new()).expect("open");
        assert_eq!((forwards().trim(), network.warnings().len()), ("1", 0));
    });
}

#[test]
fn without_masquerading_containers_keep_their_address() {
    on_a_host(|world| {
        let network = Network::open(&Options { masquerade: false, ..options() }, Vec::new()).expect("open");
        let one = Container::start(&network, 1, &[]);
        serve(&world.outside, 80);
        let address = one.address();
        world.outside.run(|| ip(&format!("route add {address}/32 via {HOST}")));
        assert_eq!(one.namespace.run(|| ask(OUTSIDE, 80)), Ok(address.to_string()));
    });
}

#[test]
fn networks_of_odd_sizes_work_as_well() {
    for address in ["10.9.5.1/22", "10.9.6.129/25", "10.0.0.1/8"] {
        on_a_host(move |world| {
            let network = Network::open(&with_address(address), Vec::new()).expect("open");
            let one = Container::start(&network, 1, &["8080:80"]);
            serve(&one.namespace, 80);
            serve(&world.outside, 80);
            assert_eq!(one.namespace.run(|| ask(OUTSIDE, 80)), Ok(HOST.to_string()), "{address}");
            let gateway = one.gateway();
            let seen = one.namespace.run(|| ask(HOST, 8080));
            assert_eq!(seen, Ok(gateway.to_string()), "{address}");
        });
    }
}
