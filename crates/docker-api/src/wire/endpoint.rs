//! A container's place in one network, as inspect and lists show it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use engine::{Endpoint, Record};
use serde::Serialize;

use super::text::text;
use crate::container_settings::IpamConfig;
use crate::version::{ApiVersion, Ranged, Since};

/// An entry of `NetworkSettings.Networks`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WireEndpoint<'a> {
    #[serde(rename = "IPAMConfig", skip_serializing_if = "Ranged::is_absent")]
    ipam_config: Since<22, Option<IpamConfig>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    links: Since<22, Option<&'a [String]>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    aliases: Since<22, Option<Vec<String>>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    driver_opts: Since<32, Option<&'a BTreeMap<String, String>>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    gw_priority: Since<48, i64>,
    #[serde(rename = "NetworkID", skip_serializing_if = "Ranged::is_absent")]
    network_id: Since<22, &'a str>,
    #[serde(rename = "EndpointID")]
    endpoint_id: &'a str,
    gateway: String,
    #[serde(rename = "IPAddress")]
    ip_address: String,
    mac_address: String,
    #[serde(rename = "IPPrefixLen")]
    ip_prefix_len: u8,
    #[serde(rename = "IPv6Gateway")]
    ipv6_gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    global_ipv6_prefix_len: u8,
    #[serde(rename = "DNSNames", skip_serializing_if = "Ranged::is_absent")]
    dns_names: Since<44, Option<Vec<String>>>,
}

/// Which answer shows the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Inspect: with the names by which others can reach the container.
    Inspected,
    /// A list.
    Listed,
}

/// `NetworkSettings.Networks`: the container's endpoints by the names of their networks.
pub(crate) fn endpoints<'a>(
    record: &'a Record,
    shown: Shown,
    version: ApiVersion,
) -> BTreeMap<&'a str, WireEndpoint<'a>> {
    let endpoints = record.endpoints.iter();
    endpoints.map(|endpoint| (endpoint.name.as_str(), wire(record, endpoint, shown, version))).collect()
}

fn wire<'a>(
    record: &'a Record,
    endpoint: &'a Endpoint,
    shown: Shown,
    version: ApiVersion,
) -> WireEndpoint<'a> {
    let attachment = &endpoint.attachment;
    let lease = endpoint.lease.as_ref().filter(|_| record.is_running());
    let id = endpoint.id.as_ref().filter(|_| record.is_running());
    let ipv4 = lease.and_then(|lease| lease.ipv4);
    let ipv6 = lease.and_then(|lease| lease.ipv6);
    WireEndpoint {
        ipam_config: Ranged::at(version, || attachment.addresses.as_ref().map(IpamConfig::of)),
        links: Ranged::at(version, || attachment.links.as_deref()),
        aliases: Ranged::at(version, || aliases(record, endpoint, version)),
        driver_opts: Ranged::at(version, || attachment.driver_options.as_ref()),
        gw_priority: Ranged::at(version, || attachment.gateway_priority),
        network_id: Ranged::at(version, || endpoint.network.as_ref().map_or("", |id| id.as_str())),
        endpoint_id: id.map_or("", |id| id.as_str()),
        gateway: text(lease.and_then(|lease| lease.default_gateway())),
        ip_address: text(ipv4.map(|ipv4| ipv4.address)),
        mac_address: text(lease.map(|lease| lease.mac)),
        ip_prefix_len: ipv4.map(|ipv4| ipv4.prefix_length).unwrap_or_default(),
        ipv6_gateway: text(lease.and_then(|lease| lease.ipv6_default_gateway())),
        global_ipv6_address: text(ipv6.map(|ipv6| ipv6.address)),
        global_ipv6_prefix_len: ipv6.map(|ipv6| ipv6.prefix_length).unwrap_or_default(),
        dns_names: Ranged::at(version, || {
            (shown == Shown::Inspected).then(|| dns_names(record, endpoint))?
        }),
    }
}

/// `HostConfig.NetworkMode`.
pub(crate) fn network_mode(record: &Record, version: ApiVersion) -> Cow<'_, str> {
    let host = &record.settings.host;
    let mode = host.shown.network_mode.as_deref().map_or_else(|| host.network_mode.text(), Cow::Borrowed);
    match &*mode {
        "default" if version.default_network_has_its_name() => Cow::Borrowed("bridge"),
        _ => mode,
    }
}

/// The requested aliases; in some versions with the short id.
fn aliases(record: &Record, endpoint: &Endpoint, version: ApiVersion) -> Option<Vec<String>> {
    let mut aliases = endpoint.attachment.aliases.clone();
    if version.aliases_have_the_short_id() && endpoint.has_names() {
        aliases.get_or_insert_default().push(record.id.short().to_owned());
    }
    aliases
}

/// The names of the container in the network, once it was there.
fn dns_names(record: &Record, endpoint: &Endpoint) -> Option<Vec<String>> {
    if !endpoint.has_names() || endpoint.network.is_none() {
        return None;
    }
    Some(record.names_in(endpoint).into_iter().map(str::to_owned).collect())
}
