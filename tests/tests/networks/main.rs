//! Networks that clients make, over the socket: the resource itself, containers in several of them, what is
//! between them, and what stays when the daemon dies.

mod connect;
mod definitions;
mod ipv6;
mod lasting;
mod many;
mod names;
mod relay;
mod shared_bridge;
mod ways;

use std::net::Ipv4Addr;

use berth_tests::today::Today;
use berth_tests::{Client, merged, sh};
use serde_json::{Value, json};

/// A container that does nothing for a long time.
fn idle(over: Value) -> Value {
    merged(sh("sleep 600"), over)
}

/// A container in a network.
fn within(network: &str) -> Value {
    idle(json!({ "HostConfig": { "NetworkMode": network } }))
}

/// Makes a network with addresses of its own; gives its id.
fn network(client: &Client, name: &str, subnet: &str, over: Value) -> String {
    let body = merged(json!({ "Name": name, "IPAM": { "Config": [{ "Subnet": subnet }] } }), over);
    let answer = client.post_json("/networks/create", &body).expect(201).json();
    assert_eq!(answer["Warning"], "");
    answer["Id"].as_str().expect("an id").to_owned()
}

/// What a network's inspect shows.
fn shown(client: &Client, network: &str) -> Value {
    client.get(&format!("/networks/{network}?verbose=1&scope=local")).expect(200).json()
}

/// A container's endpoint in a network.
fn endpoint(client: &Client, container: &str, network: &str) -> Value {
    let endpoint = client.inspect(container)["NetworkSettings"]["Networks"][network].clone();
    assert!(endpoint.is_object(), "{container} is not in {network}");
    endpoint
}

/// A container's address in a network.
fn address(client: &Client, container: &str, network: &str) -> Ipv4Addr {
    let endpoint = endpoint(client, container, network);
    endpoint["IPAddress"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{endpoint}"))
}

/// Connects a container.
fn connect(client: &Client, network: &str, container: &str, settings: Value) {
    let body = json!({ "Container": container, "EndpointConfig": settings });
    let _ = client.post_json(&format!("/networks/{network}/connect"), &body).expect(200);
}

/// Disconnects a container.
fn disconnect(client: &Client, network: &str, container: &str) {
    let body = json!({ "Container": container });
    let _ = client.post_json(&format!("/networks/{network}/disconnect"), &body).expect(200);
}

/// The interfaces with their addresses, and the default route, as a container sees them.
fn inside(client: &Client, container: &str) -> String {
    let script = "ip -4 -o addr show | awk '$2 != \"lo\" { print $2, $4 }'; ip route | awk '$1 == \"default\" { print $1, $3, $5 }'";
    client.exec(container, &["sh", "-c", script]).stdout
}
