//! Everything about networking over the socket: from inside containers, from the engine's host and
//! from another host beside it.

mod bridge;
mod firewalls;
mod flags;
mod links;
mod modes;
mod names;
mod ports;

use std::net::Ipv4Addr;

use berth_tests::{Engine, Options, merged, sh};
use serde_json::{Value, json};

/// An engine with further flags.
fn engine_with(flags: &[&str]) -> Engine {
    Engine::start_with(Options {
        arguments: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        ..Options::default()
    })
}

/// A container that does nothing for a long time.
fn idle(over: Value) -> Value {
    merged(sh("sleep 600"), over)
}

/// A container that publishes these ports (`18080:80/tcp`, `127.0.0.1:18080:80/tcp`).
fn publishing(ports: &[&str]) -> Value {
    let mut bindings = serde_json::Map::new();
    let mut exposed = serde_json::Map::new();
    for spelled in ports {
        let (host, port) = spelled.rsplit_once(':').expect("a colon");
        let (ip, host_port) = host.rsplit_once(':').unwrap_or(("", host));
        exposed.insert(port.to_owned(), json!({}));
        let places = bindings.entry(port.to_owned()).or_insert(json!([]));
        places.as_array_mut().expect("a list").push(json!({ "HostIp": ip, "HostPort": host_port }));
    }
    idle(json!({ "ExposedPorts": exposed, "HostConfig": { "PortBindings": bindings } }))
}

/// One of the addresses of `NetworkSettings`.
fn address(engine: &Engine, id: &str, field: &str) -> Ipv4Addr {
    let settings = engine.inspect(id)["NetworkSettings"].clone();
    settings[field]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{field} of {settings}"))
}

/// The port of the host at which the first binding of a port is.
fn host_port(engine: &Engine, id: &str, port: &str) -> u16 {
    let bindings = engine.inspect(id)["NetworkSettings"]["Ports"][port].clone();
    bindings[0]["HostPort"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{bindings}"))
}

/// Starts a container that cannot be started; returns the engine's error.
fn refused_start(engine: &Engine, id: &str, status: u16) -> String {
    let answer = engine.post(&format!("/containers/{id}/start")).expect(status);
    assert_eq!(engine.state(id, "Running"), false);
    let text = answer.text();
    let text = text.strip_prefix(&format!("Cannot start container {id}: ")).unwrap_or(&text);
    text.trim_end().to_owned()
}
