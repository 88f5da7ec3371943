//! Networks on interfaces of the host, of the drivers macvlan and ipvlan. A kernel without such interfaces is
//! reported; their function is tested where they exist: the emulated machine of `vm` has them, and sets
//! `BERTH_ALL_KINDS`.

use berth_tests::today::Today;
use berth_tests::{Engine, Options, host, merged, sh, wait};
use serde_json::{Value, json};

/// A cable of which the host's other end answers as a router at 10.95.0.1 and fd95::1.
const CABLE: &str = "ip link add up0 type veth peer name up1 && ip addr add 10.95.0.1/24 dev up1 && \
                     ip -6 addr add fd95::1/64 dev up1 nodad && ip link set up0 up && ip link set up1 up";

/// Before scripts that call ip(8): the shell of busybox has one of its own, which knows less.
const IP: &str =
    "ip() { for path in /usr/bin/ip /usr/sbin/ip; do [ -x $path ] && break; done; $path \"$@\"; }";

/// Whether this kernel can make interfaces of the kind.
fn has(engine: &Engine, kind: &str) -> bool {
    let (lower, extra) = match kind {
        "dummy" => ("", ""),
        "vlan" => ("link up0", "id 77"),
        _ => ("link up0", ""),
    };
    let script = format!(
        "{IP}\nip link add {lower} name probe type {kind} {extra} 2>/dev/null && ip link delete probe && echo yes || true"
    );
    host::in_network_of(engine.network_pid(), &["sh", "-c", &script]).contains("yes")
}

/// An engine with a cable, if the kernel can make interfaces of all these kinds.
fn with_cable(kinds: &[&str]) -> Option<Today> {
    let daemon =
        Engine::start_with(Options { host_setup: vec![format!("{IP}\n{CABLE}")], ..Options::default() });
    let all = kinds.iter().all(|kind| has(&daemon, kind));
    let wanted = std::env::var_os("BERTH_ALL_KINDS").is_some();
    assert!(all || !wanted, "this kernel is said to have interfaces of the kinds {kinds:?}");
    all.then_some(Today::of(daemon))
}

fn dual(name: &str, driver: &str, options: Value) -> Value {
    let pools = json!([{ "Subnet": "10.95.0.0/24" }, { "Subnet": "fd95::/64" }]);
    let addresses = json!({ "Config": pools });
    json!({ "Name": name, "Driver": driver, "EnableIPv6": true, "IPAM": addresses, "Options": options })
}

fn within(network: &str, name: &str) -> Value {
    merged(sh("sleep 600"), json!({ "Hostname": name, "HostConfig": { "NetworkMode": network } }))
}

fn make(engine: &Today, body: &Value) -> String {
    let answer = engine.post_json("/networks/create", body).expect(201).json();
    answer["Id"].as_str().expect("an id").to_owned()
}

fn script(engine: &Today, container: &str, script: &str) -> String {
    engine.daemon.exec(container, &["sh", "-c", script]).stdout
}

/// The addresses and the default routes, as a container sees them.
fn inside(engine: &Today, container: &str) -> String {
    script(
        engine,
        container,
        "ip -o addr show scope global | awk '{ print $2, $4 }'; ip route | grep ^default; ip -6 route | grep ^default",
    )
}

/// Whether a container reaches a name or an address.
fn reaches(engine: &Today, container: &str, other: &str) -> bool {
    script(engine, container, &format!("ping -c 1 -W 3 {other} > /dev/null && echo reached"))
        .contains("reached")
}

fn links(engine: &Today) -> String {
    host::interfaces_of(engine.daemon.network_pid()).into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let engine = Today::start();
    let before = (links(&engine), engine.get("/networks").expect(200).json().as_array().map(Vec::len));
    for (driver, options, status, words) in [
        ("macvlan", json!({ "macvlan_mode": "l2" }), 400, "macvlan_mode"),
        ("ipvlan", json!({ "ipvlan_mode": "bridge" }), 400, "ipvlan_mode"),
        ("ipvlan", json!({ "ipvlan_flag": "none" }), 400, "ipvlan_flag"),
        ("macvlan", json!({ "com.docker.network.driver.mtu": "x" }), 400, "mtu"),
    ] {
        let text = engine.post_json("/networks/create", &dual("x", driver, options)).expect(status).text();
        assert!(text.contains(words), "{text}");
    }
    for kind in ["macvlan", "ipvlan"] {
        let wanted = host::in_network_of(
            engine.daemon.network_pid(),
            &[
                "sh",
                "-c",
                &format!(
                    "{IP}\nip link add base0 type veth peer name base1; ip link add link base0 name probe type {kind} 2>/dev/null \
             && echo yes; ip link delete base0; true"
                ),
            ],
        );
        for (parent, has_it) in
            [("nosuch", "was not found"), ("nosuch.7", "was not found"), ("lo", "loopback")]
        {
            let body = dual("x", kind, json!({ "parent": parent }));
            let answer = engine.post_json("/networks/create", &body);
            let (status, text) = (answer.status(), answer.text());
            match wanted.contains("yes") {
                true => assert!(status == 400 && text.contains(has_it), "{status} {text}"),
                // The kernel's lack is reported before the parent is looked up.
                false => assert!(status == 501 && text.contains(kind), "{status} {text}"),
            }
        }
    }
    let after = (links(&engine), engine.get("/networks").expect(200).json().as_array().map(Vec::len));
    assert_eq!(after, before);
}

#[test]
fn containers_are_on_the_parent_with_addresses_of_their_own() {
    let Some(mut engine) = with_cable(&["macvlan"]) else { return };
    make(&engine, &dual("out", "macvlan", json!({ "parent": "up0" })));
    let settings = json!({ "out": { "MacAddress": "02:42:ac:01:02:03" } });
    let body = merged(within("out", "one"), json!({ "NetworkingConfig": { "EndpointsConfig": settings } }));
    let (one, two) = (engine.run(&body), engine.run(&within("out", "two")));
    let seen = inside(&engine, &one);
    for part in [
        "eth0 10.95.0.2/24",
        "eth0 fd95::2/64",
        "default via 10.95.0.1 dev eth0",
        "default via fd95::1 dev eth0",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert_eq!(script(&engine, &one, "cat /sys/class/net/eth0/address"), "02:42:ac:01:02:03\n");
    for (from, to) in [(&one, "two"), (&two, "one"), (&one, "10.95.0.1"), (&one, "10.95.0.3")] {
        assert!(reaches(&engine, from, to), "{to}");
    }
    assert!(script(&engine, &one, "ping -6 -c 1 -W 3 fd95::3 > /dev/null && echo yes").contains("yes"));
    let text = engine
        .post_json(
            "/networks/create",
            &json!({ "Name": "y", "Driver": "ipvlan",
        "Options": { "parent": "up0" } }),
        )
        .expect(403)
        .text();
    assert!(text.contains("already using parent interface up0"), "{text}");
    // What the next daemon finds it takes over, and gives back.
    engine.daemon.replace_daemon();
    assert!(reaches(&engine, &two, "one"));
    let body = json!({ "Container": two });
    let _ = engine.post_json("/networks/out/disconnect", &body).expect(200);
    assert_eq!(inside(&engine, &two), "");
    let _ = engine.post_json("/networks/out/connect", &body).expect(200);
    assert!(inside(&engine, &two).contains("eth0 10.95.0.3/24") && reaches(&engine, &two, "one"));
    let _ = engine.delete(&format!("/containers/{one}?force=1")).expect(204);
    let three = engine.run(&within("out", "three"));
    assert!(inside(&engine, &three).contains("10.95.0.2/24"), "the address is free again");
}

#[test]
fn a_vlan_is_made_for_a_network_and_goes_with_it() {
    let Some(engine) = with_cable(&["macvlan", "vlan"]) else { return };
    make(&engine, &dual("tagged", "macvlan", json!({ "parent": "up0.50" })));
    assert!(links(&engine).contains("up0.50"), "{}", links(&engine));
    let (one, _two) = (engine.run(&within("tagged", "one")), engine.run(&within("tagged", "two")));
    assert!(
        reaches(&engine, &one, "two") && !reaches(&engine, &one, "10.95.0.1"),
        "another VLAN than the router's"
    );
    let text = engine
        .post_json(
            "/networks/create",
            &json!({ "Name": "x", "Driver": "macvlan",
        "Options": { "parent": "up0.5000" } }),
        )
        .expect(400)
        .text();
    assert!(text.contains("up0.5000"), "{text}");
    for container in engine.get("/containers/json?all=1").expect(200).json().as_array().into_iter().flatten()
    {
        let id = container["Id"].as_str().expect("an id");
        let _ = engine.delete(&format!("/containers/{id}?force=1")).expect(204);
    }
    let _ = engine.delete("/networks/tagged").expect(204);
    assert!(!links(&engine).contains("up0.50"), "{}", links(&engine));
}

#[test]
fn a_network_on_nothing_leads_nowhere() {
    let Some(engine) = with_cable(&["macvlan", "dummy", "ipvlan"]) else { return };
    for (driver, prefix, subnet) in [("macvlan", "dm-", "10.96.0.0/24"), ("ipvlan", "di-", "10.97.0.0/24")] {
        let body = json!({ "Name": driver, "Driver": driver, "IPAM": { "Config": [{ "Subnet": subnet }] } });
        let id = make(&engine, &body);
        assert!(links(&engine).contains(&format!("{prefix}{}", &id[..12])), "{}", links(&engine));
        assert_eq!(engine.get(&format!("/networks/{id}")).expect(200).json()["Internal"], true);
        let one = engine.run(&within(driver, &format!("one-{driver}")));
        let _two = engine.run(&within(driver, &format!("two-{driver}")));
        assert!(!inside(&engine, &one).contains("default"), "{}", inside(&engine, &one));
        assert!(reaches(&engine, &one, &format!("two-{driver}")), "{driver}");
    }
}

#[test]
fn modes_say_what_passes_between_containers() {
    let Some(engine) = with_cable(&["macvlan"]) else { return };
    make(&engine, &dual("private", "macvlan", json!({ "parent": "up0", "macvlan_mode": "private" })));
    let (one, _two) = (engine.run(&within("private", "one")), engine.run(&within("private", "two")));
    assert!(reaches(&engine, &one, "10.95.0.1") && !reaches(&engine, &one, "10.95.0.3"));
    for container in engine.get("/containers/json").expect(200).json().as_array().into_iter().flatten() {
        let id = container["Id"].as_str().expect("an id");
        let _ = engine.delete(&format!("/containers/{id}?force=1")).expect(204);
    }
    let _ = engine.delete("/networks/private").expect(204);
    make(&engine, &dual("alone", "macvlan", json!({ "parent": "up0", "macvlan_mode": "passthru" })));
    let one = engine.run(&within("alone", "one"));
    assert!(reaches(&engine, &one, "10.95.0.1"));
    let shown = engine.inspect(&one)["NetworkSettings"]["Networks"]["alone"]["MacAddress"].clone();
    assert_eq!(json!(script(&engine, &one, "cat /sys/class/net/eth0/address").trim()), shown);
    let second = engine.create(&within("alone", "two"));
    let text = engine.post(&format!("/containers/{second}/start")).expect(500).text();
    assert!(text.contains("cannot create interface"), "{text}");
    let _ = engine.delete(&format!("/containers/{one}?force=1")).expect(204);
    wait::until("the parent is free", || {
        (engine.post(&format!("/containers/{second}/start")).status() == 204).then_some(())
    });
}

#[test]
fn ipvlan_shares_the_hardware_address_and_routes_where_it_is_asked_to() {
    let Some(engine) = with_cable(&["ipvlan"]) else { return };
    for mode in ["l2", "l3", "l3s"] {
        make(&engine, &dual(mode, "ipvlan", json!({ "parent": "up0", "ipvlan_mode": mode })));
        let (one, two) = (engine.run(&within(mode, "one")), engine.run(&within(mode, "two")));
        let seen = inside(&engine, &one);
        let route = if mode == "l2" { "default via 10.95.0.1 dev eth0" } else { "default dev eth0" };
        assert!(seen.contains("eth0 10.95.0.2/24") && seen.contains(route), "{mode}: {seen}");
        assert!(seen.contains("fd95::2/64"), "{mode}: {seen}");
        assert!(reaches(&engine, &one, "two"), "{mode}");
        let mac = |container: &str| script(&engine, container, "cat /sys/class/net/eth0/address");
        assert_eq!(mac(&one), mac(&two));
        let shown = engine.inspect(&one)["NetworkSettings"]["Networks"][mode].clone();
        assert_eq!(shown["Gateway"], if mode == "l2" { "10.95.0.1" } else { "" });
        assert_eq!(shown["MacAddress"], mac(&one).trim());
        for container in [&one, &two] {
            let _ = engine.delete(&format!("/containers/{container}?force=1")).expect(204);
        }
        let _ = engine.delete(&format!("/networks/{mode}")).expect(204);
    }
}
