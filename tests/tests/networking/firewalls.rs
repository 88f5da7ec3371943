//! Beside firewalls of the host that drop what it forwards: what works by itself, and that the advice of
//! docs/networking.md to the administrator is enough.

use std::net::Ipv4Addr;

use berth_tests::host::in_network_of;
use berth_tests::other_host::{OtherHost, Servers, ask, unreachable};
use berth_tests::{Engine, wait};
use serde_json::json;

use crate::{address, idle, publishing};

/// A container that publishes a port, another one that sends requests, and another host.
struct Scene {
    web: Ipv4Addr,
    client: u32,
    _servers: [Servers; 2],
    outside: OtherHost,
    // The last: when it ends it looks for what is left.
    engine: Engine,
}

impl Scene {
    fn set() -> Self {
        let engine = Engine::start();
        let outside = OtherHost::beside(&engine);
        let web = engine.run(&publishing(&["18080:80/tcp"]));
        let client = engine.run(&idle(json!({})));
        let _servers =
            [Servers::start(engine.pid(&web), 80, "web"), Servers::start(outside.pid(), 7000, "outside")];
        let (web, client) = (address(&engine, &web, "IPAddress"), engine.pid(&client));
        Self { web, client, _servers, outside, engine }
    }

    /// Runs a program on the engine's host.
    fn say(&self, line: &str) {
        let _ = in_network_of(self.engine.network_pid(), &["sh", "-ec", line]);
    }

    /// The port from outside, the way out, the way from one container to the other.
    fn ways(&self) -> [(u32, (Ipv4Addr, u16)); 3] {
        [
            (self.outside.pid(), (OtherHost::ENGINE, 18080)),
            (self.client, (OtherHost::ADDRESS, 7000)),
            (self.client, (self.web, 80)),
        ]
    }

    fn all_ways_are_open(&self, when: &str) {
        for (from, to) in self.ways() {
            wait::until(&format!("{when}: {to:?}"), || ask(from, to).ok());
        }
    }

    /// The published port and the way out are shut. Packets between two ports of the bridge are forwarded
    /// only where the host's kernel passes bridged packets through its firewall.
    fn is_cut_off(&self, why: &str) {
        for (from, to) in &self.ways()[..2] {
            assert!(unreachable(*from, *to), "{why} does not cut {to:?} off, so this test shows nothing");
        }
    }

    /// What a daemon that starts now warns of.
    fn warnings(&mut self) -> String {
        let before = self.engine.log().len();
        self.engine.replace_daemon();
        self.engine.log()[before..].lines().filter(|line| line.contains(" WARN ")).collect()
    }
}

#[test]
fn a_dropping_policy_of_iptables_cuts_nobody_off() {
    let scene = Scene::set();
    scene.say("iptables-nft -P FORWARD DROP");
    scene.all_ways_are_open("with iptables' policy DROP");
    // A firewall that sets all its rules anew, as ufw does.
    scene.say("printf '*filter\\n:INPUT ACCEPT\\n:FORWARD DROP\\n:OUTPUT ACCEPT\\nCOMMIT\\n' | iptables-nft-restore");
    scene.all_ways_are_open("after the rules were set anew");
    scene.say("nft delete table ip filter");
}

#[test]
fn beside_iptables_legacy_two_rules_are_enough() {
    let mut scene = Scene::set();
    scene.say("iptables-legacy -P FORWARD DROP");
    scene.is_cut_off("iptables-legacy");
    let warnings = scene.warnings();
    let [input, output] = ["--src-group", "--dst-group"]
        .map(|side| format!("iptables-legacy -I FORWARD -m devgroup {side} 0xbc000000/0xfc000000 -j ACCEPT"));
    assert!(warnings.contains(&input) && warnings.contains(&output), "{warnings}");
    scene.say(&format!("{input}; {output}"));
    scene.all_ways_are_open("with two rules of iptables-legacy");
}

#[test]
fn beside_another_table_that_drops_two_rules_are_enough() {
    let mut scene = Scene::set();
    let chain = "type filter hook forward priority 10; policy drop;";
    scene.say(&format!("nft add table inet own; nft 'add chain inet own forwarded {{ {chain} }}'"));
    scene.is_cut_off("a table of the administrator");
    let warnings = scene.warnings();
    assert!(warnings.contains("the chain forwarded of the nftables table own drops"), "{warnings}");
    scene.say(
        "nft 'add rule inet own forwarded iifgroup & 0xfc000000 == 0xbc000000 accept'; \
         nft 'add rule inet own forwarded oifgroup & 0xfc000000 == 0xbc000000 accept'",
    );
    scene.all_ways_are_open("with two rules in that table");
    scene.say("nft delete table inet own");
}
