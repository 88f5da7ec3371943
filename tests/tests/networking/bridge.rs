//! The bridge, its network and addresses, what containers reach through it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use berth_tests::host::{in_network_of, interfaces_of, rules_of};
use berth_tests::other_host::{OtherHost, Servers, ask, unreachable};
use berth_tests::{Engine, Options, merged, sh, wait};
use serde_json::{Value, json};

use crate::{address, engine_with, idle, publishing, refused_start};

#[test]
fn containers_reach_each_other_the_host_and_the_outside() {
    let engine = Engine::start();
    let outside = OtherHost::beside(&engine);
    let web = engine.run(&merged(sh("httpd -f -p 80 -h /etc"), json!({})));
    let (ip, gateway) = (address(&engine, &web, "IPAddress"), address(&engine, &web, "Gateway"));
    let script = format!(
        "until wget -q -O - http://{ip}/shadow; do sleep 0.05; done; \
         ping -c 1 -W 5 {gateway} > /dev/null && echo host; ping -c 1 -W 5 {} > /dev/null && echo outside",
        OtherHost::ADDRESS
    );
    let other = engine.output(&sh(&script));
    assert_eq!(other.stdout, "root:*:1::::::\nhost\noutside\n", "{}", other.stderr);
    // Outbound connections come from the engine's host.
    let _servers = Servers::start(outside.pid(), 7000, "outside");
    let from = ask(engine.pid(&web), (OtherHost::ADDRESS, 7000)).expect("an answer");
    assert_eq!(from, format!("outside {}", OtherHost::ENGINE));
    // From outside the container is reached by its published ports only.
    let route = format!("ip route add {ip}/32 via {}", OtherHost::ENGINE);
    let _ = in_network_of(outside.pid(), &["sh", "-ec", &route]);
    assert!(unreachable(outside.pid(), (ip, 80)));
}

#[test]
fn the_interface_is_as_inspect_says_and_has_no_address_of_ipv6() {
    let engine = Engine::start();
    let id = engine.run(&idle(json!({})));
    let settings = engine.inspect(&id)["NetworkSettings"].clone();
    let ip = address(&engine, &id, "IPAddress");
    let [a, b, c, d] = ip.octets();
    assert_eq!(settings["MacAddress"], format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}"));
    let shown = engine.exec(&id, &["ip", "-o", "addr", "show", "dev", "eth0"]).stdout;
    assert_eq!(shown.lines().count(), 1, "one address: {shown}");
    assert!(shown.contains(&format!("inet {ip}/{} ", settings["IPPrefixLen"])), "{shown}");
    let routes = engine.exec(&id, &["ip", "route"]).stdout;
    assert!(
        routes.contains(&format!("default via {} dev eth0", address(&engine, &id, "Gateway"))),
        "{routes}"
    );
    for (field, empty) in
        [("Bridge", json!("")), ("GlobalIPv6Address", json!("")), ("HairpinMode", json!(false))]
    {
        assert_eq!(settings[field], empty, "{field}");
    }
    let asked = engine.run(&idle(json!({ "MacAddress": "02:42:ac:11:00:99" })));
    assert_eq!(engine.inspect(&asked)["NetworkSettings"]["MacAddress"], "02:42:ac:11:00:99");
    assert_eq!(engine.exec(&asked, &["cat", "/sys/class/net/eth0/address"]).stdout, "02:42:ac:11:00:99\n");
    for (mac, text) in [
        ("foo", "address foo: invalid MAC address"),
        (
            "ff:ff:ff:ff:ff:ff",
            "could not set mac address ff:ff:ff:ff:ff:ff for container interface eth0: cannot assign requested address",
        ),
    ] {
        let id = engine.create(&idle(json!({ "MacAddress": mac })));
        assert_eq!(refused_start(&engine, &id, 500), text);
    }
}

#[test]
fn the_chosen_network_meets_nothing_that_the_host_reaches() {
    let setup = [
        "ip link add other0 type bridge",
        "ip addr add 172.30.5.1/24 dev other0",
        "ip link set other0 up",
        "ip route add 172.29.0.0/20 dev other0",
        "ip route add 172.28.128.0/17 dev other0",
    ];
    let engine =
        Engine::start_with(Options { host_setup: setup.map(str::to_owned).to_vec(), ..Options::default() });
    let id = engine.run(&idle(json!({})));
    assert_eq!(address(&engine, &id, "Gateway"), Ipv4Addr::new(172, 27, 0, 1));
}

#[test]
fn addresses_are_given_once_survive_kill_9_and_come_free() {
    let mut engine = engine_with(&["--bip", "10.77.0.1/24", "--fixed-cidr", "10.77.0.64/29"]);
    let allowed: BTreeSet<Ipv4Addr> = (64..72).map(|last| Ipv4Addr::new(10, 77, 0, last)).collect();
    let ids: Vec<String> = (0..8).map(|_| engine.run(&idle(json!({})))).collect();
    let addresses = |engine: &Engine| -> Vec<Ipv4Addr> {
        ids.iter().map(|id| address(engine, id, "IPAddress")).collect()
    };
    let given = addresses(&engine);
    assert_eq!(given.iter().copied().collect::<BTreeSet<_>>(), allowed);
    let extra = engine.create(&idle(json!({})));
    let exhausted = "no available ip addresses on network 10.77.0.64/29";
    assert_eq!(refused_start(&engine, &extra, 500), exhausted);
    engine.replace_daemon();
    assert_eq!(addresses(&engine), given);
    assert_eq!(refused_start(&engine, &extra, 500), exhausted, "the next daemon knows whose they are");
    let alone = merged(sh("true"), json!({ "HostConfig": { "NetworkMode": "none" } }));
    assert_eq!(engine.output(&alone).code, 0, "what needs none is not concerned");
    let _ = engine.post(&format!("/containers/{}/stop?t=0", ids[3])).expect(204);
    engine.start(&extra);
    assert_eq!(address(&engine, &extra, "IPAddress"), given[3]);
}

#[test]
fn everything_goes_with_the_daemon_unless_a_container_needs_it() {
    let mut engine = Engine::start();
    let host = engine.network_pid();
    let (links, rules) = (interfaces_of(host), rules_of(host));
    assert!(links.contains("berth0") && rules.contains("table ip berth {"));
    engine.stop_daemon();
    assert_eq!((interfaces_of(host), rules_of(host)), (BTreeSet::from(["lo".to_owned()]), BTreeSet::new()));
    engine.start_daemon();
    assert_eq!((interfaces_of(host), rules_of(host)), (links, rules), "exactly as before");
    let id = engine.run(&publishing(&["18080:80/tcp"]));
    let _servers = Servers::start(engine.pid(&id), 80, "web");
    let rules = rules_of(host);
    engine.stop_daemon();
    assert_eq!(rules_of(host), rules);
    assert!(ask(host, ([127, 0, 0, 1], 18080)).is_ok(), "ports lead to it while no daemon runs");
    engine.start_daemon();
    assert_eq!(rules_of(host), rules);
    assert!(ask(host, ([127, 0, 0, 1], 18080)).is_ok());
    engine.remove(&id);
    wait::until("the link's end", || (interfaces_of(host).len() == 2).then_some(()));
}

#[test]
fn another_program_that_changes_the_firewall_cuts_nobody_off() {
    let engine = Engine::start();
    let outside = OtherHost::beside(&engine);
    let host = engine.network_pid();
    let id = engine.run(&publishing(&["18080:80/tcp"]));
    let _servers = Servers::start(engine.pid(&id), 80, "web");
    let reached = || (!unreachable(outside.pid(), (OtherHost::ENGINE, 18080))).then_some(());
    for change in [["iptables", "-P", "FORWARD", "DROP"].as_slice(), &["nft", "flush", "ruleset"]] {
        let _ = in_network_of(host, change);
        wait::until(&format!("the port after {change:?}"), reached);
    }
    let _ = in_network_of(host, &["iptables", "-P", "FORWARD", "DROP"]);
    let later = engine.run(&publishing(&["18081:81/tcp"]));
    let _other = Servers::start(engine.pid(&later), 81, "later");
    assert!(ask(outside.pid(), (OtherHost::ENGINE, 18081)).is_ok());
    let _ = in_network_of(host, &["iptables", "-P", "FORWARD", "ACCEPT"]);
    wait::until("no rules where none are needed", || {
        (!in_network_of(host, &["iptables", "-S", "FORWARD"]).contains("berth")).then_some(())
    });
    let _ = in_network_of(host, &["nft", "delete", "table", "ip", "filter"]);
}

#[test]
fn a_network_step_that_fails_is_undone_with_all_before_it() {
    for step in
        ["TakeAddress", "HoldPorts", "CreateInterface", "CarryPackets", "OpenFirewall", "ForgetConnections"]
    {
        let engine = Engine::start_with(Options {
            environment: vec![("BERTH_FAULT".to_owned(), step.to_owned())],
            arguments: vec!["--bip".into(), "10.77.0.1/30".into()],
            ..Options::default()
        });
        let host = engine.network_pid();
        let rules = rules_of(host);
        let id = engine.create(&publishing(&["18080:80/tcp", "18053:53/udp"]));
        assert_eq!(refused_start(&engine, &id, 500), format!("fault injected at {step}"));
        assert_eq!(engine.inspect(&id)["NetworkSettings"]["IPAddress"], Value::from(""));
        assert_eq!(rules_of(host), rules, "{step}");
        wait::until(&format!("{step}: no link"), || (interfaces_of(host).len() == 2).then_some(()));
        // The only address of the network and the ports are free again.
        engine.start(&id);
        let _servers = Servers::start(engine.pid(&id), 80, "web");
        assert!(ask(host, ([127, 0, 0, 1], 18080)).is_ok(), "{step}");
    }
}
