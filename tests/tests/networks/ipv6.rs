//! Networks of IPv6: addresses, names, ways, and what stays of them.

use std::net::Ipv6Addr;

use berth_tests::host::{in_network_of, rules_of};
use berth_tests::other_host::{OtherHost, Servers, ask, unreachable};
use serde_json::json;

use super::*;

/// Makes a network of both families; gives its id.
fn dual(client: &Client, name: &str, subnet: &str, over: Value) -> String {
    let body = json!({ "Name": name, "EnableIPv6": true, "IPAM": { "Config": [{ "Subnet": subnet }] } });
    let answer = client.post_json("/networks/create", &merged(body, over)).expect(201).json();
    answer["Id"].as_str().expect("an id").to_owned()
}

fn ipv6(client: &Client, container: &str, network: &str) -> Ipv6Addr {
    let endpoint = endpoint(client, container, network);
    let text = endpoint["GlobalIPv6Address"].as_str().expect("a text");
    text.parse().unwrap_or_else(|_| panic!("{endpoint}"))
}

/// The addresses of IPv6 of a container's interfaces and its default route.
fn inside_ipv6(client: &Client, container: &str) -> String {
    let script = "ip -6 -o addr show scope global | awk '{ print $2, $4 }'; \
                  ip -6 route | awk '$1 == \"default\" { print $1, $3, $5 }'";
    client.exec(container, &["sh", "-c", script]).stdout
}

#[test]
fn a_route_for_all_unique_local_addresses_forbids_no_network() {
    let host_setup = vec!["ip -6 route add unreachable fd00::/8".to_owned()];
    let options = berth_tests::Options { host_setup, ..berth_tests::Options::default() };
    let engine = berth_tests::Engine::start_with(options);
    let client = engine.at("1.55");
    let body = json!({ "Name": "six", "EnableIPv6": true });
    let _ = client.post_json("/networks/create", &body).expect(201);
    let pools = shown(&client, "six")["IPAM"]["Config"].clone();
    let subnets: Vec<&str> =
        pools.as_array().expect("pools").iter().filter_map(|it| it["Subnet"].as_str()).collect();
    assert!(subnets.iter().any(|it| it.starts_with("fd") && it.ends_with("::/64")), "{pools}");
    let _ = client.delete("/networks/six").expect(204);
}

#[test]
fn a_container_has_an_address_of_each_family() {
    let engine = Today::start();
    let pools = json!([{ "Subnet": "fd00:77::/64", "Gateway": "fd00:77::ff" }, { "Subnet": "10.77.0.0/24" }]);
    let _ = dual(&engine, "six", "", json!({ "IPAM": { "Config": pools } }));
    let asked = json!({ "six": { "IPAMConfig": { "IPv6Address": "fd00:77::abcd" } } });
    let web = engine.run(&merged(within("six"), json!({ "NetworkingConfig": { "EndpointsConfig": asked } })));
    let other = engine.run(&within("six"));
    let shown = endpoint(&engine, &web, "six");
    assert_eq!(shown["GlobalIPv6Address"], "fd00:77::abcd");
    assert_eq!((&shown["GlobalIPv6PrefixLen"], &shown["IPv6Gateway"]), (&json!(64), &json!("fd00:77::ff")));
    assert_eq!(ipv6(&engine, &other, "six"), "fd00:77::1".parse::<Ipv6Addr>().expect("an address"));
    assert_eq!(self::shown(&engine, "six")["Containers"][&web]["IPv6Address"], "fd00:77::abcd/64");
    assert_eq!(inside_ipv6(&engine, &web), "eth0 fd00:77::abcd/64\ndefault fd00:77::ff eth0\n");
    let read =
        |name: &str| engine.exec(&web, &["cat", &format!("/proc/sys/net/ipv6/conf/eth0/{name}")]).stdout;
    assert_eq!((read("disable_ipv6"), read("accept_ra")), ("0\n".into(), "0\n".into()));
    let hosts = engine.exec(&web, &["cat", "/etc/hosts"]).stdout;
    assert!(hosts.contains("fd00:77::abcd\t"), "{hosts}");
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let answer = ask(engine.pid(&other), (ipv6(&engine, &web, "six"), 80)).expect("an answer");
    assert_eq!(answer, "web fd00:77::1");
    let taken = json!({ "six": { "IPAMConfig": { "IPv6Address": "fd00:77::abcd" } } });
    let second =
        engine.create(&merged(within("six"), json!({ "NetworkingConfig": { "EndpointsConfig": taken } })));
    let text = engine.post(&format!("/containers/{second}/start")).expect(403).text();
    assert!(text.contains("Address already in use"), "{text}");
    network(&engine, "four", "10.78.0.0/24", json!({}));
    let plain = engine.run(&within("four"));
    assert_eq!(endpoint(&engine, &plain, "four")["GlobalIPv6Address"], "");
    let disabled = engine.exec(&plain, &["cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6"]).stdout;
    assert_eq!(disabled, "1\n");
}

#[test]
fn a_name_in_two_networks_has_the_addresses_of_each_family_that_it_has_in_either() {
    let engine = Today::start();
    network(&engine, "a-four", "10.78.0.0/24", json!({}));
    let _ = dual(&engine, "b-six", "fd00:77::/64", json!({ "EnableIPv4": false }));
    let both = json!({ "NetworkingConfig": { "EndpointsConfig": { "a-four": {}, "b-six": {} } } });
    let web = engine.create_named("web", &merged(within("a-four"), both.clone()));
    engine.start(&web);
    let dns = json!({ "HostConfig": { "Dns": ["127.0.0.1"] } });
    let asking = engine.run(&merged(merged(within("a-four"), both), dns));
    let found = engine.exec(&asking, &["nslookup", "web", "127.0.0.11"]).stdout;
    let (four, six) = (address(&engine, &web, "a-four"), ipv6(&engine, &web, "b-six"));
    assert!(found.contains(&four.to_string()) && found.contains(&six.to_string()), "{found}");
}

#[test]
fn names_lead_to_addresses_of_ipv6_and_back() {
    let engine = Today::start();
    let _ = dual(&engine, "six", "fd00:77::/64", json!({ "EnableIPv4": false }));
    let web = engine.create_named("web", &within("six"));
    engine.start(&web);
    let asking = engine.run(&merged(within("six"), json!({ "HostConfig": { "Dns": ["127.0.0.1"] } })));
    let ask = |what: &str| engine.exec(&asking, &["nslookup", what, "127.0.0.11"]).stdout;
    assert!(ask("web").contains("fd00:77::2"), "{}", ask("web"));
    assert!(ask("fd00:77::2").contains("web.six"), "{}", ask("fd00:77::2"));
    assert_eq!(inside(&engine, &web), "", "no address of IPv4");
    assert_eq!(inside_ipv6(&engine, &web), "eth0 fd00:77::2/64\ndefault fd00:77::1 eth0\n");
    let endpoint = endpoint(&engine, &web, "six");
    assert_eq!((&endpoint["IPAddress"], &endpoint["Gateway"]), (&json!(""), &json!("")));
    let bad = json!({ "Container": web, "EndpointConfig": { "IPAMConfig": { "IPv4Address": "10.0.0.1" } } });
    let _ = engine.post_json("/networks/six/connect", &bad).expect(400);
}

#[test]
fn published_ports_are_reached_by_ipv6_and_nothing_else_is() {
    let engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    outside.speak_ipv6(&engine.daemon);
    let _ = dual(&engine, "six", "fd00:77::/64", json!({}));
    let _ = dual(&engine, "other", "fd00:78::/64", json!({}));
    let closed = json!({ "Internal": true });
    let _ = dual(&engine, "closed", "fd00:79::/64", closed);
    let published = json!({ "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "18080" }] } } });
    let web = engine.run(&merged(within("six"), published));
    let (other, closed) = (engine.run(&within("other")), engine.run(&within("closed")));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let _outside = Servers::start(outside.pid(), 80, "outside");
    let [host, far] = OtherHost::IPV6;
    let at = ipv6(&engine, &web, "six");
    let ports = engine.inspect(&web)["NetworkSettings"]["Ports"]["80/tcp"].clone();
    let place = |ip: &str| json!({ "HostIp": ip, "HostPort": "18080" });
    assert_eq!(ports, json!([place("0.0.0.0"), place("::")]));
    assert_eq!(ask(outside.pid(), (host, 18080)).expect("an answer"), format!("web {far}"));
    assert!(ask(engine.pid(&other), (host, 18080)).is_ok(), "from another network by the host's address");
    assert!(unreachable(outside.pid(), (at, 80)), "from outside by routing");
    assert!(unreachable(engine.pid(&other), (at, 80)), "from another network");
    assert_eq!(ask(engine.pid(&web), (far, 80)).expect("an answer"), format!("outside {host}"));
    assert!(unreachable(engine.pid(&closed), (far, 80)), "from an internal network");
    assert_eq!(inside_ipv6(&engine, &closed), "eth0 fd00:79::2/64\n");
}

#[test]
fn a_running_container_comes_into_networks_of_ipv6_and_leaves_them() {
    let engine = Today::start();
    let _ = dual(&engine, "a", "fd00:77::/64", json!({}));
    let _ = dual(&engine, "b", "fd00:78::/64", json!({}));
    network(&engine, "four", "10.78.0.0/24", json!({}));
    let web = engine.run(&within("four"));
    assert_eq!(inside_ipv6(&engine, &web), "");
    connect(&engine, "b", &web, json!({}));
    assert_eq!(inside_ipv6(&engine, &web), "eth1 fd00:78::2/64\ndefault fd00:78::1 eth1\n");
    connect(&engine, "a", &web, json!({ "IPAMConfig": { "IPv6Address": "fd00:77::77" } }));
    let both = "eth1 fd00:78::2/64\neth2 fd00:77::77/64\ndefault fd00:77::1 eth2\n";
    assert_eq!(inside_ipv6(&engine, &web), both);
    disconnect(&engine, "a", &web);
    assert_eq!(inside_ipv6(&engine, &web), "eth1 fd00:78::2/64\ndefault fd00:78::1 eth1\n");
    let hosts = engine.exec(&web, &["cat", "/etc/hosts"]).stdout;
    assert!(hosts.contains("fd00:78::2\t") && !hosts.contains("fd00:77::77"), "{hosts}");
    disconnect(&engine, "b", &web);
    assert_eq!(inside_ipv6(&engine, &web), "");
}

#[test]
fn networks_without_addresses_get_unique_local_ones_which_are_kept() {
    let mut engine = Today::start();
    let subnet = |engine: &Today, name: &str| {
        let pools = shown(engine, name)["IPAM"]["Config"].clone();
        let subnets =
            pools.as_array().expect("pools").iter().map(|pool| pool["Subnet"].as_str().expect("text"));
        subnets.filter(|subnet| subnet.contains(':')).map(str::to_owned).collect::<Vec<_>>()
    };
    for name in ["one", "two"] {
        let _ =
            engine.post_json("/networks/create", &json!({ "Name": name, "EnableIPv6": true })).expect(201);
    }
    let (one, two) = (subnet(&engine, "one"), subnet(&engine, "two"));
    assert!(one.len() == 1 && one[0].starts_with("fd") && one[0].ends_with("/64"), "{one:?}");
    assert_ne!(one, two);
    let web = engine.run(&within("one"));
    let seen =
        |engine: &Today| (inside_ipv6(engine, &web), endpoint(engine, &web, "one"), shown(engine, "one"));
    let before = seen(&engine);
    engine.daemon.replace_daemon();
    assert_eq!(seen(&engine), before);
    let next = engine.run(&within("one"));
    assert_ne!(ipv6(&engine, &next, "one"), ipv6(&engine, &web, "one"), "nothing is handed out twice");
    let meeting = json!({ "Name": "x", "EnableIPv6": true, "IPAM": { "Config": [{ "Subnet": one[0] }] } });
    let text = engine.post_json("/networks/create", &meeting).expect(403).text();
    assert!(text.contains("overlaps"), "{text}");
}

#[test]
fn a_routed_network_is_reached_at_the_containers_own_addresses() {
    let engine = Today::start();
    let outside = OtherHost::beside(&engine.daemon);
    outside.speak_ipv6(&engine.daemon);
    let mode = |family: &str| format!("com.docker.network.bridge.gateway_mode_{family}");
    let options = json!({ "Options": { mode("ipv6"): "routed", mode("ipv4"): "nat" } });
    let _ = dual(&engine, "six", "fd00:77::/64", options);
    let published = json!({ "HostConfig": { "PortBindings": { "80/tcp": [{ "HostPort": "18080" }] } } });
    let web = engine.run(&merged(within("six"), published));
    let _servers = Servers::start(engine.pid(&web), 80, "web");
    let _more = Servers::start(engine.pid(&web), 81, "more");
    let at = ipv6(&engine, &web, "six");
    assert_eq!(ask(outside.pid(), (at, 80)).expect("an answer"), format!("web {}", OtherHost::IPV6[1]));
    assert!(unreachable(outside.pid(), (at, 81)), "a port that is not published");
    assert!(ask(outside.pid(), (OtherHost::ENGINE, 18080)).is_ok(), "by IPv4 at the host's address");
    let ports = engine.inspect(&web)["NetworkSettings"]["Ports"]["80/tcp"].clone();
    let places = json!([{ "HostIp": "0.0.0.0", "HostPort": "18080" }, { "HostIp": "::", "HostPort": "" }]);
    assert_eq!(ports, places);
}

#[test]
fn flags_give_the_default_bridge_ipv6_and_networks_their_pools() {
    let engine = Today::start_with(&[
        "--ipv6",
        "--fixed-cidr-v6=fd00:99::/64",
        "--default-address-pool=base=10.200.0.0/16,size=24",
        "--default-address-pool=base=fd00:200::/48,size=64",
    ]);
    let pools = json!([{ "Base": "10.200.0.0/16", "Size": 24 }, { "Base": "fd00:200::/48", "Size": 64 }]);
    assert_eq!(engine.get("/info").expect(200).json()["DefaultAddressPools"], pools);
    let web = engine.run(&idle(json!({})));
    assert_eq!(inside_ipv6(&engine, &web), "eth0 fd00:99::2/64\ndefault fd00:99::1 eth0\n");
    assert_eq!(endpoint(&engine, &web, "bridge")["GlobalIPv6Address"], "fd00:99::2");
    assert_eq!(shown(&engine, "bridge")["EnableIPv6"], true);
    let mut subnets = Vec::new();
    for name in ["one", "two"] {
        let _ =
            engine.post_json("/networks/create", &json!({ "Name": name, "EnableIPv6": true })).expect(201);
        let pools = shown(&engine, name)["IPAM"]["Config"].clone();
        subnets.extend([0, 1].map(|pool| pools[pool]["Subnet"].as_str().expect("text").to_owned()));
    }
    assert_eq!(subnets, ["10.200.0.0/24", "fd00:200::/64", "10.200.1.0/24", "fd00:200:0:1::/64"]);
}

#[test]
fn without_rules_of_ipv6_there_is_no_table_of_it() {
    let engine = Today::start_with(&["--ipv6", "--ip6tables=false"]);
    let web = engine.run(&idle(json!({})));
    assert!(ipv6(&engine, &web, "bridge").is_unique_local());
    let rules = rules_of(engine.daemon.network_pid());
    assert!(rules.iter().any(|rule| rule.starts_with("table ip berth")), "{rules:?}");
    assert!(!rules.iter().any(|rule| rule.starts_with("table ip6")), "{rules:?}");
    let forwarding =
        in_network_of(engine.daemon.network_pid(), &["cat", "/proc/sys/net/ipv6/conf/all/forwarding"]);
    assert_eq!(forwarding, "1\n");
}
