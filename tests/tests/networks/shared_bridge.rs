//! Networks on a bridge that was made elsewhere: it stays as it is, except for the network's own addresses.

use berth_tests::host::in_network_of;
use berth_tests::other_host::{OtherHost, Servers, ask};
use serde_json::json;

use super::*;

/// Runs a script in the engine's network.
fn on_host(engine: &Today, script: &str) -> String {
    in_network_of(engine.daemon.network_pid(), &["sh", "-ec", script])
}

/// The MTU and the addresses of a bridge.
fn state(engine: &Today, name: &str) -> String {
    let script = format!(
        "ip -o link show dev {name} | grep -o 'mtu [0-9]*'; \
         ip -o addr show dev {name} scope global | awk '{{ print $4 }}' | sort"
    );
    on_host(engine, &script)
}

fn on_bridge(name: &str, pools: Value) -> Value {
    let options = json!({ "com.docker.network.bridge.name": name });
    json!({ "Name": "shared", "Options": options, "IPAM": { "Config": pools } })
}

#[test]
fn a_bridge_of_somebody_else_keeps_what_it_has() {
    let mut engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    let _ = on_host(
        &engine,
        "ip link add adm type bridge; ip link set adm mtu 1400 up; ip addr add 10.99.0.1/24 dev adm; \
         ip -6 addr add fd99::1/64 dev adm nodad",
    );
    let before = state(&engine, "adm");
    assert_eq!(before, "mtu 1400\n10.99.0.1/24\nfd99::1/64\n");
    // Its own address is the network's gateway, or the network has one of its own beside it.
    for (gateway, pool, added) in [
        ("10.99.0.1", json!([{ "Subnet": "10.99.0.0/24", "Gateway": "10.99.0.1" }]), ""),
        ("10.98.0.1", json!([{ "Subnet": "10.98.0.0/24" }]), "10.98.0.1/24\n"),
    ] {
        let _ = engine.post_json("/networks/create", &on_bridge("adm", pool)).expect(201);
        assert_eq!(state(&engine, "adm"), before.replace("10.99", &format!("{added}10.99")));
        let web = engine.run(&within("shared"));
        let _servers = Servers::start(outside.pid(), 80, "outside");
        for _ in 0..2 {
            assert_eq!(endpoint(&engine, &web, "shared")["Gateway"], gateway);
            assert!(ask(engine.pid(&web), (OtherHost::ADDRESS, 80)).is_ok(), "the way out by {gateway}");
            engine.daemon.replace_daemon();
        }
        let _ = engine.delete(&format!("/containers/{web}?force=1")).expect(204);
        let _ = engine.delete("/networks/shared").expect(204);
        assert_eq!(state(&engine, "adm"), before, "after the network of {gateway}");
    }
    // A network on which the host has no address adds none, and has none to take away.
    let without = on_bridge("adm", json!([{ "Subnet": "10.97.0.0/24" }]));
    let inhibited = json!({ "Options": { "com.docker.network.bridge.inhibit_ipv4": "true" } });
    let _ = engine.post_json("/networks/create", &merged(without, inhibited)).expect(201);
    assert_eq!(state(&engine, "adm"), before);
    let _ = engine.delete("/networks/shared").expect(204);
    let refused = on_bridge("adm", json!([{ "Subnet": "::/0" }]));
    let text =
        engine.post_json("/networks/create", &merged(refused, json!({ "EnableIPv6": true }))).expect(400);
    assert!(text.text().contains("::/0"), "{}", text.text());
    assert_eq!(state(&engine, "adm"), before, "after a refusal");
    let _ = on_host(&engine, "ip link del adm");
}

#[test]
fn what_the_owner_of_a_bridge_took_away_is_no_obstacle_to_the_networks_removal() {
    let engine = Today::start();
    let pools = json!([{ "Subnet": "10.98.0.0/24" }, { "Subnet": "fd98::/64" }]);
    let body = merged(on_bridge("adm", pools), json!({ "EnableIPv6": true }));
    for taken in ["ip addr flush dev adm", "ip link del adm"] {
        let _ = on_host(&engine, "ip link add adm type bridge; ip link set adm up");
        let _ = engine.post_json("/networks/create", &body).expect(201);
        let _ = on_host(&engine, taken);
        let _ = engine.delete("/networks/shared").expect(204);
        let _ = engine.get("/networks/shared").expect(404);
        let _ = on_host(&engine, "ip link del adm 2>/dev/null || true");
    }
}

#[test]
fn a_bridge_may_have_any_name_that_the_kernel_takes() {
    let engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    let _servers = Servers::start(outside.pid(), 80, "outside");
    let pool = json!([{ "Subnet": "10.97.0.0/24" }]);
    // Interfaces of containers begin so.
    let _ = engine.post_json("/networks/create", &on_bridge("btfoo", pool.clone())).expect(201);
    let container = engine.run(&within("shared"));
    assert!(ask(engine.pid(&container), (OtherHost::ADDRESS, 80)).is_ok(), "the way out");
    let _ = engine.delete(&format!("/containers/{container}?force=1")).expect(204);
    let _ = engine.delete("/networks/shared").expect(204);
    for name in ["br%d", "all", "default", "..", "a/b"] {
        let text = engine.post_json("/networks/create", &on_bridge(name, pool.clone())).expect(400).text();
        assert!(text.contains(name), "{text}");
    }
    let left = on_host(&engine, "ip -o link show type bridge");
    assert!(!left.contains("br0:"), "{left}");
}
