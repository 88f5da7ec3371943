//! Each step fails once, and everything before it is undone.

use std::os::fd::AsFd;

use berth_network::inside::Configurer;
use berth_network::{Error, Faults, Injected, Network, Options, Step};

use crate::world::*;

/// The steps of a start.
const STARTING: [Step; 7] = [
    Step::TakeAddress,
    Step::HoldPorts,
    Step::CreateInterface,
    Step::RouteInterface,
    Step::CarryPackets,
    Step::OpenFirewall,
    Step::ForgetConnections,
];

/// What the host shows: names of interfaces, addresses, routes, the bridge's neighbours,
/// firewall. Whether an interface has a
/// carrier changes a moment later.
fn host() -> String {
    let name = |line: &str| line.split(':').nth(1).unwrap_or_default().to_owned();
    let interfaces: Vec<_> = run("ip", "-o link").0.lines().map(name).collect();
    let addresses = run("ip", "-4 -o addr").0;
    let routes = run("ip", "route").0.replace("linkdown ", "");
    let neighbours = run("ip", &format!("neigh show dev {BRIDGE}")).0;
    [interfaces.join(" "), addresses, routes, neighbours, run("nft", "list ruleset").0].join("\n")
}

/// A host on which every step has something to do: iptables drops what is forwarded.
fn dropping_host() {
    assert!(run("iptables", "-P FORWARD DROP").1);
}

#[test]
fn opening_leaves_nothing_behind_a_failure() {
    let mut met = Vec::new();
    for step in Step::ALL {
        let (tell, told) = std::sync::mpsc::channel();
        on_a_host(move |_| {
            dropping_host();
            let before = host();
            let faults = Faults::default();
            faults.fail_once(step);
            match Network::open_with(&options(), Vec::new(), faults) {
                Ok(_) => tell.send(false).expect("somebody waits"),
                Err(error) => {
                    assert!(matches!(error, Error::Injected(Injected(met)) if met == step), "{error}");
                    assert_eq!(host(), before, "after {step:?}");
                    tell.send(true).expect("somebody waits");
                }
            }
        });
        if told.recv().expect("told") {
            met.push(step);
        }
    }
    assert_eq!(met, Step::ALL[..8], "the steps of opening");
}

#[test]
fn starting_leaves_nothing_behind_a_failure() {
    for communicate in [true, false] {
        on_a_host(move |_| {
            dropping_host();
            let faults = Faults::default();
            let options = Options { inter_container_communication: communicate, ..options() };
            let network = Network::open_with(&options, Vec::new(), faults.clone()).expect("open");
            let mut met = Vec::new();
            for step in STARTING {
                let namespace = Namespace::new();
                let before = host();
                faults.fail_once(step);
                let result = network.reserve(&request(1, &["8080:80", "5353:53/udp"])).and_then(|endpoint| {
                    network.connect(&endpoint.container, namespace.as_fd(), Configurer::Init)
                });
                // The engine's own undo of the reservation.
                network.disconnect(&id(1)).expect("disconnected");
                if let Err(error) = result {
                    assert!(matches!(error, Error::Injected(Injected(met)) if met == step), "{error}");
                    met.push(step);
                    assert_eq!(host(), before, "after {step:?}");
                } else {
                    assert_eq!(step, Step::RouteInterface, "only ports of the bridge need no route");
                    drop(namespace);
                    eventually("the interface goes", || host() == before);
                    faults.fail_once(Step::TakeAddress);
                    assert!(network.reserve(&request(9, &[])).is_err());
                }
                assert!(!faults.pending());
            }
            let expected = STARTING.len() - usize::from(communicate);
            assert_eq!(met.len(), expected);
            // All is free again.
            let container = Container::start(&network, 1, &["8080:80", "5353:53/udp"]);
            serve(&container.namespace, 80);
            assert_eq!(ask(HOST, 8080), Ok(HOST.to_string()));
        });
    }
}
