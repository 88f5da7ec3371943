//! Containers in several networks: at create, at the start, and while they run.

use berth_tests::wait;
use serde_json::json;

use super::*;

fn two(engine: &Client) {
    network(engine, "a", "10.80.0.0/24", json!({}));
    network(engine, "b", "10.81.0.0/24", json!({}));
}

#[test]
fn a_create_that_a_network_refuses_leaves_the_name_free() {
    let engine = Today::start();
    network(&engine, "a", "10.80.0.0/24", json!({}));
    network(&engine, "b", "10.81.0.0/24", json!({}));
    let with = |mode: &str, endpoints: Value| {
        merged(within(mode), json!({ "NetworkingConfig": { "EndpointsConfig": endpoints } }))
    };
    let named = |name: &str| json!({ "DriverOpts": { "com.docker.network.endpoint.ifname": name } });
    for (body, word) in [
        (with("a", json!({ "a": { "IPAMConfig": { "IPv4Address": "10.8.0.1" } } })), "10.8.0.1"),
        (
            with("a", json!({ "a": { "DriverOpts": { "com.docker.network.endpoint.sysctls": "x=1" } } })),
            "x=1",
        ),
        (with("default", json!({ "bridge": { "Aliases": ["x"] } })), "aliases"),
        (with("default", json!({ "host": {} })), "host mode"),
        (with("a", json!({ "a": {}, "none": {} })), "none mode"),
        (with("a", json!({ "": {} })), "the name of the network is empty"),
        (with("a", json!({ "a": named("wan"), "b": named("wan") })), "wan"),
    ] {
        let text = engine.post_json("/containers/create?name=held", &body).expect(400).text();
        assert!(text.contains(word), "{body}: {text}");
    }
    let _ = engine.post_json("/containers/create?name=held", &within("a")).expect(201);
    // What stands beside the list of networks is the default bridge's.
    engine.start("held");
    let connected = |engine: &Client| engine.inspect("held")["NetworkSettings"]["IPAddress"].clone();
    assert_eq!(connected(&engine.daemon.at("1.44")), "");
    assert_eq!(connected(&engine.daemon.at("1.20")), "10.80.0.2");
    connect(&engine, "bridge", "held", json!({}));
    assert_ne!(connected(&engine.daemon.at("1.44")), "");
}

#[test]
fn a_running_container_is_connected_and_disconnected_at_once() {
    let engine = Today::start();
    two(&engine);
    let container = engine.run(&within("b"));
    assert_eq!(inside(&engine, &container), "eth0 10.81.0.2/24\ndefault 10.81.0.1 eth0\n");
    let interfaces = || engine.exec(&container, &["ls", "/sys/class/net"]).stdout;
    let alone = interfaces();
    connect(
        &engine,
        "a",
        &container,
        json!({ "IPAMConfig": { "IPv4Address": "10.80.0.77" }, "Aliases": ["x"] }),
    );
    let both = "eth0 10.81.0.2/24\neth1 10.80.0.77/24\ndefault 10.80.0.1 eth1\n";
    assert_eq!(inside(&engine, &container), both, "the first network by name leads");
    let shown = endpoint(&engine, &container, "a");
    assert_eq!(shown["IPAMConfig"], json!({ "IPv4Address": "10.80.0.77" }));
    assert_eq!((&shown["Gateway"], &shown["Aliases"]), (&json!("10.80.0.1"), &json!(["x"])));
    let hosts = || engine.exec(&container, &["cat", "/etc/hosts"]).stdout;
    let first: Vec<String> =
        hosts().lines().take(2).filter_map(|line| Some(line.split('\t').next()?.to_owned())).collect();
    assert_eq!(first, ["10.81.0.2", "10.80.0.77"], "the name of the container means its first address still");
    let body = json!({ "Container": container });
    let text = engine.post_json("/networks/a/connect", &body).expect(403).text();
    assert!(text.contains("already exists"), "{text}");
    disconnect(&engine, "a", &container);
    assert_eq!(interfaces(), alone, "gone, also under another name");
    assert_eq!(inside(&engine, &container), "eth0 10.81.0.2/24\ndefault 10.81.0.1 eth0\n");
    assert!(!hosts().contains("10.80.0.77"), "{}", hosts());
    disconnect(&engine, "b", &container);
    assert_eq!(inside(&engine, &container), "");
    connect(&engine, "a", &container, json!({}));
    assert_eq!(inside(&engine, &container), "eth0 10.80.0.2/24\ndefault 10.80.0.1 eth0\n");
    let text = engine.post_json("/networks/b/disconnect", &body).expect(400).text();
    assert!(text.contains("not connected"), "{text}");
}

#[test]
fn a_container_starts_in_all_its_networks_again() {
    let engine = Today::start();
    two(&engine);
    let endpoints =
        json!({ "a": { "GwPriority": 1 }, "b": { "IPAMConfig": { "IPv4Address": "10.81.0.9" } } });
    let body = merged(within("b"), json!({ "NetworkingConfig": { "EndpointsConfig": endpoints } }));
    let container = engine.create(&body);
    assert_eq!(endpoint(&engine, &container, "b")["IPAddress"], "");
    let both = "eth0 10.80.0.2/24\neth1 10.81.0.9/24\ndefault 10.80.0.1 eth0\n";
    for _ in 0..2 {
        engine.start(&container);
        assert_eq!(inside(&engine, &container), both);
        let _ = engine.post(&format!("/containers/{container}/stop?t=0")).expect(204);
    }
    disconnect(&engine, "a", &container);
    connect(&engine, "bridge", &container, json!({}));
    engine.start(&container);
    let shown = engine.inspect(&container)["NetworkSettings"]["Networks"].clone();
    assert_eq!(shown.as_object().expect("networks").keys().collect::<Vec<_>>(), ["b", "bridge"]);
    let old = engine.at("1.20").inspect(&container)["NetworkSettings"].clone();
    assert_eq!((&old["IPAddress"], &old["Gateway"]), (&json!("10.81.0.9"), &json!("10.81.0.1")));
    assert!(old.get("Networks").is_none(), "{old}");
    let _ = engine.at("1.43").post_json("/containers/create", &body).expect(400);
}

#[test]
fn a_connect_that_fails_changes_nothing() {
    let engine = Today::start();
    two(&engine);
    let container = engine.run(&within("a"));
    let before = engine.inspect(&container)["NetworkSettings"].clone();
    let try_connect = |network: &str, settings: serde_json::Value, status| {
        let body = json!({ "Container": container, "EndpointConfig": settings });
        engine.post_json(&format!("/networks/{network}/connect"), &body).expect(status).text()
    };
    for (network, settings, status, word) in [
        ("b", json!({ "IPAMConfig": { "IPv4Address": "10.81.0.1" } }), 403, "Address already in use"),
        ("b", json!({ "IPAMConfig": { "IPv4Address": "10.99.0.1" } }), 400, "subnet"),
        ("b", json!({ "IPAMConfig": { "IPv4Address": "foo" } }), 400, "foo"),
        ("b", json!({ "DriverOpts": { "com.docker.network.endpoint.sysctls": "x=1" } }), 400, "sysctl"),
        (
            "b",
            json!({ "DriverOpts": { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.nosuch=1" } }),
            500,
            "nosuch",
        ),
        ("bridge", json!({ "Aliases": ["x"] }), 400, "alias"),
        ("host", json!({}), 400, "host"),
        ("none", json!({}), 400, "none"),
        ("nosuch", json!({}), 404, "nosuch"),
    ] {
        let text = try_connect(network, settings, status);
        assert!(text.contains(word), "{network}: {text}");
    }
    assert_eq!(engine.inspect(&container)["NetworkSettings"], before);
    assert_eq!(shown(&engine, "b")["Containers"], json!({}));
    assert_eq!(inside(&engine, &container), "eth0 10.80.0.2/24\ndefault 10.80.0.1 eth0\n");
    connect(&engine, "b", &container, json!({}));
    assert_eq!(address(&engine, &container, "b"), Ipv4Addr::new(10, 81, 0, 2));
}

#[test]
fn a_container_that_has_ended_unseen_is_connected_for_its_next_start_and_disconnected() {
    let engine = Today::start();
    two(&engine);
    let container = engine.run(&within("a"));
    let init = engine.pid(&container);
    let shims: Vec<u32> = engine.daemon.shims().into_iter().collect();
    let signal = |pid: u32, signal| {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("sent");
    };
    // The shim cannot report its end.
    signal(shims[0], rustix::process::Signal::STOP);
    signal(init, rustix::process::Signal::KILL);
    wait::until("the end of its network", || {
        std::fs::File::open(format!("/proc/{init}/ns/net")).is_err().then_some(())
    });
    connect(&engine, "b", &container, json!({ "IPAMConfig": { "IPv4Address": "10.81.0.7" } }));
    disconnect(&engine, "a", &container);
    signal(shims[0], rustix::process::Signal::CONT);
    let _ = engine.wait(&container);
    engine.start(&container);
    assert_eq!(inside(&engine, &container), "eth0 10.81.0.7/24\ndefault 10.81.0.1 eth0\n");
    assert_eq!(address(&engine, &engine.run(&within("a")), "a"), Ipv4Addr::new(10, 80, 0, 2), "it is free");
}

#[test]
fn interfaces_have_the_names_addresses_and_settings_that_are_asked_for() {
    let engine = Today::start();
    two(&engine);
    let options = json!({ "com.docker.network.endpoint.ifname": "wan7",
                          "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1" });
    let settings = json!({ "DriverOpts": options, "MacAddress": "02:42:ac:01:02:03",
                           "IPAMConfig": { "LinkLocalIPs": ["169.254.34.68"] } });
    let body = merged(within("a"), json!({ "NetworkingConfig": { "EndpointsConfig": { "a": settings } } }));
    let container = engine.run(&body);
    let seen = inside(&engine, &container);
    assert!(seen.contains("wan7 10.80.0.2/24") && seen.contains("wan7 169.254.34.68/16"), "{seen}");
    let read = |path: &str| engine.exec(&container, &["cat", path]).stdout;
    assert_eq!(read("/proc/sys/net/ipv4/conf/wan7/log_martians"), "1\n");
    assert_eq!(read("/sys/class/net/wan7/address"), "02:42:ac:01:02:03\n");
}

#[test]
fn events_tell_who_comes_and_goes() {
    let engine = Today::start();
    let id = network(&engine, "a", "10.80.0.0/24", json!({}));
    let container = engine.run(&within("a"));
    let _ = engine.post(&format!("/containers/{container}/kill")).expect(204);
    wait::until("it is off", || (shown(&engine, "a")["Containers"] == json!({})).then_some(()));
    let _ = engine.delete("/networks/a").expect(204);
    let filters = json!({ "type": ["network"] });
    let events = engine.past_events(&filters);
    let actions: Vec<_> = events.iter().map(|event| event["Action"].as_str().expect("an action")).collect();
    assert_eq!(actions, ["create", "connect", "disconnect", "destroy"]);
    for event in &events {
        assert_eq!((&event["Actor"]["ID"], &event["scope"]), (&json!(id), &json!("local")));
        assert_eq!(event["Actor"]["Attributes"]["type"], "bridge");
    }
    assert_eq!(events[1]["Actor"]["Attributes"]["container"], container);
    assert_eq!(engine.at("1.20").past_events_with(&filters, &[]).text(), "");
}
