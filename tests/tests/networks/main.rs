//! Networks that clients make, over the socket: the resource itself, containers in several of them, what is
//! between them, and what stays when the daemon dies.

mod connect;
mod definitions;
mod lasting;
mod names;
mod ways;

use std::net::Ipv4Addr;
use std::ops::Deref;

use berth_tests::{Client, Engine, Options, merged, sh};
use serde_json::{Value, json};

/// An engine, and how today's clients ask it.
struct Today {
    daemon: Engine,
    client: Client,
}

impl Deref for Today {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Removes what a test made: the engine's own end knows containers alone.
impl Drop for Today {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let containers = self.client.get("/containers/json?all=1").expect(200).json();
        for container in containers.as_array().into_iter().flatten() {
            let id = container["Id"].as_str().expect("an id");
            let _ = self.client.delete(&format!("/containers/{id}?force=1")).expect(204);
        }
        // What others take over goes after them.
        for _ in 0..2 {
            let _ = self.client.post("/networks/prune").expect(200);
        }
    }
}

/// An engine that is asked at a version of today.
fn engine() -> Today {
    let arguments = vec!["--api-max=1.55".to_owned()];
    let daemon = Engine::start_with(Options { arguments, ..Options::default() });
    let client = Client { address: daemon.address.clone(), prefix: "/v1.55".to_owned() };
    Today { daemon, client }
}

/// The same engine asked at another version.
fn at(engine: &Client, version: &str) -> Client {
    Client { address: engine.address.clone(), prefix: format!("/v{version}") }
}

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
    client.get(&format!("/networks/{network}")).expect(200).json()
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
