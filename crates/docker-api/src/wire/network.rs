//! `NetworkSettings` of inspect.

use std::collections::BTreeMap;

use engine::Record;
use engine::network::Endpoint;
use engine::network::port::PublishedPort;
use serde::Serialize;

use super::endpoint::{Shown, WireEndpoint, endpoints};
use super::text::text;
use crate::container_settings::PortBinding;
use crate::version::{ApiVersion, Ranged, Since, Until};

/// A container's places in networks.
#[derive(Debug, Serialize)]
pub(crate) struct NetworkSettings<'a> {
    #[serde(flatten)]
    old: Until<52, OldSettings>,
    #[serde(flatten)]
    new: Since<52, Sandbox>,
    #[serde(rename = "Networks", skip_serializing_if = "Ranged::is_absent")]
    networks: Since<21, BTreeMap<&'a str, WireEndpoint<'a>>>,
}

/// The network namespace and what is published of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sandbox {
    #[serde(rename = "SandboxID")]
    sandbox_id: String,
    sandbox_key: String,
    ports: BTreeMap<String, Option<Vec<PortBinding>>>,
}

/// The fields beside the list of networks in versions that have both: those of the network with the default
/// route; empty strings without one.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OldSettings {
    bridge: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    global_ipv6_prefix_len: u8,
    hairpin_mode: bool,
    #[serde(rename = "IPAddress")]
    ip_address: String,
    #[serde(rename = "IPPrefixLen")]
    ip_prefix_len: u8,
    #[serde(rename = "IPv6Gateway")]
    ipv6_gateway: String,
    #[serde(rename = "LinkLocalIPv6Address")]
    link_local_ipv6_address: String,
    #[serde(rename = "LinkLocalIPv6PrefixLen")]
    link_local_ipv6_prefix_len: u8,
    mac_address: String,
    #[serde(rename = "NetworkID", skip_serializing_if = "Ranged::is_absent")]
    network_id: Until<21, String>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    port_mapping: Until<21, Option<()>>,
    ports: Option<BTreeMap<String, Option<Vec<PortBinding>>>>,
    #[serde(rename = "SandboxID", skip_serializing_if = "Ranged::is_absent")]
    sandbox_id: Since<21, String>,
    sandbox_key: String,
    #[serde(rename = "SecondaryIPAddresses")]
    secondary_ip_addresses: Option<()>,
    #[serde(rename = "SecondaryIPv6Addresses")]
    secondary_ipv6_addresses: Option<()>,
}

impl<'a> NetworkSettings<'a> {
    pub(crate) fn new(record: &'a Record, version: ApiVersion) -> Self {
        Self {
            old: Ranged::at(version, || OldSettings::new(record, version)),
            new: Ranged::at(version, || Sandbox {
                sandbox_id: sandbox_id(record),
                sandbox_key: sandbox_key(record),
                ports: if record.is_running() { ports(record, version) } else { BTreeMap::new() },
            }),
            networks: Ranged::at(version, || endpoints(record, Shown::Inspected, version)),
        }
    }
}

/// The network namespace is named by its container's id.
fn sandbox_id(record: &Record) -> String {
    if sandbox_key(record).is_empty() { String::new() } else { record.id.to_string() }
}

/// Where the network namespace of a container of its own is.
fn sandbox_key(record: &Record) -> String {
    match record.phase.process() {
        Some(process) if record.has_own_network() => format!("/proc/{}/ns/net", process.pid),
        _ => String::new(),
    }
}

impl OldSettings {
    fn new(record: &Record, version: ApiVersion) -> Self {
        let leading = record.main_endpoint().filter(|_| record.is_running());
        let is_connected = leading.is_some_and(|leading| leading.lease.is_some());
        let main = match version.shows_default_bridge_alone_beside_networks() {
            true => record.endpoints.iter().find(|endpoint| endpoint.is_bridge() && record.is_running()),
            false => leading,
        };
        let main = main.and_then(|main| Some((main, main.lease.as_ref()?)));
        let unconnected = Self {
            port_mapping: Ranged::at(version, || None),
            network_id: Ranged::at(version, || main.map(|(main, _)| main.name.clone()).unwrap_or_default()),
            sandbox_id: Ranged::at(version, || sandbox_id(record)),
            ..Self::default()
        };
        if !record.is_running() {
            return unconnected;
        }
        let unconnected = Self { sandbox_key: sandbox_key(record), ..unconnected };
        let Some((main, endpoint)) = main else {
            let ports = if is_connected { ports(record, version) } else { BTreeMap::new() };
            return Self { ports: Some(ports), ..unconnected };
        };
        Self {
            endpoint_id: main.id.as_ref().map(ToString::to_string).unwrap_or_default(),
            gateway: text(endpoint.default_gateway()),
            global_ipv6_address: text(endpoint.ipv6.map(|lease| lease.address)),
            global_ipv6_prefix_len: endpoint.ipv6.map(|lease| lease.prefix_length).unwrap_or_default(),
            ipv6_gateway: text(endpoint.ipv6_default_gateway()),
            ip_address: text(endpoint.ipv4.map(|lease| lease.address)),
            ip_prefix_len: endpoint.ipv4.map(|lease| lease.prefix_length).unwrap_or_default(),
            mac_address: endpoint.mac.to_string(),
            ports: Some(ports(record, version)),
            ..unconnected
        }
    }
}

/// Published ports with their places on the host, exposed ones with none.
fn ports(record: &Record, version: ApiVersion) -> BTreeMap<String, Option<Vec<PortBinding>>> {
    let mut ports: BTreeMap<String, Option<Vec<PortBinding>>> = record
        .settings
        .exposed_ports
        .iter()
        .flatten()
        .map(|port| (with_protocol(port.to_string()), None))
        .collect();
    for published in published(record, version) {
        let binding =
            PortBinding { host_ip: published.host_ip.to_string(), host_port: host_port(published.host_port) };
        ports.entry(published.container.to_string()).or_default().get_or_insert_default().push(binding);
    }
    ports
}

/// The published ports of a running container, as far as this version has their protocols.
pub(super) fn published(record: &Record, version: ApiVersion) -> impl Iterator<Item = &PublishedPort> {
    let shown = move |endpoint: &&Endpoint, port: &&PublishedPort| {
        version.shows_relayed_ports() || !endpoint.is_relayed(port)
    };
    let leases = record.main_lease().into_iter();
    leases.flat_map(move |endpoint| endpoint.ports.iter().filter(move |port| shown(&endpoint, port)))
}

/// The port of the host; nothing where a port is reached at the container's own address alone.
fn host_port(port: u16) -> String {
    text(Some(port).filter(|port| *port != 0))
}

/// A port as it is shown: `80` means `80/tcp`.
fn with_protocol(port: String) -> String {
    if port.contains('/') { port } else { format!("{port}/tcp") }
}
