//! Bridges of networks that are gone: out of use at once, taken by the next network or removed.

use berth_network::{BridgeChoice, InterfaceAddress, Network, Options};

use crate::world::*;

const ADDRESS: InterfaceAddress =
    InterfaceAddress { address: std::net::Ipv4Addr::new(10, 7, 0, 1), prefix_length: 24 };

/// A network of one name and one address.
fn second() -> Options {
    let bridge = BridgeChoice::Own { name: SECOND.to_owned(), address: Some(ADDRESS) };
    Options { bridge, ..options() }
}

fn links() -> String {
    run("ip", "-o link").0
}

/// The number of the bridge of the second network.
fn index() -> String {
    let text = run("ip", &format!("-o link show {SECOND}")).0;
    text.split(':').next().expect("a number").to_owned()
}

fn make(first: &Network) -> Network {
    first.make_beside(&second()).expect("made")
}

#[test]
fn the_next_network_takes_the_bridge_and_without_one_it_goes() {
    on_a_host(|_| {
        let first = Network::open(&options(), Vec::new()).expect("open");
        let before = links();
        let mut network = make(&first);
        let fresh = run("ip", &format!("-d link show {SECOND}")).0;
        // A bridge is checked for a moment before it is used again.
        let is_taken_again = (0..100).any(|_| {
            let last = index();
            network.remove().expect("removed");
            assert!(!links().contains(SECOND), "the name is free");
            assert!(!run("ip", "-4 addr").0.contains("10.7.0.1"), "the address is free");
            assert!(!run("ip", "route").0.contains("10.7.0.0"), "nothing leads there");
            network = make(&first);
            index() == last
        });
        assert!(is_taken_again);
        let volatile = ["gc_timer", "tcn_timer", "hello_timer", "topology_change_timer"];
        let lasting = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().skip(1).collect();
            let pairs = words.windows(2).filter(|pair| !volatile.contains(&pair[0]));
            pairs
                .map(|pair| pair[0].to_owned())
                .filter(|word| word.parse::<f64>().is_err())
                .collect::<Vec<_>>()
        };
        let again = run("ip", &format!("-d link show {SECOND}")).0;
        assert_eq!(lasting(&again), lasting(&fresh), "as a new one");
        let web = Container::start(&network, 1, &["8080:80"]);
        serve(&web.namespace, 80);
        assert_eq!(ask(HOST, 8080), Ok(HOST.to_string()));
        assert_eq!(web.gateway(), ADDRESS.address);
        network.disconnect(&web.id).expect("disconnected");
        drop(web);
        network.remove().expect("removed");
        eventually("the bridge goes", || links().lines().count() == before.lines().count());
    });
}

#[test]
fn a_bridge_that_somebody_has_changed_is_never_taken_again() {
    for change in [
        format!("link set {SECOND} type bridge ageing_time 100"),
        format!("link set {SECOND} alias mine"),
        format!("link add other0 type veth peer name other1; ip link set other0 master {SECOND}"),
    ] {
        on_a_host(move |_| {
            let first = Network::open(&options(), Vec::new()).expect("open");
            let network = make(&first);
            let changed = index();
            let whole = format!("ip {change}");
            let output = std::process::Command::new("sh").args(["-c", &whole]).output().expect("sh");
            assert!(output.status.success(), "{whole}: {}", String::from_utf8_lossy(&output.stderr));
            network.remove().expect("removed");
            eventually("the bridge goes", || {
                let network = make(&first);
                let next = index();
                assert_ne!(next, changed, "{change}");
                network.remove().expect("removed");
                !links().contains(&format!("bs{changed}"))
            });
        });
    }
}

#[test]
fn what_a_killed_daemon_leaves_goes_with_the_next() {
    on_a_host(|_| {
        let spares = || links().matches(": bs").count();
        let first = Network::open(&options(), Vec::new()).expect("open");
        // The daemon itself removes it a moment later, perhaps before this has looked.
        let mut network = None;
        eventually("a bridge that is not used any more", || {
            network.insert(make(&first)).remove().expect("removed");
            spares() == 1
        });
        // Nothing of it ends.
        std::mem::forget((network, first));
        let next = Network::open(&options(), Vec::new()).expect("open");
        assert_eq!(spares(), 0, "{}", links());
        make(&next).remove().expect("removed");
        drop(next);
        assert_eq!(spares(), 0, "a daemon that ends removes it");
    });
}
