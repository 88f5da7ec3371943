//! A host that drops what it forwards, as dockerd sets it up.

use berth_network::{BridgeChoice, Network, Options};

use crate::world::*;

fn check(world: &World, network: &Network) {
    let web = Container::start(network, 1, &["8080:80"]);
    let client = Container::start(network, 2, &[]);
    serve(&web.namespace, 80);
    assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()));
    assert_eq!(client.namespace.run(|| ask(OUTSIDE, 80)), Ok(HOST.to_string()));
    assert_eq!(client.namespace.run(|| ask(web.address(), 80)), Ok(client.address().to_string()));
    for container in [web, client] {
        network.disconnect(&container.id).expect("disconnected");
    }
}

#[test]
fn containers_pass_where_iptables_drops() {
    on_a_host(|world| {
        serve(&world.outside, 80);
        assert!(run("iptables", "-P FORWARD DROP").1);
        let before = run("iptables", "-S").0;
        let network = Network::open(&options(), Vec::new()).expect("open");
        check(world, &network);
        drop(network);
        // Opening once more does not add the rules once more.
        let network = Network::open(&options(), Vec::new()).expect("open again");
        let rules = run("iptables", "-S FORWARD").0;
        assert_eq!(rules.lines().count(), 3, "{rules}");
        network.remove().expect("removed");
        assert_eq!(run("iptables", "-S").0, before);
    });
}

/// The rules in the host's chain, each with the number that it has as long as it is there.
fn listed() -> Vec<String> {
    let rules = run("nft", "--stateless --handle list chain ip filter FORWARD").0;
    rules.lines().filter(|line| line.contains("handle")).map(str::to_owned).collect()
}

#[test]
fn two_rules_are_enough_for_all_networks() {
    on_a_host(|world| {
        serve(&world.outside, 80);
        assert!(run("iptables", "-P FORWARD DROP").1);
        let first = Network::open(&options(), Vec::new()).expect("open");
        let of_first = listed();
        let further: Vec<_> = (1..=20)
            .map(|number| {
                let bridge = BridgeChoice::Own { name: format!("brtest{number}"), address: None };
                first.make_beside(&Options { bridge, ..options() }).expect("made")
            })
            .collect();
        assert_eq!(listed(), of_first);
        let last = further.last().expect("a network");
        check(world, last);
        let beside = Options { inter_container_communication: false, ..options() };
        let bridge = BridgeChoice::Own { name: "brtest21".to_owned(), address: None };
        let of_interfaces = first.make_beside(&Options { bridge, ..beside }).expect("made");
        let client = Container::start(&of_interfaces, 9, &[]);
        assert_eq!(client.namespace.run(|| ask(OUTSIDE, 80)), Ok(HOST.to_string()));
        of_interfaces.disconnect(&client.id).expect("disconnected");
        for network in further.iter().chain([&of_interfaces]) {
            network.remove().expect("removed");
        }
        assert_eq!(listed(), of_first);
        first.remove().expect("removed");
        assert_eq!(run("iptables", "-S FORWARD").0, "-P FORWARD DROP\n");
    });
}

#[test]
fn a_bridge_of_somebody_else_has_rules_of_its_own() {
    on_a_host(|world| {
        serve(&world.outside, 80);
        assert!(run("iptables", "-P FORWARD DROP").1);
        let first = Network::open(&options(), Vec::new()).expect("open");
        let of_first = listed();
        ip(&format!("link add {SECOND} type bridge"));
        let address = "10.77.0.1/24".parse().ok();
        let bridge = BridgeChoice::Shared { name: SECOND.to_owned(), address, kept: Vec::new() };
        let second = first.make_beside(&Options { bridge, ..options() }).expect("made");
        let of_both = listed();
        assert_eq!(of_both.len(), of_first.len() + 2, "{of_both:?}");
        assert!(of_first.iter().all(|rule| of_both.contains(rule)), "{of_first:?} {of_both:?}");
        check(world, &second);
        second.remove().expect("removed");
        assert_eq!(listed(), of_first);
        first.remove().expect("removed");
        assert_eq!(run("iptables", "-S FORWARD").0, "-P FORWARD DROP\n");
    });
}

#[test]
fn a_bridge_that_an_earlier_release_made_passes_too() {
    on_a_host(|world| {
        serve(&world.outside, 80);
        assert!(run("iptables", "-P FORWARD DROP").1);
        let network = Network::open(&options(), Vec::new()).expect("open");
        drop(network);
        ip(&format!("link set {BRIDGE} group 0"));
        for rule in [
            "-A FORWARD -i brtest0 -m comment --comment x -j ACCEPT",
            "-A FORWARD -o brtest0 -m comment --comment x -j ACCEPT",
        ] {
            assert!(run("iptables", rule).1);
        }
        let network = Network::open(&options(), Vec::new()).expect("open again");
        for rule in ["-D FORWARD 1", "-D FORWARD 1"] {
            assert!(run("iptables", rule).1);
        }
        check(world, &network);
        network.remove().expect("removed");
    });
}

#[test]
fn rules_of_the_host_keep_their_say() {
    on_a_host(|world| {
        serve(&world.outside, 80);
        for rule in ["-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER"] {
            assert!(run("iptables", rule).1);
        }
        let network = Network::open(&options(), Vec::new()).expect("open");
        check(world, &network);
        assert!(run("iptables", "-A DOCKER-USER -i up0 -p tcp -j DROP").1);
        let web = Container::start(&network, 3, &["8080:80"]);
        serve(&web.namespace, 80);
        assert!(world.outside.run(|| unreachable(HOST, 8080)));
        assert_eq!(ask(HOST, 8080), Ok(HOST.to_string()));
        let rules = run("iptables", "-S FORWARD").0;
        assert!(rules.starts_with("-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n"), "{rules}");
        network.remove().expect("removed");
        let rules = run("iptables", "-S FORWARD").0;
        assert_eq!(rules, "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n");
    });
}

#[test]
fn an_engine_that_starts_later_is_noticed() {
    on_a_host(|world| {
        serve(&world.outside, 80);
        let network = Network::open(&options(), Vec::new()).expect("open");
        check(world, &network);
        assert!(run("iptables", "-P FORWARD DROP").1);
        check(world, &network);
    });
}

#[test]
fn containers_that_run_are_not_cut_off_by_others() {
    on_a_host(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let web = Container::start(&network, 1, &["8080:80", "5353:53/udp"]);
        serve(&web.namespace, 80);
        let reachable = || world.outside.run(|| reaches(HOST, 8080, false));
        assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()));
        let list = |family| run("nft", &format!("--stateless list table {family} berth-brtest0")).0;
        let rules = || list("ip") + &list("bridge");
        let whole = rules();
        for (program, change) in [
            ("iptables", "-P FORWARD DROP"),
            ("iptables", "-F FORWARD"),
            ("nft", "flush ruleset"),
            ("nft", "delete table ip berth-brtest0"),
            ("nft", "flush table ip berth-brtest0"),
            ("nft", "delete table bridge berth-brtest0"),
            ("nft", "flush table bridge berth-brtest0"),
        ] {
            assert!(run(program, change).1, "{program} {change}");
            eventually(&format!("{change}: the container is reached"), || reachable() && rules() == whole);
        }
        assert!(run("iptables", "-P FORWARD DROP").1);
        let host_rules = || run("iptables", "-S FORWARD").0.lines().count();
        eventually("rules where they are needed", || host_rules() == 3);
        assert!(run("iptables", "-P FORWARD ACCEPT").1);
        eventually("none where not", || host_rules() == 1);
        network.disconnect(&web.id).expect("disconnected");
        assert!(!rules().contains("8080"), "{}", rules());
        network.remove().expect("removed");
        for family in ["ip", "bridge"] {
            assert!(!run("nft", &format!("list table {family} berth-brtest0")).1);
        }
    });
}

#[test]
fn another_table_that_drops_is_reported() {
    on_a_host(|_| {
        assert!(run("nft", "add table inet strict").1);
        let chain = "add chain inet strict through { type filter hook forward priority 0 ; policy drop ; }";
        assert!(run("nft", chain).1);
        let network = Network::open(&options(), Vec::new()).expect("open");
        assert_eq!(
            network.warnings(),
            [
                "the chain through of the nftables table strict drops forwarded packets; let those pass there that match, in the words of iptables, -m devgroup --src-group 0xbc000000/0xfc000000 or -m devgroup --dst-group 0xbc000000/0xfc000000"
            ]
        );
    });
}
