//! Many networks: the firewall's rules are the same whatever their number, and neither a start nor a further network
//! changes more of the kernel's tables.
//!
//! By default they are few, for the time that they take; `BERTH_MANY_NETWORKS=1000` makes that many, with five
//! published ports for each.

use std::collections::BTreeMap;

use berth_tests::{host, wait};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, socket_with};
use serde_json::json;

use super::*;

/// How many networks one container publishes ports for.
const NETWORKS_A_CONTAINER: usize = 20;
/// How many ports are published for each network.
const PORTS_A_NETWORK: usize = 5;
/// Where published ports begin.
const FIRST_PORT: usize = 20_000;

/// How often the tables of nf_tables have changed in the network of a process: `NFT_MSG_GETGEN` of linux/netfilter/nf_tables.h.
fn changes_of_the_firewall(pid: u32) -> u32 {
    host::within_network_of(pid, || {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::NETFILTER),
        );
        let socket = socket.expect("a socket");
        // nlmsghdr: length, NFNL_SUBSYS_NFTABLES and the message, NLM_F_REQUEST, sequence, port; nfgenmsg.
        let mut message = Vec::from(20_u32.to_ne_bytes());
        message.extend(0x0a10_u16.to_ne_bytes());
        message.extend(1_u16.to_ne_bytes());
        message.extend([0; 12]);
        rustix::net::send(&socket, &message, SendFlags::empty()).expect("sent");
        let mut answer = [0; 4096];
        let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty()).expect("an answer");
        // NFTA_GEN_ID is the first attribute.
        let generation = answer[..length].get(24..28).and_then(|bytes| bytes.try_into().ok());
        u32::from_be_bytes(generation.expect("a generation"))
    })
}

/// All rules, without the elements of sets and maps.
fn rules(pid: u32) -> String {
    host::in_network_of(pid, &["nft", "--stateless", "--terse", "list", "ruleset"])
}

/// The commands of the test, each with how often the firewall changed meanwhile.
struct Changes<'e> {
    engine: &'e Today,
    pid: u32,
}

impl Changes<'_> {
    fn of(&self, act: impl FnOnce(&Today)) -> u32 {
        let before = changes_of_the_firewall(self.pid);
        act(self.engine);
        changes_of_the_firewall(self.pid) - before
    }

    /// Those of a network more, of a container's start in one, of its way into another and out of it.
    fn of_all(&self) -> BTreeMap<&'static str, u32> {
        let made = self.of(|engine| drop(network(engine, "probe", "10.79.0.0/24", json!({}))));
        let body = publishing("probe", 100, 3);
        let container = self.engine.create(&body);
        let started = self.of(|engine| engine.start(&container));
        let connected = self.of(|engine| connect(engine, "first", &container, json!({})));
        let disconnected = self.of(|engine| disconnect(engine, "first", &container));
        let _ = self.engine.delete(&format!("/containers/{container}?force=1")).expect(204);
        let removed = self.of(|engine| drop(engine.delete("/networks/probe").expect(204)));
        BTreeMap::from([
            ("create of a network", made),
            ("start", started),
            ("connect", connected),
            ("disconnect", disconnected),
            ("removal of a network", removed),
        ])
    }
}

/// A container that publishes so many ports from this one on.
fn publishing(network: &str, first: usize, count: usize) -> Value {
    let ports: BTreeMap<String, Value> = (first..first + count)
        .map(|port| (format!("{port}/tcp"), json!([{ "HostIp": "0.0.0.0", "HostPort": port.to_string() }])))
        .collect();
    merged(within(network), json!({ "HostConfig": { "PortBindings": ports } }))
}

#[test]
fn the_firewall_has_the_same_rules_however_many_networks_and_ports_there_are() {
    let count = std::env::var("BERTH_MANY_NETWORKS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let engine = Today::start();
    let pid = engine.daemon.network_pid();
    for program in ["iptables", "ip6tables"] {
        let _ = host::in_network_of(pid, &[program, "-P", "FORWARD", "DROP"]);
    }
    wait::until("rules in both chains of the host", || {
        (rules(pid).matches("comment \"berth\"").count() == 4).then_some(())
    });
    network(&engine, "first", "10.80.0.0/24", json!({}));
    let changes = Changes { engine: &engine, pid };
    let (few, rules_of_few) = (changes.of_all(), rules(pid));
    for number in 0..count {
        let subnet = format!("10.{}.{}.0/24", 100 + number / 256, number % 256);
        network(&engine, &format!("n{number}"), &subnet, json!({}));
    }
    let mut published = 0;
    for number in (0..count).step_by(NETWORKS_A_CONTAINER) {
        let ports = PORTS_A_NETWORK * NETWORKS_A_CONTAINER.min(count - number);
        let _ = engine.run(&publishing(&format!("n{number}"), FIRST_PORT + published, ports));
        published += ports;
    }
    assert_eq!(published, PORTS_A_NETWORK * count);
    assert_eq!(
        rules(pid),
        rules_of_few,
        "{count} networks and {published} ports are elements of sets and maps"
    );
    assert_eq!(changes.of_all(), few);
    for family in ["ip", "ip6"] {
        let _ = host::in_network_of(pid, &["nft", "delete", "table", family, "filter"]);
    }
}
