//! The containers' files for names, and their paths in inspect.

use berth_tests::{Engine, merged, sh};
use serde_json::json;

use crate::{address, idle};

const USUAL: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

#[test]
fn hosts_and_hostname_say_what_was_asked() {
    let engine = Engine::start();
    let id = engine.run(&idle(json!({
        "Hostname": "box",
        "Domainname": "example.org",
        "HostConfig": { "ExtraHosts": ["one:10.1.2.3", "two:fd00::7"] },
    })));
    let ip = address(&engine, &id, "IPAddress");
    let hosts = engine.exec(&id, &["cat", "/etc/hosts"]).stdout;
    assert_eq!(hosts, format!("{ip}\tbox.example.org box\n{USUAL}10.1.2.3\tone\nfd00::7\ttwo\n"));
    assert_eq!(engine.exec(&id, &["cat", "/etc/hostname"]).stdout, "box.example.org\n");
    assert_eq!(engine.exec(&id, &["hostname"]).stdout, "box.example.org\n");
    assert_eq!(engine.exec(&id, &["cat", "/proc/sys/kernel/domainname"]).stdout, "example.org\n");
    let plain = engine.run(&idle(json!({})));
    let hosts = engine.exec(&plain, &["cat", "/etc/hosts"]).stdout;
    assert_eq!(hosts, format!("{}\t{}\n{USUAL}", address(&engine, &plain, "IPAddress"), &plain[..12]));
    for entry in ["h", "h:foo", ":1.2.3.4", "a b:1.2.3.4"] {
        let body = idle(json!({ "HostConfig": { "ExtraHosts": [entry] } }));
        let text = engine.post_json("/containers/create", &body).expect(500).text();
        assert!(text.contains("add-host"), "{entry}: {text}");
    }
}

#[test]
fn host_gateway_is_the_hosts_address_on_the_bridge() {
    let engine = Engine::start();
    let host = json!({ "ExtraHosts": ["host.docker.internal:host-gateway"] });
    let id = engine.run(&idle(json!({ "HostConfig": host })));
    let hosts = engine.exec(&id, &["cat", "/etc/hosts"]).stdout;
    let line = format!("{}\thost.docker.internal\n", address(&engine, &id, "Gateway"));
    assert!(hosts.ends_with(&line), "{hosts}");
    assert_eq!(engine.inspect(&id)["HostConfig"]["ExtraHosts"], host["ExtraHosts"]);
}

#[test]
fn host_gateway_without_a_bridge_is_refused_at_the_start() {
    let engine = crate::engine_with(&["--bridge", "none"]);
    let host = json!({ "ExtraHosts": ["h:host-gateway"] });
    let id = engine.create(&idle(json!({ "HostConfig": host })));
    let text = crate::refused_start(&engine, &id, 500);
    assert_eq!(text, "unable to derive the IP value for host-gateway: the engine runs without a bridge");
}

#[test]
fn inspect_names_the_files_that_the_container_sees() {
    let mut engine = Engine::start();
    let id = engine.create(&idle(json!({ "HostConfig": { "Dns": ["9.9.9.9"] } })));
    let files = [
        ("HostsPath", "/etc/hosts"),
        ("HostnamePath", "/etc/hostname"),
        ("ResolvConfPath", "/etc/resolv.conf"),
    ];
    for (field, _) in files {
        assert_eq!(engine.inspect(&id)[field], "", "there are none before the start");
    }
    engine.start(&id);
    for round in 0..2 {
        for (field, place) in files {
            let path = engine.inspect(&id)[field].as_str().expect("a path").to_owned();
            let outside = std::fs::read_to_string(&path).expect("the file");
            assert_eq!(outside, engine.exec(&id, &["cat", place]).stdout, "{field}, round {round}");
            assert!(!outside.is_empty());
        }
        // What is written inside is seen outside, and by the next run it is made anew.
        let _ = engine.exec(&id, &["sh", "-c", "echo '10.9.9.9 mine' >> /etc/hosts"]);
        let path = engine.inspect(&id)["HostsPath"].as_str().expect("a path").to_owned();
        assert!(std::fs::read_to_string(&path).expect("the file").contains("10.9.9.9 mine"));
        engine.replace_daemon();
        let _ = engine.post(&format!("/containers/{id}/restart?t=0")).expect(204);
        assert!(!engine.exec(&id, &["cat", "/etc/hosts"]).stdout.contains("mine"));
    }
}

#[test]
fn name_servers_are_the_hosts_that_can_be_reached_or_those_asked_for() {
    let engine = Engine::start();
    let resolv = |over: serde_json::Value| {
        engine.output(&merged(sh("cat /etc/resolv.conf"), json!({ "HostConfig": over }))).stdout
    };
    let servers = |text: &str| -> Vec<String> {
        let named = text.lines().filter_map(|line| line.strip_prefix("nameserver "));
        named.map(|server| server.trim().to_owned()).collect()
    };
    let inherited = servers(&resolv(json!({})));
    assert!(!inherited.is_empty(), "there is always one to ask");
    assert!(inherited.iter().all(|server| !server.starts_with("127.") && server != "::1"), "{inherited:?}");
    let asked = resolv(json!({ "Dns": ["9.9.9.9", "fd00::53"], "DnsSearch": ["a.example", "b.example"] }));
    assert_eq!(asked, "nameserver 9.9.9.9\nnameserver fd00::53\nsearch a.example b.example\n");
    let searching = resolv(json!({ "DnsSearch": ["a.example"] }));
    assert_eq!(servers(&searching), inherited);
    assert!(searching.contains("search a.example\n"), "{searching}");
    assert!(!resolv(json!({ "Dns": ["9.9.9.9"], "DnsSearch": ["."] })).contains("search"));
}
