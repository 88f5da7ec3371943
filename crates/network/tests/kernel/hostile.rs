//! A container that sends raw frames takes no other's address and announces nothing.

use std::net::{Ipv4Addr, UdpSocket};

use berth_network::{BridgeChoice, MacAddress, Network, Options, SourceCheck};

use crate::frames::*;
use crate::world::*;

const OTHERS: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);

/// Attacker, victim and a third container on the bridge.
struct Scene {
    bridge: &'static str,
    attacker: Container,
    victim: Container,
    third: Container,
}

impl Scene {
    fn new(network: &Network, check: SourceCheck) -> Self {
        Self::at(BRIDGE, network, check)
    }

    fn at(bridge: &'static str, network: &Network, check: SourceCheck) -> Self {
        // No container is in both networks of a test.
        let first = if bridge == BRIDGE { 1 } else { 11 };
        let [attacker, victim, third] = [(0, check), (1, SourceCheck::Strict), (2, SourceCheck::Strict)]
            .map(|(number, check)| Container::start_with(network, request_with(first + number, &[], check)));
        Self { bridge, attacker, victim, third }
    }

    fn own(&self) -> (MacAddress, Ipv4Addr) {
        (self.attacker.endpoint.mac, self.attacker.address())
    }

    /// Sends the frames and gives which of them came to the victim and to the host.
    fn send(&self, frames: &[Frame]) -> (Vec<&'static str>, Vec<&'static str>) {
        let (mac, address) = self.own();
        let end = end(mac, address, Ipv4Addr::BROADCAST);
        let at_victim = Sniffer::start(&self.victim.namespace, "eth0");
        let host = Namespace::of_this_thread();
        let at_host = Sniffer::start(&host, self.bridge);
        send(&self.attacker.namespace, "eth0", frames, end);
        (at_victim.names(frames), at_host.names(frames))
    }

    /// What no container may send.
    fn forged(&self) -> Vec<Frame> {
        let (mac, address) = self.own();
        let gateway = self.attacker.gateway();
        let (third_mac, third) = (self.third.endpoint.mac, self.third.address());
        let victim_mac = self.victim.endpoint.mac;
        vec![
            router_advertisement("router advertisement", mac),
            neighbour_advertisement("neighbour advertisement", mac),
            dhcpv6_advertise("DHCPv6 server", mac),
            arp("ARP: I am the gateway", mac, mac, gateway),
            arp("ARP: I am the third container", mac, mac, third),
            arp("ARP in a stranger's name", mac, third_mac, third),
            arp("ARP: my address is at a stranger", mac, third_mac, address),
            arp("ARP from another's hardware address", third_mac, third_mac, third),
            arp("ARP: I am the gateway", mac, mac, gateway).with_vlan("ARP in VLAN 0", 0),
            arp("ARP: I am the gateway", mac, mac, gateway).with_vlan("ARP in VLAN 7", 7),
            udp("from another's address", mac, third, Ipv4Addr::BROADCAST),
            udp("from the gateway's address", mac, gateway, Ipv4Addr::BROADCAST),
            udp("from another's hardware address", third_mac, address, Ipv4Addr::BROADCAST),
            udp("from the victim itself", victim_mac, self.victim.address(), Ipv4Addr::BROADCAST),
            ether("an unknown protocol", mac, 0x88b5, &[0; 46]),
        ]
    }
}

#[test]
fn forged_frames_come_to_nobody() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let bridge = BridgeChoice::Own { name: SECOND.to_owned(), address: None };
        let second = open_beside(&network, &Options { bridge, ..options() }, Vec::new()).expect("open");
        for (bridge, network) in [(BRIDGE, &network), (SECOND, &second)] {
            let scene = Scene::at(bridge, network, SourceCheck::Strict);
            let mut frames = scene.forged();
            let (mac, _) = scene.own();
            frames.push(udp("from a stranger's address", mac, OTHERS, Ipv4Addr::BROADCAST));
            assert_eq!(scene.send(&frames), (vec![], vec![]), "{bridge}");
        }
    });
}

#[test]
fn a_container_that_may_be_a_router_sends_from_nobody_elses_address() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let scene = Scene::new(&network, SourceCheck::Loose);
        assert_eq!(scene.send(&scene.forged()), (vec![], vec![]));
        let (mac, _) = scene.own();
        let free: Ipv4Addr = (u32::from(scene.third.address()) + 100).into();
        let frames = [
            udp("from a stranger's address", mac, OTHERS, Ipv4Addr::BROADCAST),
            arp("ARP for a free address", mac, mac, free),
        ];
        let names: Vec<_> = frames.iter().map(|frame| frame.name).collect();
        assert_eq!(scene.send(&frames), (names.clone(), names));
    });
}

#[test]
fn what_a_container_needs_passes() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let scene = Scene::new(&network, SourceCheck::Strict);
        let (mac, address) = scene.own();
        let frames = [
            arp("gratuitous ARP", mac, mac, address),
            arp("ARP probe", mac, mac, Ipv4Addr::UNSPECIFIED),
            udp("DHCP client", mac, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST),
            udp("broadcast", mac, address, Ipv4Addr::BROADCAST),
        ];
        let names: Vec<_> = frames.iter().map(|frame| frame.name).collect();
        assert_eq!(scene.send(&frames), (names.clone(), names));
    });
}

/// The port at which the bridge believes a container to be.
fn port_of(container: &Container) -> String {
    let table = run("bridge", &format!("fdb show br {BRIDGE}")).0;
    let mac = container.endpoint.mac.to_string();
    let line = table.lines().find(|line| line.starts_with(&mac)).map(str::to_owned);
    line.unwrap_or_default().split(' ').nth(2).unwrap_or_default().to_owned()
}

#[test]
fn victims_keep_their_routes_neighbours_and_traffic() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let scene = Scene::new(&network, SourceCheck::Strict);
        // As if IPv6 had been turned on again everywhere.
        let accept = |name: &str| {
            for (setting, value) in [("disable_ipv6", "0"), ("accept_ra", "2"), ("autoconf", "1")] {
                std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/{setting}"), value).expect("root");
            }
        };
        accept(BRIDGE);
        scene.victim.namespace.run(|| accept("eth0"));
        let host = Namespace::of_this_thread();
        let state = || {
            [("eth0", &scene.victim.namespace), (BRIDGE, &host)].map(|(interface, namespace)| {
                namespace.run(|| {
                    let routes = run("ip", &format!("-6 route show dev {interface} proto ra")).0;
                    let neighbours = run("ip", &format!("-4 neigh show dev {interface}")).0;
                    let address = |line: &str| line.split(' ').take(3).collect::<Vec<_>>().join(" ");
                    let mut neighbours: Vec<_> = neighbours.lines().map(address).collect();
                    neighbours.sort();
                    (routes, neighbours)
                })
            })
        };
        serve(&scene.third.namespace, 80);
        let asked = |container: &Container| container.namespace.run(|| ask(scene.third.address(), 80));
        assert_eq!(asked(&scene.victim), Ok(scene.victim.address().to_string()));
        let before = state();
        for _ in 0..3 {
            scene.send(&scene.forged());
        }
        assert_eq!(state(), before);
        assert_eq!(port_of(&scene.third), scene.third.endpoint.host_interface);
        assert_eq!(asked(&scene.victim), Ok(scene.victim.address().to_string()));
    });
}

/// By itself the bridge learns from such frames and hands them to the host, past the check of what a port may send.
#[test]
fn frames_to_the_interface_itself_teach_the_bridge_nothing_and_do_not_come_to_the_host() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let scene = Scene::new(&network, SourceCheck::Strict);
        let (mac, address) = scene.own();
        let (gateway, third) = (scene.attacker.gateway(), scene.third.endpoint.mac);
        serve(&scene.third.namespace, 80);
        let answer = scene.victim.namespace.run(|| ask(scene.third.address(), 80));
        assert_eq!(answer, Ok(scene.victim.address().to_string()));
        assert_eq!(port_of(&scene.third), scene.third.endpoint.host_interface, "where the bridge saw it");
        let server = UdpSocket::bind((gateway, PORT)).expect("a socket");
        let frames: Vec<_> = (0..=0x0f)
            .flat_map(|last| {
                let forged = [
                    ether("from another's hardware address", third, 0x88cc, &[0; 46]),
                    udp("from another's address", mac, scene.third.address(), gateway),
                ];
                forged.map(|frame| frame.sent_to([0x01, 0x80, 0xc2, 0, 0, last]))
            })
            .collect();
        send(&scene.attacker.namespace, "eth0", &frames, end(mac, address, gateway));
        let mut buffer = [0; 64];
        let (length, from) = server.recv_from(&mut buffer).expect("a packet");
        assert_eq!((&buffer[..length], from.ip()), (&b"end!"[..], address.into()), "the first to arrive");
        assert_eq!(port_of(&scene.third), scene.third.endpoint.host_interface);
    });
}

#[test]
fn interfaces_beside_the_bridge_take_only_their_own_address() {
    on_a_host(|_| {
        let isolated = Options { inter_container_communication: false, ..options() };
        let network = Network::open(&isolated, Vec::new()).expect("open");
        let scene = Scene::new(&network, SourceCheck::Strict);
        let (mac, address) = scene.own();
        let gateway = scene.attacker.gateway();
        let server = UdpSocket::bind((gateway, PORT)).expect("a socket");
        let frames = [
            udp("from another's address", mac, scene.third.address(), gateway),
            udp("from a stranger's address", mac, OTHERS, gateway),
        ];
        // To whatever the gateway's hardware address is.
        send(&scene.attacker.namespace, "eth0", &frames, end(mac, address, gateway));
        let mut buffer = [0; 64];
        let (_, from) = server.recv_from(&mut buffer).expect("a packet");
        assert_eq!(from.ip(), address);
    });
}

#[test]
fn the_hosts_ends_take_nothing_of_ipv6() {
    for communicate in [true, false] {
        on_a_host(move |_| {
            let options = Options { inter_container_communication: communicate, ..options() };
            let network = Network::open(&options, Vec::new()).expect("open");
            let one = Container::start(&network, 1, &[]);
            for interface in [BRIDGE, &one.endpoint.host_interface] {
                let setting = |name: &str| {
                    let path = format!("/proc/sys/net/ipv6/conf/{interface}/{name}");
                    std::fs::read_to_string(path).expect("a setting").trim().to_owned()
                };
                let settings = ["accept_ra", "autoconf", "disable_ipv6"].map(setting);
                assert_eq!(settings, ["0", "0", "1"], "{interface}");
            }
        });
    }
}

#[test]
fn checks_follow_containers_over_daemons_and_go_with_them() {
    on_a_host(|_| {
        let network = Network::open(&options(), Vec::new()).expect("open");
        let scene = Scene::new(&network, SourceCheck::Strict);
        let known: Vec<_> =
            [&scene.attacker, &scene.victim, &scene.third].map(|container| container.endpoint.clone()).into();
        drop(network);
        // As an earlier release made its ports.
        let interface = &scene.attacker.endpoint.host_interface;
        assert!(run("ip", &format!("link set dev {interface} type bridge_slave group_fwd_mask 0")).1);
        let network = Network::open(&options(), known).expect("open again");
        let port = run("ip", &format!("-details link show dev {interface}")).0;
        assert!(port.contains("group_fwd_mask 0xfffd"), "{port}");
        assert_eq!(scene.send(&scene.forged()), (vec![], vec![]));
        let table = || run("nft", "--stateless list table bridge berth-brtest0").0;
        assert!(table().contains(&scene.attacker.endpoint.host_interface), "{}", table());
        network.disconnect(&scene.attacker.id).expect("disconnected");
        assert!(!table().contains(&scene.attacker.endpoint.host_interface), "{}", table());
        for container in [&scene.victim, &scene.third] {
            network.disconnect(&container.id).expect("disconnected");
        }
        network.remove().expect("removed");
        assert!(!run("nft", "list table bridge berth-brtest0").1);
    });
}
