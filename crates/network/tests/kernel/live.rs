//! What changes of containers that run: further interfaces, the default route, published ports that move.

use std::os::fd::AsFd;

use berth_network::inside::{self, Configurer, DefaultRoutes};
use berth_network::{
    AddressOrder, BridgeChoice, Error, GatewayMode, INTERFACE_NAME, Network, Options, Request,
};

use crate::world::*;

fn beside(name: &str) -> Options {
    let bridge = BridgeChoice::Own { name: name.to_owned(), address: None };
    Options { bridge, order: AddressOrder::Lowest, ..options() }
}

#[test]
fn a_running_container_gets_a_further_interface_and_another_default_route() {
    on_a_host(|world| {
        let first = Network::open(&options(), Vec::new()).expect("open");
        let second = open_beside(&first, &beside("brtest1"), Vec::new()).expect("open");
        let both = Container::start(&first, 1, &[]);
        let peer = Container::start(&second, 2, &[]);
        serve(&peer.namespace, 80);
        serve(&world.outside, 80);
        let request = Request { interface_name: "eth1".to_owned(), ..request(1, &[]) };
        let endpoint = second.reserve(&request).expect("reserved");
        second.connect(&both.id, both.namespace.as_fd(), Configurer::Engine).expect("connected");
        assert_eq!(
            both.namespace.run(|| ask(peer.address(), 80)),
            Ok(endpoint.ipv4.expect("an address").address.to_string())
        );
        let route = || both.namespace.run(|| run("ip", "route show default").0);
        let lead = |ipv4| {
            let routes = DefaultRoutes { ipv4, ipv6: None };
            inside::set_default_routes(both.namespace.as_fd(), routes).expect("changed");
        };
        for (endpoint, name) in [(&endpoint, "eth1"), (&both.endpoint, INTERFACE_NAME), (&endpoint, "eth1")] {
            let gateway = endpoint.ipv4.expect("an address").gateway;
            lead(Some((name, gateway)));
            assert_eq!(route().trim(), format!("default via {gateway} dev {name}"));
            assert_eq!(both.namespace.run(|| ask(OUTSIDE, 80)), Ok(HOST.to_string()));
        }
        lead(None);
        lead(None);
        assert_eq!(route(), "");
        assert!(both.namespace.run(|| unreachable(OUTSIDE, 80)));
    });
}

#[test]
fn an_interface_that_is_removed_is_out_of_use_at_once_and_its_name_is_free() {
    on_a_host(|_| {
        let first = Network::open(&options(), Vec::new()).expect("open");
        let second = open_beside(&first, &beside("brtest1"), Vec::new()).expect("open");
        let both = Container::start(&first, 1, &[]);
        let links = || run("ip", "-o link").0;
        let before = links().lines().count();
        for _ in 0..3 {
            let request = Request { interface_name: "eth1".to_owned(), ..request(1, &[]) };
            let endpoint = second.reserve(&request).expect("reserved");
            second.connect(&both.id, both.namespace.as_fd(), Configurer::Engine).expect("connected");
            assert!(both.namespace.run(|| run("ip", "-o -4 addr").0).contains("eth1"));
            second.remove_interface(&both.id, both.namespace.as_fd()).expect("removed");
            second.disconnect(&both.id).expect("disconnected");
            let inside = both.namespace.run(|| run("ip", "-o -4 addr").0 + &run("ip", "route").0);
            let address = endpoint.ipv4.expect("an address").address;
            assert!(!inside.contains("eth1") && !inside.contains(&address.to_string()), "{inside}");
            assert_eq!(links().lines().count(), before, "the interface is gone from both sides");
        }
        // More often than its interfaces have names on the host.
        for _ in 0..60 {
            let request = Request { interface_name: "eth1".to_owned(), ..request(1, &[]) };
            second.reserve(&request).expect("reserved");
            second.connect(&both.id, both.namespace.as_fd(), Configurer::Engine).expect("connected");
            second.remove_interface(&both.id, both.namespace.as_fd()).expect("removed");
            second.disconnect(&both.id).expect("disconnected");
        }
        assert_eq!(links().lines().count(), before);
        let first_interface = both.namespace.run(|| run("ip", "-o -4 addr").0);
        assert!(first_interface.contains(INTERFACE_NAME), "the other one stays");
    });
}

#[test]
fn published_ports_move_to_another_network_of_the_container() {
    on_a_host(|world| {
        let first = Network::open(&options(), Vec::new()).expect("open");
        let second = open_beside(&first, &beside("brtest1"), Vec::new()).expect("open");
        let web = Container::start(&first, 1, &["8080:80"]);
        serve(&web.namespace, 80);
        let request = Request { interface_name: "eth1".to_owned(), ..request(1, &[]) };
        let endpoint = second.reserve(&request).expect("reserved");
        second.connect(&web.id, web.namespace.as_fd(), Configurer::Engine).expect("connected");
        let held = first.take_ports(&web.id).expect("taken");
        assert!(first.endpoint(&web.id).expect("an endpoint").ports.is_empty());
        assert!(world.outside.run(|| unreachable(HOST, 8080)), "they lead nowhere");
        let taken = second.hold_ports(&self::request(2, &["8080:80"]).ports).expect_err("held");
        assert_eq!(taken.to_string(), "Bind for 0.0.0.0:8080 failed: port is already allocated");
        second.give_ports(&web.id, held).expect("given");
        let gateway = endpoint.ipv4.expect("an address").gateway;
        let routes = DefaultRoutes { ipv4: Some(("eth1", gateway)), ipv6: None };
        inside::set_default_routes(web.namespace.as_fd(), routes).expect("changed");
        first.disconnect(&web.id).expect("disconnected");
        assert_eq!(world.outside.run(|| ask(HOST, 8080)), Ok(OUTSIDE.to_string()));
        assert_eq!(second.endpoint(&web.id).expect("an endpoint").ports, web.endpoint.ports);
        second.disconnect(&web.id).expect("disconnected");
        let free = second.hold_ports(&self::request(2, &["8080:80"]).ports).expect("free");
        second.release_ports(free).expect("released");
        assert!(matches!(second.take_ports(&web.id), Err(Error::NotConnected(_))));
    });
}

#[test]
fn nothing_leaves_or_enters_an_internal_network() {
    for communicate in [true, false] {
        on_a_host(move |world| {
            let first = Network::open(&options(), Vec::new()).expect("open");
            let internal = Options { internal: true, ..beside("brtest1") };
            let internal = Options { inter_container_communication: communicate, ..internal };
            let second = open_beside(&first, &internal, Vec::new()).expect("open");
            let (one, other) = (Container::start(&second, 1, &[]), Container::start(&second, 2, &[]));
            let outer = Container::start(&first, 3, &["8080:80"]);
            serve(&outer.namespace, 80);
            serve(&world.outside, 80);
            serve(&other.namespace, 81);
            let (other_at, outer_at) = (other.address(), outer.address());
            let reached = one.namespace.run(|| reaches(other_at, 81, communicate));
            assert_eq!(reached, communicate, "within the network");
            assert_eq!(one.endpoint.default_gateway(), None);
            assert!(one.namespace.run(|| unreachable(OUTSIDE, 80)), "the outside");
            assert!(one.namespace.run(|| unreachable(outer_at, 80)), "another network");
            assert!(one.namespace.run(|| unreachable(HOST, 8080)), "a published port of another network");
            assert!(outer.namespace.run(|| unreachable(other_at, 81)), "from another network");
            assert!(reaches(other_at, 81, true), "the host reaches it");
        });
    }
}

#[test]
fn ports_that_are_not_published_are_open_where_that_is_asked_for() {
    for (gateway_mode, unprotected) in [(GatewayMode::Unprotected, true), (GatewayMode::Translated, false)] {
        on_a_host(move |world| {
            let first = Network::open(&options(), Vec::new()).expect("open");
            let options = Options { gateway_mode, ..beside("brtest1") };
            let second = open_beside(&first, &options, Vec::new()).expect("open");
            let (web, other) = (Container::start(&second, 1, &[]), Container::start(&first, 2, &[]));
            serve(&web.namespace, 80);
            let at = web.address();
            world.outside.run(|| ip(&format!("route add {at} via {HOST}")));
            let reached = world.outside.run(|| reaches(at, 80, unprotected));
            assert_eq!(reached, unprotected, "from outside");
            assert!(other.namespace.run(|| unreachable(at, 80)), "from another network");
        });
    }
}

#[test]
fn an_address_that_is_asked_for_is_given_once() {
    on_a_host(|_| {
        let first = Network::open(&options(), Vec::new()).expect("open");
        let bridge = first.ipv4().expect("a bridge");
        let at = std::net::Ipv4Addr::from(u32::from(bridge.address) + 77);
        let wish = |number, address| Request { address: Some(address), ..request(number, &[]) };
        assert_eq!(first.reserve(&wish(1, at)).expect("free").ipv4.map(|it| it.address), Some(at));
        for taken in [at, bridge.address] {
            let error = first.reserve(&wish(2, taken)).expect_err("taken");
            assert_eq!(error.to_string(), format!("Address already in use: {taken}"));
            assert_eq!(error.kind(), model::ErrorKind::Forbidden);
        }
        let outside = first.reserve(&wish(2, OUTSIDE)).expect_err("of another network");
        assert_eq!(outside.kind(), model::ErrorKind::Invalid);
        first.disconnect(&id(1)).expect("disconnected");
        assert_eq!(first.reserve(&wish(2, at)).expect("free again").ipv4.map(|it| it.address), Some(at));
    });
}
