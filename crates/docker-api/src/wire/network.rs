//! `NetworkSettings` of inspect.

use std::collections::BTreeMap;

use engine::Record;
use serde::Serialize;

use crate::container_settings::PortBinding;

/// A container's place in the network; empty strings while it has none.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NetworkSettings {
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
    #[serde(rename = "NetworkID")]
    network_id: String,
    port_mapping: Option<()>,
    ports: Option<BTreeMap<String, Option<Vec<PortBinding>>>>,
    sandbox_key: String,
    #[serde(rename = "SecondaryIPAddresses")]
    secondary_ip_addresses: Option<()>,
    #[serde(rename = "SecondaryIPv6Addresses")]
    secondary_ipv6_addresses: Option<()>,
}

impl NetworkSettings {
    pub(crate) fn new(record: &Record) -> Self {
        if !record.is_running() {
            return Self::default();
        }
        let sandbox_key = match record.phase.process() {
            Some(process) if record.has_own_network() => format!("/proc/{}/ns/net", process.pid),
            _ => String::new(),
        };
        let Some(endpoint) = record.main_lease() else {
            return Self { ports: Some(BTreeMap::new()), sandbox_key, ..Self::default() };
        };
        Self {
            endpoint_id: record.id.to_string(),
            gateway: endpoint.default_gateway().map(|gateway| gateway.to_string()).unwrap_or_default(),
            ip_address: endpoint.address.to_string(),
            ip_prefix_len: endpoint.prefix_length,
            mac_address: endpoint.mac.to_string(),
            network_id: record.main_endpoint().map(|endpoint| endpoint.name.clone()).unwrap_or_default(),
            ports: Some(ports(record)),
            sandbox_key,
            ..Self::default()
        }
    }
}

/// Published ports with their places on the host, exposed ones with none.
fn ports(record: &Record) -> BTreeMap<String, Option<Vec<PortBinding>>> {
    let mut ports: BTreeMap<String, Option<Vec<PortBinding>>> = record
        .settings
        .exposed_ports
        .iter()
        .flatten()
        .map(|port| (with_protocol(port.to_string()), None))
        .collect();
    for published in record.main_lease().into_iter().flat_map(|endpoint| &endpoint.ports) {
        let binding = PortBinding {
            host_ip: published.host_ip.to_string(),
            host_port: published.host_port.to_string(),
        };
        ports.entry(published.container.to_string()).or_default().get_or_insert_default().push(binding);
    }
    ports
}

/// A port as it is shown: `80` means `80/tcp`.
fn with_protocol(port: String) -> String {
    if port.contains('/') { port } else { format!("{port}/tcp") }
}
