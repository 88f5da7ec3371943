//! A network as lists and inspect show it.

use std::collections::BTreeMap;

use engine::{Engine, NetworkRecord, Record};
use model::{ContainerId, Timestamp};
use serde::Serialize;

use super::text::text;
use crate::version::{ApiVersion, Ranged, Since};

/// An entry of `GET /networks`, and the answer of `GET /networks/(id)`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WireNetwork<'a> {
    name: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    created: Since<25, Timestamp>,
    scope: &'static str,
    driver: &'static str,
    #[serde(rename = "EnableIPv4", skip_serializing_if = "Ranged::is_absent")]
    enable_ipv4: Since<48, bool>,
    #[serde(rename = "EnableIPv6", skip_serializing_if = "Ranged::is_absent")]
    enable_ipv6: Since<23, bool>,
    #[serde(rename = "IPAM")]
    ipam: Ipam<'a>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    internal: Since<23, bool>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    attachable: Since<25, bool>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    ingress: Since<29, bool>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    config_from: Since<30, ConfigReference<'a>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    config_only: Since<30, bool>,
    options: &'a BTreeMap<String, String>,
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    containers: Option<BTreeMap<ContainerId, NetworkContainer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Since<52, Status>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam<'a> {
    driver: &'static str,
    options: Option<&'a BTreeMap<String, String>>,
    config: Option<Vec<WirePool<'a>>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WirePool<'a> {
    subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "String::is_empty")]
    ip_range: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    gateway: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    auxiliary_addresses: BTreeMap<&'a str, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigReference<'a> {
    network: &'a str,
}

/// An entry of `Containers`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkContainer {
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    mac_address: String,
    #[serde(rename = "IPv4Address")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    ipv6_address: String,
}

#[derive(Debug, Serialize)]
struct Status {
    #[serde(rename = "IPAM")]
    ipam: IpamStatus,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct IpamStatus {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    subnets: BTreeMap<String, SubnetStatus>,
}

#[derive(Debug, Serialize)]
struct SubnetStatus {
    #[serde(rename = "IPsInUse")]
    in_use: u64,
    #[serde(rename = "DynamicIPsAvailable")]
    available: u64,
}

impl<'a> WireNetwork<'a> {
    /// The entry of a list.
    pub(crate) fn listed(engine: &Engine, record: &'a NetworkRecord, version: ApiVersion) -> Self {
        let containers = version.network_list_has_containers().then(|| containers(engine, record));
        Self { containers, ..Self::plain(record, version) }
    }

    /// The answer of inspect.
    pub(crate) fn inspected(engine: &Engine, record: &'a NetworkRecord, version: ApiVersion) -> Self {
        let status = Ranged::at(version, || status(engine, record));
        Self {
            containers: Some(containers(engine, record)),
            status: Some(status).filter(|status| !status.is_absent()),
            ..Self::plain(record, version)
        }
    }

    fn plain(record: &'a NetworkRecord, version: ApiVersion) -> Self {
        let definition = &record.definition;
        let source = definition.config_from.as_deref().unwrap_or_default();
        Self {
            name: &definition.name,
            id: record.id.as_str(),
            created: Ranged::at(version, || record.created),
            scope: "local",
            driver: if definition.config_only { "null" } else { definition.driver.name() },
            enable_ipv4: Ranged::at(version, || definition.ipv4),
            enable_ipv6: Ranged::at(version, || definition.ipv6),
            ipam: ipam(record),
            internal: Ranged::at(version, || definition.internal),
            attachable: Ranged::at(version, || definition.attachable),
            ingress: Ranged::at(version, || false),
            config_from: Ranged::at(version, || ConfigReference { network: source }),
            config_only: Ranged::at(version, || definition.config_only),
            options: &definition.options,
            labels: &definition.labels,
            containers: None,
            status: None,
        }
    }
}

fn ipam(record: &NetworkRecord) -> Ipam<'_> {
    let pools = record.definition.pools.iter().map(|pool| WirePool {
        subnet: pool.subnet.map(|subnet| subnet.to_string()).unwrap_or_default(),
        ip_range: pool.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: pool.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
        auxiliary_addresses: pool
            .auxiliary
            .iter()
            .map(|(name, address)| (name.as_str(), address.to_string()))
            .collect(),
    });
    let config = Some(pools.collect::<Vec<_>>()).filter(|pools| !pools.is_empty());
    Ipam { driver: "default", options: record.definition.ipam_options.as_ref(), config }
}

fn containers(engine: &Engine, network: &NetworkRecord) -> BTreeMap<ContainerId, NetworkContainer> {
    let all = engine.networks.containers(&network.id);
    all.iter().map(|record| (record.id.clone(), container(record, network))).collect()
}

fn container(record: &Record, network: &NetworkRecord) -> NetworkContainer {
    let endpoint = record.endpoints.iter().find(|endpoint| endpoint.network.as_ref() == Some(&network.id));
    let lease = endpoint.and_then(|endpoint| endpoint.lease.as_ref());
    let id = endpoint.and_then(|endpoint| endpoint.id.as_ref());
    NetworkContainer {
        name: record.name.clone(),
        endpoint_id: id.map(ToString::to_string).unwrap_or_default(),
        mac_address: lease.map(|lease| lease.mac.to_string()).unwrap_or_default(),
        ipv4_address: text(lease.and_then(|lease| lease.ipv4).map(with_prefix)),
        ipv6_address: text(lease.and_then(|lease| lease.ipv6).map(with_prefix)),
    }
}

fn with_prefix<A: std::fmt::Display>(lease: engine::network::AddressLease<A>) -> String {
    format!("{}/{}", lease.address, lease.prefix_length)
}

fn status(engine: &Engine, record: &NetworkRecord) -> Status {
    let subnets = record.definition.pools.iter().filter_map(|pool| {
        let usage = engine.networks.usage(&record.id, pool)?;
        let status = SubnetStatus { in_use: usage.in_use, available: usage.available };
        Some((pool.subnet?.to_string(), status))
    });
    Status { ipam: IpamStatus { subnets: subnets.collect() } }
}
