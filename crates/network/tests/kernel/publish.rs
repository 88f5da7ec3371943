//! Published ports, from everywhere and from nowhere else.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsFd;

use berth_network::inside::Configurer;
use berth_network::{Error, Network};

use crate::world::*;

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Runs the test with and without bridged packets passing the firewall, which another engine on
/// the host may turn on or off.
fn on_both_hosts(test: fn(&World)) {
    for passes in ["0", "1"] {
        on_a_host(move |world| {
            // A kernel without br_netfilter has no such switch and acts as with 0.
            let switch = "/proc/sys/net/bridge/bridge-nf-call-iptables";
            if std::path::Path::new(switch).exists() {
                std::fs::write(switch, passes).expect("root may write");
            }
            test(world);
        });
    }
}

#[test]
fn a_port_is_reached_from_everywhere() {
    on_both_hosts(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let web = Container::start(&network, 1, &["8080:80"]);
        let other = Container::start(&network, 2, &[]);
        serve(&web.namespace, 80);
        let gateway = web.gateway();
        assert_eq!(ask(LOCAL, 8080), Ok(gateway.to_string()), "127.0.0.1");
        assert_eq!(ask(HOST, 8080), Ok(HOST.to_string()), "the host's own address");
        assert_eq!(ask(gateway, 8080), Ok(gateway.to_string()), "the bridge's address");
        let seen = world.outside.run(|| ask(HOST, 8080));
        assert_eq!(seen, Ok(OUTSIDE.to_string()), "another host keeps its address");
        for address in [HOST, gateway] {
            let seen = other.namespace.run(|| ask(address, 8080));
            assert_eq!(seen, Ok(gateway.to_string()), "another container, through {address}");
            let seen = web.namespace.run(|| ask(address, 8080));
            assert_eq!(seen, Ok(gateway.to_string()), "the container itself, through {address}");
        }
        network.disconnect(&web.id).expect("disconnected");
        assert!(unreachable(LOCAL, 8080));
        assert!(world.outside.run(|| unreachable(HOST, 8080)));
    });
}

#[test]
fn a_port_of_one_address_is_not_reached_by_others() {
    on_both_hosts(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let web = Container::start(&network, 1, &["127.0.0.1:8080:80", "198.51.100.1:8081:80"]);
        let other = Container::start(&network, 2, &[]);
        serve(&web.namespace, 80);
        assert_eq!(ask(LOCAL, 8080), Ok(web.gateway().to_string()));
        assert!(unreachable(HOST, 8080));
        assert!(world.outside.run(|| unreachable(HOST, 8080)));
        assert!(other.namespace.run(|| unreachable(HOST, 8080)));
        assert_eq!(ask(HOST, 8081), Ok(HOST.to_string()));
        assert!(unreachable(LOCAL, 8081));
        assert_eq!(world.outside.run(|| ask(HOST, 8081)), Ok(OUTSIDE.to_string()));
        assert!(world.outside.run(|| unreachable(web.gateway(), 8081)));
    });
}

#[test]
fn neighbours_cannot_reach_around_what_is_published() {
    on_both_hosts(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let web = Container::start(&network, 1, &["127.0.0.1:8080:80", "8090:90"]);
        serve(&web.namespace, 80);
        serve(&web.namespace, 90);
        // A neighbour that routes to containers through this host, or sends 127.0.0.1 over the
        // wire, as one can whose own loopback has another address.
        let (address, gateway) = (web.address(), web.gateway());
        world.outside.run(|| {
            ip(&format!("route add {address}/32 via {HOST}"));
            ip("addr del 127.0.0.1/8 dev lo");
            ip(&format!("route add 127.0.0.1/32 via {HOST} src {OUTSIDE}"));
            std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").expect("root may write");
            assert!(unreachable(address, 80), "a port published on 127.0.0.1 only");
            assert!(unreachable(address, 90), "a container's own port");
            assert!(unreachable(LOCAL, 8080), "127.0.0.1 over the wire");
            assert_eq!(ask(HOST, 8090), Ok(OUTSIDE.to_string()));
        });
        // The host's own servers on 127.0.0.1 stay its own.
        let listener = TcpListener::bind((LOCAL, 7000)).expect("a listener");
        web.namespace.run(|| {
            ip("addr del 127.0.0.1/8 dev lo");
            ip(&format!("route add 127.0.0.1/32 via {gateway} src {address}"));
            std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").expect("root may write");
            assert!(unreachable(LOCAL, 7000));
            assert!(unreachable(LOCAL, 8080));
        });
        drop(listener);
    });
}

#[test]
fn a_port_is_given_once_and_again_when_free() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let web = Container::start(&network, 1, &["8080:80"]);
        let error = network.reserve(&request(2, &["8080:80"])).expect_err("taken");
        assert_eq!(error.to_string(), "Bind for 0.0.0.0:8080 failed: port is already allocated");
        assert!(network.endpoint(&id(2)).is_none());
        let before = web.address();
        network.disconnect(&web.id).expect("disconnected");
        let again = Container::start(&network, 2, &["8080:80"]);
        assert_ne!(again.address(), before, "an address is not used again at once");
        assert_eq!(again.endpoint.ports[0].host_port, 8080);
    });
}

#[test]
fn several_ports_and_protocols_lead_where_they_should() {
    on_a_host(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let one = Container::start(&network, 1, &["8080:80", "8081:80", "53:53/udp", "53:80/tcp"]);
        serve(&one.namespace, 80);
        serve_udp(&one.namespace, 53, "one");
        let seen = world.outside.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            (ask(HOST, 8080), ask(HOST, 8081), ask(HOST, 53), ask_udp(&socket, HOST, 53))
        });
        let outside = Ok(OUTSIDE.to_string());
        assert_eq!(seen, (outside.clone(), outside.clone(), outside, Ok(format!("one {OUTSIDE}"))));
        let local = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        assert_eq!(ask_udp(&local, LOCAL, 53), Ok(format!("one {}", one.gateway())));
    });
}

#[test]
fn a_successor_gets_the_datagrams_of_a_steady_client() {
    on_a_host(|world| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let client = world.outside.run(|| UdpSocket::bind("0.0.0.0:4000").expect("a socket"));
        // Sent before the port is published: tracked as meant for the host itself.
        assert!(unanswered(&client, HOST, 5353));
        for (number, name) in [(1, "first"), (2, "second")] {
            let container = Container::start(&network, number, &["5353:53/udp"]);
            serve_udp(&container.namespace, 53, name);
            assert_eq!(ask_udp(&client, HOST, 5353), Ok(format!("{name} {OUTSIDE}")));
            network.disconnect(&container.id).expect("disconnected");
            // While it is not published, the client continues.
            assert!(unanswered(&client, HOST, 5353));
        }
    });
}

#[test]
fn without_firewall_or_bridge_there_is_none() {
    on_a_host(|_| {
        // What a daemon left that made rules goes too.
        drop(Network::open(&options(), Vec::new()).expect("open"));
        let without = berth_network::Options { firewall: false, ..options() };
        let network = Network::open(&without, Vec::new()).expect("open");
        assert_eq!(network.warnings().len(), 1);
        let web = Container::start(&network, 1, &["8080:80"]);
        serve(&web.namespace, 80);
        assert_eq!(run("nft", "list ruleset").0, "");
        assert_eq!(ask(web.address(), 80), Ok(web.gateway().to_string()));
        assert!(unreachable(LOCAL, 8080));
        network.disconnect(&web.id).expect("disconnected");
        let none = berth_network::Options { bridge: berth_network::BridgeChoice::None, ..options() };
        let network = Network::open(&none, Vec::new()).expect("open");
        assert_eq!(network.bridge(), None);
        assert!(matches!(network.reserve(&request(1, &[])), Err(Error::Disabled)));
        assert!(matches!(
            network.connect(&id(1), web.namespace.as_fd(), Configurer::Init),
            Err(Error::Disabled)
        ));
        network.disconnect(&id(1)).expect("nothing to do");
    });
}
