//! Networks of IPv6: what reaches what, and what containers cannot pretend.

use std::net::{IpAddr, Ipv6Addr};

use berth_network::{
    BridgeChoice, GatewayMode, Ipv6Address, Ipv6Options, Network, Options, Relay, Request, SourceCheck,
};

use crate::frames::*;
use crate::world::*;

/// The host's address towards the outside, and another host's.
const HOST6: &str = "2001:db8:1::1";
const OUTSIDE6: &str = "2001:db8:1::2";

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// Gives the host and the world outside addresses of IPv6. Bridged packets do not pass the firewall, as on hosts
/// without br_netfilter, where [::1] can be answered.
fn connect(world: &World) {
    let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0");
    std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").expect("root may write");
    ip(&format!("-6 addr add {HOST6}/64 dev up0 nodad"));
    ip(&format!("-6 route add default via {OUTSIDE6}"));
    world.outside.run(|| {
        ip(&format!("-6 addr add {OUTSIDE6}/64 dev eth0 nodad"));
        ip(&format!("-6 route add fd00::/8 via {HOST6}"));
    });
}

/// A network of both families.
fn dual(name: &str, gateway: &str, gateway_mode: GatewayMode) -> Options {
    let address = Ipv6Address::Exactly(gateway.parse().expect("an address"));
    let bridge = BridgeChoice::Own { name: name.to_owned(), address: None };
    let ipv6 = Ipv6Options { address, range: None, reserved: Vec::new(), gateway_mode, source: None };
    // No shim relays here: the kernel itself translates what it can.
    Options { bridge, ipv6: Some(ipv6), relay: Relay::Off, ..Options::default() }
}

fn first() -> Options {
    dual(BRIDGE, "fd00:1::1/64", GatewayMode::Translated)
}

#[test]
fn containers_reach_each_other_the_outside_and_published_ports_alone_of_other_networks() {
    for (communicate, ipv4) in [(true, true), (false, true), (true, false)] {
        on_a_host(move |world| {
            connect(world);
            let options = Options { inter_container_communication: communicate, ipv4, ..first() };
            let network = Network::open(&options, Vec::new()).expect("open");
            let second = dual(SECOND, "fd00:2::1/64", GatewayMode::Translated);
            let second = open_beside(&network, &second, Vec::new()).expect("open");
            let web = Container::start(&network, 1, &["8080:80"]);
            let (beside, other) = (Container::start(&network, 2, &[]), Container::start(&second, 3, &[]));
            serve(&web.namespace, 80);
            serve(&world.outside, 80);
            assert_eq!((web.ipv6(), beside.ipv6()), (address("fd00:1::2"), address("fd00:1::3")));
            assert_eq!(web.endpoint.ipv4.is_some(), ipv4);
            let at = web.ipv6();
            let within = beside.namespace.run(|| reaches(at, 80, communicate));
            assert_eq!(within, communicate, "within the network");
            assert!(other.namespace.run(|| unreachable(at, 80)), "from another network");
            assert!(world.outside.run(|| unreachable(at, 80)), "from outside by routing");
            assert_eq!(ask(at, 80), Ok("fd00:1::1".to_owned()), "from the host");
            assert_eq!(web.namespace.run(|| ask(address(OUTSIDE6), 80)), Ok(HOST6.to_owned()), "the way out");
            let published = address(HOST6);
            assert_eq!(world.outside.run(|| ask(published, 8080)), Ok(OUTSIDE6.to_owned()), "from outside");
            let by_gateway = Ok("fd00:1::1".to_owned());
            for client in [&other, &beside, &web] {
                assert_eq!(
                    client.namespace.run(|| ask(published, 8080)),
                    by_gateway,
                    "by the host's address"
                );
            }
            assert_eq!(ask(Ipv6Addr::LOCALHOST, 8080), by_gateway, "from the host's loopback");
            assert_eq!(world.outside.run(|| reaches(HOST, 8080, ipv4)), ipv4, "the same port of IPv4");
            assert!(web.namespace.run(|| unreachable(Ipv6Addr::LOCALHOST, 8080)), "no loopback of the host");
        });
    }
}

#[test]
fn ports_are_published_where_it_is_asked_for() {
    on_a_host(|world| {
        connect(world);
        let network = Network::open(&first(), Vec::new()).expect("open");
        let web = Container::start(&network, 1, &["[::1]:8080:80", "0.0.0.0:8081:80", "[::]:8082:80"]);
        serve(&web.namespace, 80);
        let hosts: [IpAddr; 2] = [HOST.into(), address(HOST6).into()];
        for (port, expected) in [(8080, [false, false]), (8081, [true, false]), (8082, [false, true])] {
            for (host, expected) in hosts.into_iter().zip(expected) {
                let reached = world.outside.run(|| reaches(host, port, expected));
                assert_eq!(reached, expected, "{host} {port}");
            }
        }
        assert!(ask(Ipv6Addr::LOCALHOST, 8080).is_ok());
        let taken = network.reserve(&request(2, &["8082:80"])).expect_err("taken");
        assert_eq!(taken.to_string(), "Bind for [::]:8082 failed: port is already allocated");
        let bridge = BridgeChoice::Own { name: SECOND.to_owned(), address: None };
        let plain = Options { bridge, relay: Relay::Off, ..options() };
        let second = open_beside(&network, &plain, Vec::new()).expect("open");
        let none = second.reserve(&request(3, &["[::1]:8083:80"])).expect_err("no address");
        assert_eq!(none.kind(), model::ErrorKind::Invalid);
    });
}

#[test]
fn gateway_modes_say_what_is_reached_from_outside() {
    use GatewayMode::{Routed, Translated, Unprotected};
    for (mode, published, other, translated) in
        [(Translated, false, false, true), (Unprotected, true, true, true), (Routed, true, false, false)]
    {
        on_a_host(move |world| {
            connect(world);
            let network = Network::open(&options(), Vec::new()).expect("open");
            let ipv4 = Options { gateway_mode: mode, ..dual(SECOND, "fd00:2::1/64", mode) };
            let second = open_beside(&network, &ipv4, Vec::new()).expect("open");
            let web = Container::start(&second, 1, &["8080:80"]);
            serve(&web.namespace, 80);
            serve(&web.namespace, 81);
            serve(&world.outside, 80);
            let at: [IpAddr; 2] = [web.address().into(), web.ipv6().into()];
            world.outside.run(|| ip(&format!("route add {} via {HOST}", web.address())));
            for (at, host, outside) in [
                (at[0], HOST.into(), IpAddr::from(OUTSIDE)),
                (at[1], address(HOST6).into(), address(OUTSIDE6).into()),
            ] {
                for (to, port, expected) in [(at, 80, published), (at, 81, other), (host, 8080, translated)] {
                    let reached = world.outside.run(|| reaches(to, port, expected));
                    assert_eq!(reached, expected, "{mode:?} {to} {port}");
                }
                let source: IpAddr = if mode == Routed { at } else { host };
                assert_eq!(web.namespace.run(|| ask(outside, 80)), Ok(source.to_string()), "{mode:?}");
            }
        });
    }
}

#[test]
fn in_an_isolated_network_the_host_has_no_address() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let mode = GatewayMode::Isolated;
        let closed = dual(SECOND, "fd00:2::1/64", mode);
        let closed = Options { internal: true, gateway_mode: mode, has_host_ipv4: false, ..closed };
        let second = open_beside(&network, &closed, Vec::new()).expect("open");
        let (web, client) = (Container::start(&second, 1, &[]), Container::start(&second, 2, &[]));
        serve(&web.namespace, 80);
        assert_eq!(run("ip", &format!("-o addr show dev {SECOND}")).0, "");
        assert_eq!(client.namespace.run(|| ask(web.ipv6(), 80)), Ok(client.ipv6().to_string()));
        assert_eq!(client.namespace.run(|| ask(web.address(), 80)), Ok(client.address().to_string()));
        assert!(unreachable(web.address(), 80) && unreachable(web.ipv6(), 80));
    });
}

#[test]
fn forged_frames_come_to_nobody_in_a_network_of_ipv6() {
    for check in [SourceCheck::Strict, SourceCheck::Loose] {
        on_a_host(move |_| {
            let network = Network::open(&first(), Vec::new()).expect("open");
            let [attacker, victim] = [(1, check), (2, SourceCheck::Strict)]
                .map(|(number, check)| Container::start_with(&network, request_with(number, &[], check)));
            let (mac, victims) = (attacker.endpoint.mac, victim.endpoint.mac);
            let own = attacker.ipv6();
            let gateway = address("fd00:1::1");
            let forged = vec![
                router_advertisement("router advertisement", mac),
                dhcpv6_advertise("DHCPv6 server", mac),
                neighbour_advertisement("another's address of the interface", mac),
                advertisement("the gateway is here", mac, own, (gateway, mac)),
                advertisement("the victim is here", mac, own, (victim.ipv6(), mac)),
                advertisement("my address is at the victim", mac, own, (own, victims)),
                advertisement("from the gateway's address", mac, gateway, (own, mac)),
                solicitation("my address is at the victim", mac, own, (gateway, victims)),
                solicitation("the gateway asks", mac, gateway, (own, mac)),
                solicitation(
                    "from the victim's hardware address",
                    victims,
                    victim.ipv6(),
                    (gateway, victims),
                ),
            ];
            assert_eq!(seen(&attacker, &victim, &forged), (vec![], vec![]), "{check:?}");
            let good = vec![
                advertisement("own advertisement", mac, own, (own, mac)),
                solicitation("own solicitation", mac, own, (gateway, mac)),
            ];
            let names: Vec<_> = good.iter().map(|frame| frame.name).collect();
            assert_eq!(seen(&attacker, &victim, &good), (names.clone(), names), "{check:?}");
        });
    }
}

/// Sends the frames and gives which of them came to the victim and to the host.
fn seen(from: &Container, victim: &Container, frames: &[Frame]) -> (Vec<&'static str>, Vec<&'static str>) {
    let end = end(from.endpoint.mac, from.address(), std::net::Ipv4Addr::BROADCAST);
    let at_victim = Sniffer::start(&victim.namespace, "eth0");
    let at_host = Sniffer::start(&Namespace::of_this_thread(), BRIDGE);
    send(&from.namespace, "eth0", frames, end);
    (at_victim.names(frames), at_host.names(frames))
}

#[test]
fn a_container_of_ipv4_sends_nothing_of_ipv6_beside_one_of_both() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let [attacker, victim] = [(1, SourceCheck::Loose), (2, SourceCheck::Strict)]
            .map(|(number, check)| Container::start_with(&network, request_with(number, &[], check)));
        let mac = attacker.endpoint.mac;
        let own = address("fd00:1::9");
        let frames = vec![advertisement("own advertisement", mac, own, (own, mac))];
        assert_eq!(seen(&attacker, &victim, &frames), (vec![], vec![]));
    });
}

#[test]
fn addresses_of_ipv6_are_kept_over_daemons_and_nothing_is_left() {
    for communicate in [true, false] {
        on_a_host(move |world| {
            connect(world);
            let state = || {
                let neighbours = run("ip", &format!("-6 neigh show dev {SECOND}")).0;
                let proxies = run("ip", "-6 neigh show proxy").0;
                let tables = run("nft", "--stateless list table ip6 berth-brtest0").0;
                (
                    run("ip", "-6 -o addr").0,
                    run("ip", "-6 route show table all").0,
                    neighbours,
                    proxies,
                    tables,
                )
            };
            let options = Options {
                inter_container_communication: communicate,
                ..dual(SECOND, "fd00:2::1/64", GatewayMode::Translated)
            };
            let default = Network::open(&self::options(), Vec::new()).expect("open");
            // The kernel gives its links addresses of their own, and uses them after it has checked for duplicates.
            eventually("the kernel's own addresses", || !run("ip", "-6 -o addr").0.contains("tentative"));
            let before = state();
            let second = open_beside(&default, &options, Vec::new()).expect("open");
            let web = Container::start(&second, 1, &["8080:80"]);
            serve(&web.namespace, 80);
            let known = vec![web.endpoint.clone()];
            drop((second, default));
            let default = Network::open(&self::options(), Vec::new()).expect("open again");
            let second = open_beside(&default, &options, known).expect("open again");
            assert_eq!(world.outside.run(|| ask(address(HOST6), 8080)), Ok(OUTSIDE6.to_owned()));
            let taken = Request { ipv6_address: Some(web.ipv6()), ..request(2, &[]) };
            let error = second.reserve(&taken).expect_err("taken");
            assert_eq!(error.to_string(), format!("Address already in use: {}", web.ipv6()));
            let next = second.reserve(&request(2, &[])).expect("free");
            assert_ne!(next.ipv6.map(|lease| lease.address), Some(web.ipv6()));
            for id in [&web.id, &next.container] {
                second.disconnect(id).expect("disconnected");
            }
            second.remove().expect("removed");
            assert_eq!(state(), before);
        });
    }
}
