//! The daemon's flags about networking, each over a real daemon.

use std::net::Ipv4Addr;
use std::process::Command;

use berth_tests::host::{in_network_of, interfaces_of, rules_of};
use berth_tests::other_host::{OtherHost, Servers, ask, unreachable};
use berth_tests::{Engine, Options, merged, program, sh};
use serde_json::{Value, json};

use crate::{address, engine_with, host_port, idle, publishing, refused_start};

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn address_part_mtu_default_ip_and_name_servers() {
    let engine = engine_with(&[
        "--bip=10.77.0.254/24",
        "--fixed-cidr=10.77.0.128/25",
        "--mtu=1400",
        "--ip=127.0.0.1",
        "--dns=9.9.9.9",
        "--dns=149.112.112.112",
        "--dns-search=example.org",
        "--userland-proxy=true",
    ]);
    let id = engine.run(&publishing(&["18080:80/tcp", "127.0.0.2:18080:80/tcp"]));
    assert_eq!(address(&engine, &id, "Gateway"), Ipv4Addr::new(10, 77, 0, 254));
    assert_eq!(address(&engine, &id, "IPAddress"), Ipv4Addr::new(10, 77, 0, 128));
    assert_eq!(engine.inspect(&id)["NetworkSettings"]["IPPrefixLen"], 24);
    assert_eq!(engine.exec(&id, &["cat", "/sys/class/net/eth0/mtu"]).stdout, "1400\n");
    let ips: Vec<Value> = engine.inspect(&id)["NetworkSettings"]["Ports"]["80/tcp"]
        .as_array()
        .expect("bindings")
        .iter()
        .map(|binding| binding["HostIp"].clone())
        .collect();
    assert_eq!(ips, ["127.0.0.1", "127.0.0.2"]);
    let resolv = engine.exec(&id, &["cat", "/etc/resolv.conf"]).stdout;
    assert_eq!(resolv, "nameserver 9.9.9.9\nnameserver 149.112.112.112\nsearch example.org\n");
    let own = merged(
        sh("cat /etc/resolv.conf"),
        json!({ "HostConfig": { "Dns": ["1.1.1.1"], "DnsSearch": ["."] } }),
    );
    assert_eq!(engine.output(&own).stdout, "nameserver 1.1.1.1\n");
}

#[test]
fn an_existing_bridge_is_used_as_it_is() {
    let setup = ["ip link add br7 type bridge", "ip addr add 10.7.0.9/24 dev br7", "ip link set br7 up"];
    let mut engine = Engine::start_with(Options {
        arguments: vec!["--bridge=br7".into()],
        host_setup: setup.map(str::to_owned).to_vec(),
        ..Options::default()
    });
    let host = engine.network_pid();
    let id = engine.run(&publishing(&["18080:80/tcp"]));
    assert_eq!(address(&engine, &id, "Gateway"), Ipv4Addr::new(10, 7, 0, 9));
    let _servers = Servers::start(engine.pid(&id), 80, "web");
    assert_eq!(ask(host, (LOCAL, 18080)).expect("an answer"), "web 10.7.0.9");
    assert!(!interfaces_of(host).contains("berth0"));
    engine.remove(&id);
    engine.stop_daemon();
    assert!(interfaces_of(host).contains("br7"), "it is not the engine's");
    assert!(rules_of(host).is_empty(), "{:?}", rules_of(host));
    engine.start_daemon();
}

#[test]
fn without_a_bridge_there_is_only_a_loopback() {
    let engine = engine_with(&["--bridge=none"]);
    assert_eq!(interfaces_of(engine.network_pid()).len(), 1);
    assert!(rules_of(engine.network_pid()).is_empty());
    assert_eq!(engine.output(&sh("ls /sys/class/net")).stdout, "lo\n");
    let id = engine.create(&publishing(&["18080:80/tcp"]));
    assert_eq!(refused_start(&engine, &id, 500), "the engine runs without a bridge");
    let in_host =
        merged(sh("readlink /proc/self/ns/net"), json!({ "HostConfig": { "NetworkMode": "host" } }));
    let own = std::fs::read_link(format!("/proc/{}/ns/net", engine.network_pid())).expect("a namespace");
    assert_eq!(engine.output(&in_host).stdout.trim_end(), own.to_string_lossy());
}

#[test]
fn containers_that_are_kept_apart_meet_by_links_and_published_ports() {
    let engine = engine_with(&["--icc=false"]);
    let outside = OtherHost::beside(&engine);
    let body = merged(publishing(&["18080:80/tcp"]), json!({ "ExposedPorts": { "80/tcp": {} } }));
    let db = engine.create_named("db", &body);
    engine.start(&db);
    let stranger = engine.run(&idle(json!({})));
    let web = engine.create_named("web", &idle(json!({ "HostConfig": { "Links": ["db:database"] } })));
    engine.start(&web);
    let (port, other) =
        (Servers::start(engine.pid(&db), 80, "db"), Servers::start(engine.pid(&db), 81, "hidden"));
    let _web = Servers::start(engine.pid(&web), 80, "web");
    let ip = address(&engine, &db, "IPAddress");
    assert!(ask(engine.pid(&web), (ip, 80)).is_ok(), "the link leads to what is exposed");
    assert!(unreachable(engine.pid(&web), (ip, 81)), "and to nothing else");
    assert!(unreachable(engine.pid(&db), (address(&engine, &web, "IPAddress"), 80)), "nor the other way");
    assert!(unreachable(engine.pid(&stranger), (ip, 80)));
    let gateway = address(&engine, &db, "Gateway");
    assert!(ask(engine.pid(&stranger), (gateway, 18080)).is_ok(), "what is published is for everybody");
    assert!(ask(outside.pid(), (OtherHost::ENGINE, 18080)).is_ok());
    drop((port, other));
    // The exception follows the target to its new address and is removed with the link.
    let _ = engine.post("/containers/db/restart?t=0").expect(204);
    let ip = address(&engine, &db, "IPAddress");
    let _port = Servers::start(engine.pid(&db), 80, "db");
    assert!(ask(engine.pid(&web), (ip, 80)).is_ok());
    let _ = engine.delete("/containers/web/database?link=1").expect(204);
    assert!(unreachable(engine.pid(&web), (ip, 80)));
}

#[test]
fn the_way_to_a_container_that_has_ended_stays_closed_over_a_restart_of_the_daemon() {
    let mut engine = engine_with(&["--icc=false"]);
    let db = engine.create_named("db", &idle(json!({ "ExposedPorts": { "80/tcp": {} } })));
    engine.start(&db);
    let web = engine.create_named("web", &idle(json!({ "HostConfig": { "Links": ["db:database"] } })));
    engine.start(&web);
    let (ip, own) = (address(&engine, &db, "IPAddress"), address(&engine, &web, "IPAddress"));
    let network = engine.network_pid();
    let is_open =
        |ip: Ipv4Addr| rules_of(network).iter().any(|rule| rule.contains(&format!("{own} . {ip} . tcp")));
    assert!(is_open(ip));
    let _ = engine.post("/containers/db/stop?t=0").expect(204);
    assert!(!is_open(ip));
    engine.replace_daemon();
    assert!(!is_open(ip), "another container may have the address");
    engine.start(&db);
    assert!(is_open(address(&engine, &db, "IPAddress")));
}

#[test]
fn addresses_are_not_hidden_where_that_is_not_wanted() {
    let engine = engine_with(&["--ip-masq=false"]);
    let outside = OtherHost::beside(&engine);
    let id = engine.run(&idle(json!({})));
    let ip = address(&engine, &id, "IPAddress");
    let route = format!("ip route add {ip}/32 via {}", OtherHost::ENGINE);
    let _ = in_network_of(outside.pid(), &["sh", "-ec", &route]);
    let _servers = Servers::start(outside.pid(), 7000, "outside");
    assert_eq!(ask(engine.pid(&id), (OtherHost::ADDRESS, 7000)).expect("an answer"), format!("outside {ip}"));
}

#[test]
fn the_hosts_forwarding_is_left_alone_where_that_is_wanted() {
    let forwarding =
        |engine: &Engine| in_network_of(engine.network_pid(), &["cat", "/proc/sys/net/ipv4/ip_forward"]);
    for (flag, expected) in [("--ip-forward=false", "0\n"), ("--ip-forward=true", "1\n")] {
        let engine = Engine::start_with(Options {
            arguments: vec![flag.into()],
            host_setup: vec!["echo 0 > /proc/sys/net/ipv4/ip_forward".into()],
            ..Options::default()
        });
        assert_eq!(forwarding(&engine), expected);
        assert_eq!(engine.log().contains("containers reach only this host"), expected == "0\n");
    }
}

#[test]
fn without_rules_the_administrator_leads_to_ports() {
    let mut engine = Engine::start();
    let host = engine.network_pid();
    engine.kill_daemon();
    assert!(!rules_of(host).is_empty());
    engine.start_daemon_with_flags(&["--iptables=false"]);
    assert_eq!(rules_of(host), std::collections::BTreeSet::new(), "an earlier daemon's are gone too");
    assert!(engine.log().contains("published ports are held but nothing leads to them"));
    let id = engine.run(&publishing(&["18080:80/tcp"]));
    assert_eq!(host_port(&engine, &id, "80/tcp"), 18080);
    let _servers = Servers::start(engine.pid(&id), 80, "web");
    assert!(unreachable(host, (LOCAL, 18080)));
    assert!(ask(host, (address(&engine, &id, "IPAddress"), 80)).is_ok());
    let other = engine.run(&idle(json!({})));
    assert!(ask(engine.pid(&other), (address(&engine, &id, "IPAddress"), 80)).is_ok());
}

#[test]
fn wrong_flags_are_refused_with_words() {
    let directory = std::env::temp_dir().join(format!("berth-flags-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = |name: &str| directory.join(name).display().to_string();
    let cases: [(&[&str], &str); 14] = [
        (&["--bip=10.0.0.1"], "invalid CIDR address: 10.0.0.1"),
        (&["--bip=10.0.0.0/24"], "--bip 10.0.0.0/24 is no address of a host in its network"),
        (&["--bip=10.0.0.1/24", "--bridge=br7"], "You specified -b & --bip, mutually exclusive options"),
        (&["--bip=10.0.0.1/24", "--fixed-cidr=10.1.0.0/25"], "--fixed-cidr 10.1.0.0/25 is not a part of"),
        (&["--fixed-cidr=10.1.0.0/25"], "--fixed-cidr 10.1.0.0/25 is not a part of the bridge's network"),
        (&["--fixed-cidr=foo"], "invalid CIDR address: foo"),
        (&["--bridge=br7"], "bridge br7 does not exist"),
        (&["--bridge=lo"], "lo is not a bridge"),
        (&["--bridge=a/b"], "invalid bridge name \"a/b\""),
        (&["--mtu=10"], "invalid MTU 10"),
        (&["--mtu=big"], "invalid value 'big' for '--mtu <BYTES>'"),
        (&["--ip=foo"], "--ip"),
        (&["--dns=foo"], "\"foo\" is not an IP address"),
        (&["--icc=false", "--iptables=false"], "You specified --iptables=false with --icc=false"),
    ];
    for (flags, text) in cases {
        let output = Command::new("unshare")
            .args(["--net", "--"])
            .arg(program("berth", "BERTH_DAEMON"))
            .args(["daemon", "--host", &format!("unix://{}", path("sock")), "--data-root", &path("data")])
            .args(["--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(flags)
            .output()
            .expect("the daemon");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{flags:?}: {said}");
        assert!(said.contains(text), "{flags:?}: {said}");
    }
    std::fs::remove_dir_all(&directory).expect("the directory to go");
}

#[test]
fn another_bridge_waits_until_containers_are_stopped() {
    let mut engine = Engine::start();
    let id = engine.run(&idle(json!({})));
    let before = address(&engine, &id, "IPAddress");
    engine.kill_daemon();
    assert!(engine.refuses_to_start(&["--bip=10.99.0.1/24"]).contains("which running containers use"));
    assert!(engine.refuses_to_start(&["--bridge=none"]).contains("a running container has the address"));
    engine.start_daemon();
    assert_eq!(address(&engine, &id, "IPAddress"), before);
    engine.remove(&id);
    engine.kill_daemon();
    engine.start_daemon_with_flags(&["--bip=10.99.0.1/24"]);
    let id = engine.run(&idle(json!({})));
    assert_eq!(address(&engine, &id, "Gateway"), Ipv4Addr::new(10, 99, 0, 1));
    engine.remove(&id);
    // As it was, for the check of what is left.
    engine.stop_daemon();
    engine.start_daemon_with_flags(&[]);
}
