//! The bridge, its addresses, published ports, the other network modes.

use berth_tests::host::{self, links_of};
use berth_tests::{Engine, Options, merged, sh};
use serde_json::{Value, json};

/// The image's `/etc/shadow`.
const SERVED: &str = "root:*:1::::::\n";

/// A web server that serves the image's `/etc`.
fn server(over: Value) -> Value {
    merged(json!({ "Image": "busybox", "Cmd": ["httpd", "-f", "-p", "80", "-h", "/etc"] }), over)
}

/// What a web server answers, asked from the engine's host.
fn fetch(engine: &Engine, address: &str) -> String {
    let address = if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
    host::fetch(engine.network_pid(), address.parse().expect("an address"), "/shadow")
}

#[test]
fn containers_reach_each_other_and_the_host() {
    let engine = Engine::start();
    let id = engine.run(&server(json!({})));
    let network = engine.inspect(&id)["NetworkSettings"].clone();
    let address = network["IPAddress"].as_str().expect("an address").to_owned();
    let gateway = network["Gateway"].as_str().expect("a gateway").to_owned();
    assert_eq!(fetch(&engine, &address), SERVED);
    let other = engine.output(&sh(&format!(
        "wget -q -O - http://{address}/shadow; ping -c 1 -W 5 {gateway} > /dev/null && echo gateway"
    )));
    assert_eq!(other.stdout, format!("{SERVED}gateway\n"), "{}", other.stderr);
    let own = engine.exec(&id, &["ip", "-o", "addr"]).stdout;
    assert!(own.contains(&address) && own.contains("127.0.0.1/8"), "{own}");
    let mac = network["MacAddress"].as_str().expect("a hardware address").to_owned();
    assert!(engine.exec(&id, &["ip", "-o", "link"]).stdout.contains(&mac));
}

#[test]
fn published_ports_answer_at_once_from_everywhere() {
    let engine = Engine::start();
    let ports = json!({ "ExposedPorts": { "80/tcp": {} }, "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "18080" }] } } });
    let id = engine.run(&server(ports));
    let gateway = engine.inspect(&id)["NetworkSettings"]["Gateway"].as_str().expect("a gateway").to_owned();
    assert_eq!(fetch(&engine, "127.0.0.1:18080"), SERVED);
    assert_eq!(fetch(&engine, &format!("{gateway}:18080")), SERVED);
    let other = engine.output(&sh(&format!("wget -q -O - http://{gateway}:18080/shadow")));
    assert_eq!(other.stdout, SERVED, "{}", other.stderr);
    let shown = engine.inspect(&id)["NetworkSettings"]["Ports"]["80/tcp"].clone();
    assert_eq!(shown, json!([{ "HostIp": "0.0.0.0", "HostPort": "18080" }]));
}

#[test]
fn a_free_port_is_chosen_and_a_taken_one_refused() {
    let engine = Engine::start();
    let free = json!({ "ExposedPorts": { "80/tcp": {} }, "HostConfig": { "PublishAllPorts": true } });
    let id = engine.run(&server(free));
    let port = engine.inspect(&id)["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
        .as_str()
        .expect("a port")
        .to_owned();
    assert_eq!(fetch(&engine, &format!("127.0.0.1:{port}")), SERVED);
    let taken = json!({ "ExposedPorts": { "80/tcp": {} }, "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": port }] } } });
    let other = engine.create(&server(taken));
    let answer = engine.post(&format!("/containers/{other}/start")).expect(500);
    assert!(answer.text().contains("port is already allocated"), "{}", answer.text());
    assert_eq!(engine.state(&other, "Running"), false);
    engine.remove(&id);
    engine.start(&other);
    assert_eq!(fetch(&engine, &format!("127.0.0.1:{port}")), SERVED);
}

#[test]
fn without_a_network_there_is_only_a_loopback() {
    let engine = Engine::start();
    let output = engine.output(&merged(
        sh("ls /sys/class/net; ip -o link | wc -l"),
        json!({ "HostConfig": { "NetworkMode": "none" } }),
    ));
    assert_eq!(output.stdout, "lo\n1\n");
    let output = engine.output(&merged(sh("ip -o link | wc -l"), json!({ "NetworkDisabled": true })));
    assert_eq!(output.stdout, "1\n");
}

#[test]
fn another_containers_network_is_shared() {
    let engine = Engine::start();
    let id = engine.create_named("owner", &server(json!({})));
    engine.start(&id);
    let output = engine.output(&merged(
        sh("wget -q -O - http://127.0.0.1/shadow"),
        json!({ "HostConfig": { "NetworkMode": "container:owner" } }),
    ));
    assert_eq!(output.stdout, SERVED, "{}", output.stderr);
}

#[test]
fn addresses_are_given_back() {
    let engine = Engine::start_with(Options {
        arguments: vec!["--bip".into(), "10.77.0.1/29".into()],
        ..Options::default()
    });
    for _ in 0..3 {
        let ids: Vec<String> = (0..5).map(|_| engine.run(&sh("sleep 600"))).collect();
        let mut addresses: Vec<String> = ids
            .iter()
            .map(|id| {
                engine.inspect(id)["NetworkSettings"]["IPAddress"].as_str().expect("an address").to_owned()
            })
            .collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 5, "{addresses:?}");
        assert!(addresses.iter().all(|address| address.starts_with("10.77.0.")), "{addresses:?}");
        let extra = engine.create(&sh("sleep 600"));
        let answer = engine.post(&format!("/containers/{extra}/start"));
        assert_eq!(answer.status(), 500, "five addresses are free beside the bridge's: {}", answer.text());
        for id in ids.iter().chain([&extra]) {
            engine.remove(id);
        }
    }
}

#[test]
fn links_go_with_their_containers() {
    let engine = Engine::start();
    let before = links_of(engine.network_pid());
    let id = engine.run(&sh("sleep 600"));
    assert_eq!(links_of(engine.network_pid()).len(), before.len() + 1);
    engine.remove(&id);
    berth_tests::wait::until("the link's end", || (links_of(engine.network_pid()) == before).then_some(()));
}

#[test]
fn a_hardware_address_is_kept() {
    let engine = Engine::start();
    let output = engine
        .output(&merged(sh("cat /sys/class/net/eth0/address"), json!({ "MacAddress": "02:42:ac:11:00:99" })));
    assert_eq!(output.stdout, "02:42:ac:11:00:99\n");
}
