//! `GET /networks`, `/networks/create`, `/networks/(id)`, `/networks/prune`: what is shown, and what is refused.

use berth_tests::query;
use serde_json::{Value, json};

use super::*;

fn names(client: &Client, filters: Value) -> Vec<String> {
    let path = format!("/networks{}", query(&[("filters", &filters.to_string())]));
    let listed = client.get(&path).expect(200).json();
    let mut names: Vec<String> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|network| network["Name"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_network_is_shown_as_it_was_asked_for() {
    let engine = Today::start();
    let pool = json!({ "Subnet": "10.90.0.0/24", "IPRange": "10.90.0.64/29", "Gateway": "10.90.0.100",
                       "AuxiliaryAddresses": { "router": "10.90.0.65" } });
    let body = json!({ "Name": "own", "Labels": { "tier": "web" }, "Options": { "com.example.x": "y" },
                       "IPAM": { "Config": [pool] } });
    let id = engine.post_json("/networks/create", &body).expect(201).json()["Id"].clone();
    let network = shown(&engine, "own");
    assert_eq!(network["Id"], id);
    assert_eq!(network["IPAM"], json!({ "Driver": "default", "Options": null, "Config": [pool] }));
    assert_eq!(network["Labels"], body["Labels"]);
    assert_eq!(network["Options"], body["Options"]);
    assert_eq!((&network["Driver"], &network["Scope"]), (&json!("bridge"), &json!("local")));
    let usage = |network: Value| network["Status"]["IPAM"]["Subnets"]["10.90.0.0/24"].clone();
    assert_eq!(usage(network), json!({ "IPsInUse": 4, "DynamicIPsAvailable": 7 }));
    let container = engine.run(&within("own"));
    assert_eq!(address(&engine, &container, "own"), Ipv4Addr::new(10, 90, 0, 64));
    assert_eq!(usage(shown(&engine, "own")), json!({ "IPsInUse": 5, "DynamicIPsAvailable": 6 }));
    let short = &id.as_str().expect("an id")[..12];
    assert_eq!(shown(&engine, short)["Containers"][&container]["IPv4Address"], "10.90.0.64/24");
    let listed = engine.get("/networks").expect(200).json();
    let listed = listed.as_array().expect("a list").iter().find(|network| network["Name"] == "own");
    let listed = listed.expect("it is listed");
    assert!(listed.get("Containers").is_none() && listed.get("Status").is_none(), "{listed}");
    let old = shown(&engine.at("1.21"), "own");
    assert!(
        old.get("Internal").is_none() && old.get("Status").is_none() && old["Containers"].is_object(),
        "{old}"
    );
    let _ = engine.at("1.20").get("/networks").expect(404);
}

#[test]
fn predefined_networks_are_there_and_stay() {
    let engine = Today::start();
    assert_eq!(names(&engine, json!({ "type": ["builtin"] })), ["bridge", "host", "none"]);
    for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
        assert_eq!(shown(&engine, name)["Driver"], driver);
        let text = engine.delete(&format!("/networks/{name}")).expect(403).text();
        assert!(text.contains("pre-defined"), "{text}");
        let _ = engine.post_json("/networks/create", &json!({ "Name": name })).expect(403);
    }
    let container = engine.run(&within("none"));
    assert_eq!(inside(&engine, &container), "");
    assert_eq!(shown(&engine, "none")["Containers"][&container]["IPv4Address"], "");
}

#[test]
fn lists_are_filtered() {
    let engine = Today::start();
    network(&engine, "one", "10.91.0.0/24", json!({ "Labels": { "a": "1" } }));
    network(&engine, "other", "10.92.0.0/24", json!({ "Labels": { "a": "2" } }));
    let _user = engine.run(&within("one"));
    assert_eq!(names(&engine, json!({ "label": ["a"] })), ["one", "other"]);
    assert_eq!(names(&engine, json!({ "label": ["a=2"] })), ["other"]);
    assert_eq!(names(&engine, json!({ "name": { "the": true } })), ["other"]);
    assert_eq!(names(&engine, json!({ "dangling": ["true"] })), ["other"]);
    for bad in [json!({ "foo": ["x"] }), json!({ "type": ["x"] }), json!({ "dangling": ["maybe"] })] {
        let _ = engine.get(&format!("/networks{}", query(&[("filters", &bad.to_string())]))).expect(400);
    }
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_left() {
    let engine = Today::start();
    let links = berth_tests::host::interfaces_of(engine.daemon.network_pid());
    network(&engine, "own", "10.93.0.0/24", json!({}));
    for (body, status, word) in [
        (json!({}), 400, "name"),
        (json!({ "Name": "own" }), 409, "already exists"),
        (json!({ "Name": "x", "Driver": "nope" }), 404, "nope"),
        (json!({ "Name": "x", "IPAM": { "Driver": "nope" } }), 404, "nope"),
        (json!({ "Name": "x", "Driver": "overlay" }), 403, "swarm"),
        (json!({ "Name": "x", "Driver": "host" }), 403, "only one"),
        (json!({ "Name": "x", "EnableIPv4": false }), 400, "IPv4 or IPv6"),
        (
            json!({ "Name": "x", "Options": { "com.docker.network.bridge.gateway_mode_ipv6": "x" } }),
            400,
            "ipv6",
        ),
        (
            json!({ "Name": "x", "Options": { "com.docker.network.bridge.gateway_mode_ipv4": "isolated" } }),
            400,
            "internal",
        ),
        (
            json!({ "Name": "x", "Options": { "com.docker.network.bridge.trusted_host_interfaces": "eth0:a/b" } }),
            400,
            "a/b",
        ),
        (json!({ "Name": "x", "Driver": "overlay" }), 403, "swarm manager"),
        (json!({ "Name": "x", "ConfigFrom": { "Network": "own" } }), 404, "own"),
        (json!({ "Name": "x", "Options": { "com.docker.network.driver.mtu": "x" } }), 400, "mtu"),
        (json!({ "Name": "x", "Options": { "a": 1 } }), 400, "Options"),
        (json!({ "Name": "x", "IPAM": { "Config": [{ "Subnet": "10.93.0.128/25" }] } }), 403, "overlaps"),
        (json!({ "Name": "x", "IPAM": { "Config": [{ "Subnet": "foo" }] } }), 400, "foo"),
        (
            json!({ "Name": "x", "IPAM": { "Config": [{ "Subnet": "10.94.0.1/24", "Gateway": "10.95.0.1" }] } }),
            400,
            "10.95.0.1",
        ),
    ] {
        let text = engine.post_json("/networks/create", &body).expect(status).text();
        assert!(text.contains(word), "{body}: {text}");
    }
    assert_eq!(names(&engine, json!({ "type": ["custom"] })), ["own"]);
    let _ = engine.delete("/networks/own").expect(204);
    let _ = engine.delete("/networks/own").expect(404);
    berth_tests::wait::until("the bridge goes", || {
        (berth_tests::host::interfaces_of(engine.daemon.network_pid()) == links).then_some(())
    });
}

#[test]
fn all_faults_of_the_addresses_are_told_beside_those_that_cannot_be_read() {
    let engine = Today::start();
    let create = |pools: Value| {
        let body = json!({ "Name": "x", "EnableIPv6": true, "IPAM": { "Config": pools } });
        engine.post_json("/networks/create", &body).expect(400).message()
    };
    let auxiliary = |address: &str| json!({ "router": address });
    let text = create(json!([
        { "Subnet": "10.94.0.1/24", "Gateway": "10.95.0.1", "AuxiliaryAddresses": auxiliary("nowhere") },
        { "Subnet": "foo", "Gateway": "10.96.0.1" },
        { "Subnet": "fd00:94::/64", "IPRange": "fd00:95::/80" },
    ]));
    let lines: Vec<&str> = text.lines().collect();
    let words = ["invalid network config:", "nowhere", "10.94.0.1/24", "10.95.0.1", "foo", "fd00:95::/80"];
    assert_eq!(lines.len(), words.len(), "{text}");
    for (line, word) in lines.iter().zip(words) {
        assert!(line.contains(word), "{line} has no {word}");
    }
    let one = create(json!([{ "Subnet": "10.94.0.0/24", "AuxiliaryAddresses": auxiliary("nowhere") }]));
    assert_eq!(one, "invalid JSON: IPAM.Config.AuxiliaryAddresses: \"nowhere\"");
}

#[test]
fn the_start_of_an_id_is_shown_as_the_full_id() {
    let engine = Today::start();
    let id = network(&engine, "own", "10.93.0.0/24", json!({}));
    let mode = |container: &str| engine.inspect(container)["HostConfig"]["NetworkMode"].clone();
    for (named, shown) in [(&id[..12], id.as_str()), ("own", "own"), (&id, &id)] {
        let container = engine.run(&within(named));
        assert_eq!(mode(&container), shown, "{named}");
        assert_eq!(endpoint(&engine, &container, "own")["NetworkID"], id);
    }
    let endpoints = json!({ "NetworkingConfig": { "EndpointsConfig": { "own": {} } } });
    let container = engine.create(&merged(within(&id[..12]), endpoints));
    assert_eq!(mode(&container), id, "beside endpoints");
}

#[test]
fn addresses_that_nobody_names_meet_nothing() {
    let engine = Today::start();
    let taken = "ip link add taken0 type dummy 2>/dev/null || ip link add taken0 type bridge; \
                 ip addr add 172.17.0.1/16 dev taken0; ip link set taken0 up";
    let _ = berth_tests::host::in_network_of(engine.daemon.network_pid(), &["sh", "-ec", taken]);
    let subnet = |name: &str| {
        let _ = engine.post_json("/networks/create", &json!({ "Name": name })).expect(201);
        shown(&engine, name)["IPAM"]["Config"][0]["Subnet"].as_str().expect("a subnet").to_owned()
    };
    assert_eq!(subnet("first"), "172.18.0.0/16");
    assert_eq!(subnet("second"), "172.19.0.0/16");
    let _ = engine.delete("/networks/first").expect(204);
    assert_eq!(subnet("third"), "172.18.0.0/16");
    let _ = berth_tests::host::in_network_of(engine.daemon.network_pid(), &["ip", "link", "del", "taken0"]);
}

#[test]
fn a_network_goes_when_nobody_runs_in_it() {
    let engine = Today::start();
    network(&engine, "used", "10.96.0.0/24", json!({}));
    network(&engine, "left", "10.97.0.0/24", json!({}));
    let container = engine.create_named("web", &within("used"));
    engine.start(&container);
    let text = engine.delete("/networks/used").expect(403).text();
    assert!(text.contains("active endpoints") && text.contains("web"), "{text}");
    let pruned = engine.post("/networks/prune").expect(200).json();
    assert_eq!(pruned, json!({ "NetworksDeleted": ["left"] }));
    assert_eq!(engine.post("/networks/prune").expect(200).json(), json!({ "NetworksDeleted": null }));
    let _ = engine.post("/containers/web/kill").expect(204);
    berth_tests::wait::until("it is off", || {
        (shown(&engine, "used")["Containers"] == json!({})).then_some(())
    });
    let _ = engine.delete("/networks/used").expect(204);
    let text = engine.post("/containers/web/start").expect(404).text();
    assert!(text.contains("not found"), "{text}");
}

#[test]
fn a_configuration_is_taken_over_by_networks() {
    let engine = Today::start();
    network(&engine, "plan", "10.98.0.0/24", json!({ "ConfigOnly": true, "Labels": { "a": "b" } }));
    let _ = engine
        .post_json("/networks/create", &json!({ "Name": "real", "ConfigFrom": { "Network": "plan" } }))
        .expect(201);
    let real = shown(&engine, "real");
    assert_eq!((&real["ConfigFrom"]["Network"], &real["Labels"]["a"]), (&json!("plan"), &json!("b")));
    assert_eq!(real["IPAM"]["Config"], json!([{ "Subnet": "10.98.0.0/24", "Gateway": "10.98.0.1" }]));
    network(
        &engine,
        "six",
        "fd00:98::/64",
        json!({ "ConfigOnly": true, "EnableIPv6": true, "EnableIPv4": false }),
    );
    let _ = engine
        .post_json("/networks/create", &json!({ "Name": "real6", "ConfigFrom": { "Network": "six" } }))
        .expect(201);
    let families = shown(&engine, "real6");
    assert_eq!((&families["EnableIPv6"], &families["EnableIPv4"]), (&json!(true), &json!(false)));
    assert_eq!(families["IPAM"]["Config"], json!([{ "Subnet": "fd00:98::/64", "Gateway": "fd00:98::1" }]));
    let text = engine.delete("/networks/plan").expect(403).text();
    assert!(text.contains("in use"), "{text}");
    let lost = engine.create(&within("plan"));
    let text = engine.post(&format!("/containers/{lost}/start")).expect(403).text();
    assert!(text.contains("configuration"), "{text}");
}
