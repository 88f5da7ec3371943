//! The settings that a container may request in a network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{
    Attachment, ContainerSettings, HostSettings, NetworkDefinition, NetworkDriver, NetworkMode,
    NetworkReference,
};

use super::interface_names;
use crate::container::Record;
use crate::endpoint::{self, BRIDGE, Endpoint};
use crate::error::Error;
use crate::networks::entry::configuration_only;
use crate::networks::record::NetworkRecord;
use crate::networks::registry::NetworkRegistry;

/// The option of an endpoint that changes kernel settings of its interface.
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
/// An interface's name is at most this long, without its final zero (`IFNAMSIZ`).
const LONGEST_NAME: usize = 15;

/// The requested endpoints, checked against their networks where these exist.
///
/// # Errors
/// A setting that a network does not support.
pub(crate) fn asked(
    registry: &NetworkRegistry,
    settings: &ContainerSettings,
) -> Result<Vec<Endpoint>, Error> {
    let mut endpoints = endpoint::of_settings(settings);
    let mut known = BTreeSet::new();
    for endpoint in &mut endpoints {
        let Ok(entry) = registry.find(endpoint.attachment.network.as_str()) else { continue };
        check(&endpoint.attachment, &entry.record)?;
        if !settings.network_disabled {
            check_mode(&settings.host.network_mode, &entry.record)?;
        }
        if !known.insert(entry.record.id.clone()) {
            return Err(Error::refused(format!(
                "the network {} is named twice, the second time as {}",
                entry.name(),
                endpoint.attachment.network.as_str()
            )));
        }
        entry.describe_in(endpoint);
    }
    check_interface_names(&endpoints)?;
    Ok(endpoints)
}

/// Writes the full id of a network for the start of it, as clients see it again.
pub(crate) fn write_full_ids(registry: &NetworkRegistry, host: &mut HostSettings) {
    let NetworkMode::Networks(attachments) = &mut host.network_mode else { return };
    for attachment in attachments {
        if let NetworkReference::Named(name) = &mut attachment.network
            && let Some(id) = registry.full_id(name)
        {
            *name = id.to_string();
        }
    }
    if let Some(id) = host.shown.network_mode.as_deref().and_then(|named| registry.full_id(named)) {
        host.shown.network_mode = Some(id.to_string());
    }
}

/// Refuses the host's network and no network as one of several: they are modes.
fn check_mode(mode: &NetworkMode, record: &NetworkRecord) -> Result<(), Error> {
    let is_mode = matches!(record.definition.driver, NetworkDriver::Host | NetworkDriver::Null);
    if is_mode && matches!(mode, NetworkMode::Networks(_)) {
        let name = &record.definition.name;
        return Err(Error::refused(format!(
            "container cannot be connected to multiple networks with one of the networks in {name} mode"
        )));
    }
    Ok(())
}

/// Refuses one name of an interface for two of them.
fn check_interface_names(endpoints: &[Endpoint]) -> Result<(), Error> {
    let mut names = BTreeMap::new();
    for endpoint in endpoints {
        let options = endpoint.attachment.driver_options.as_ref();
        let Some(name) = options.and_then(|options| options.get(interface_names::NAME)) else { continue };
        if let Some(other) = names.insert(name, &endpoint.name) {
            return Err(Error::refused(format!(
                "the interfaces in the networks {other} and {} have the same name {name:?}",
                endpoint.name
            )));
        }
    }
    Ok(())
}

/// Checks that the networks of a container are there.
///
/// # Errors
/// Not found; forbidden for one that is only a configuration.
pub(crate) fn check_networks(registry: &NetworkRegistry, record: &Record) -> Result<(), Error> {
    record.endpoints.iter().try_for_each(|endpoint| {
        let entry = registry.of_endpoint(endpoint)?;
        if entry.record.definition.config_only {
            return Err(configuration_only(entry.name()));
        }
        check(&endpoint.attachment, &entry.record)
    })
}

/// Checks a container's requested settings in a network.
///
/// # Errors
/// A bad parameter, with all faults of the addresses.
pub(crate) fn check(attachment: &Attachment, record: &NetworkRecord) -> Result<(), Error> {
    let name = record.definition.name.as_str();
    let has_aliases = attachment.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty());
    let addresses = attachment
        .addresses
        .iter()
        .flat_map(|asked| asked.ipv4.map(IpAddr::from).into_iter().chain(asked.ipv6.map(IpAddr::from)));
    let addresses: Vec<IpAddr> = addresses.collect();
    if record.is_predefined() {
        if has_aliases && name == BRIDGE {
            return Err(Error::refused(
                "network-scoped aliases are only supported for user-defined networks: bridge has none",
            ));
        }
        if !addresses.is_empty() {
            return Err(Error::refused(
                "user-specified IP address is supported on user-defined networks only",
            ));
        }
    }
    let mut faults: Vec<String> =
        addresses.iter().filter_map(|address| fault(*address, &record.definition)).collect();
    let link_local = attachment.addresses.iter().flat_map(|asked| &asked.link_local);
    for address in link_local.filter(|address| address.is_ipv6() && !record.definition.ipv6) {
        faults.push(format!("invalid link-local address {address}: the network has no IPv6"));
    }
    if !faults.is_empty() {
        return Err(Error::refused(format!("invalid endpoint settings:\n{}", faults.join("\n"))));
    }
    check_options(attachment.driver_options.as_ref(), record.definition.driver)
}

fn fault(address: IpAddr, definition: &NetworkDefinition) -> Option<String> {
    if address.is_unspecified() {
        return Some(format!("invalid IP address {address}: it is no address of a host"));
    }
    let is_used = if address.is_ipv4() { definition.ipv4 } else { definition.ipv6 };
    let mut subnets = definition.pools.iter().filter_map(|pool| pool.subnet);
    if is_used && subnets.any(|subnet| subnet.contains(address)) {
        return None;
    }
    Some(format!("no configured subnet contains IP address {address}"))
}

fn check_options(options: Option<&BTreeMap<String, String>>, driver: NetworkDriver) -> Result<(), Error> {
    let has_interface = !matches!(driver, NetworkDriver::Host | NetworkDriver::Null);
    let Some(options) = options.filter(|_| has_interface) else { return Ok(()) };
    if let Some(name) = options.get(interface_names::NAME) {
        let fits = (1..=LONGEST_NAME).contains(&name.len());
        let is_clean = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !fits || !is_clean || matches!(name.as_str(), "." | ".." | "lo" | "all" | "default") {
            return Err(Error::refused(format!(
                "invalid value of {}: {name:?} is no name of an interface",
                interface_names::NAME
            )));
        }
    }
    sysctls(options).map(drop)
}

/// A kernel setting of an interface: its path within /proc/sys, with `IFNAME` in place of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InterfaceSetting {
    pub(super) path: String,
    pub(super) value: String,
}

/// The kernel settings in an endpoint's options.
///
/// # Errors
/// A setting that interfaces do not have.
pub(super) fn sysctls(options: &BTreeMap<String, String>) -> Result<Vec<InterfaceSetting>, Error> {
    let Some(list) = options.get(SYSCTLS).filter(|list| !list.is_empty()) else { return Ok(Vec::new()) };
    let setting = |text: &str| {
        let bad = || Error::refused(format!("invalid sysctl {text:?} in {SYSCTLS}"));
        let (name, value) = text.trim().split_once('=').ok_or_else(bad)?;
        let parts: Vec<&str> = name.split('.').collect();
        let is_plain = |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match parts[..] {
            ["net", family @ ("ipv4" | "ipv6" | "mpls"), kind @ ("conf" | "neigh"), interface, key]
                // The CLI writes all letters of its option small.
                if interface.eq_ignore_ascii_case("IFNAME") && is_plain(&key) && !key.is_empty() =>
            {
                let path = format!("net/{family}/{kind}/IFNAME/{key}");
                Ok(InterfaceSetting { path, value: value.to_owned() })
            }
            _ => Err(bad()),
        }
    };
    list.split(',').map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(sysctls: &str) -> BTreeMap<String, String> {
        [(SYSCTLS.to_owned(), sysctls.to_owned())].into()
    }

    #[test]
    fn settings_are_those_of_the_interface_alone() {
        let read =
            sysctls(&options("net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.ifname.gc_stale_time=5"));
        let paths: Vec<_> = read.expect("settings").into_iter().map(|setting| setting.path).collect();
        assert_eq!(paths, ["net/ipv4/conf/IFNAME/log_martians", "net/ipv6/neigh/IFNAME/gc_stale_time"]);
        for bad in [
            "net.ipv4.conf.eth0",
            "net.ipv4.conf.eth0.x=1",
            "net.ipv4.conf.IFNAME.../../x=1",
            "net.ipv4.ip_forward=1",
            "kernel.x=1",
            "net.ipv4.conf.IFNAME.a/b=1",
        ] {
            let error = sysctls(&options(bad)).expect_err(bad);
            assert!(error.to_string().contains("sysctl"), "{error}");
        }
    }
}
