//! Which settings contradict a container's network mode.

use model::{Config, HostConfig};

use crate::error::Error;

/// Checks settings against `NetworkMode`.
///
/// # Errors
/// Refused, in the reference's words, at the first contradiction.
pub(crate) fn check(config: &Config, host: &HostConfig) -> Result<(), Error> {
    network::port::validate(host.port_bindings.as_ref().unwrap_or(&std::collections::BTreeMap::new()))
        .map_err(|error| Error::refused(error.to_string()))?;
    for entry in host.extra_hosts.iter().flatten() {
        network::names::ExtraHost::parse(entry).map_err(|error| Error::refused(error.to_string()))?;
    }
    crate::container::security::SecurityOptions::parse(host.security_opt.as_deref().unwrap_or_default())?;
    check_namespaces(host)?;
    if !joins(host) {
        return Ok(());
    }
    if host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty()) || host.publish_all_ports {
        return Err(conflict("-p, -P, --publish-all, --publish and the network mode (--net)"));
    }
    if host.dns.as_ref().is_some_and(|dns| !dns.is_empty()) {
        return Err(conflict("--dns and the network mode (--net)"));
    }
    if host.extra_hosts.as_ref().is_some_and(|hosts| !hosts.is_empty()) {
        return Err(conflict("--add-host and the network mode (--net)"));
    }
    if !config.mac_address.is_empty() {
        return Err(conflict("--mac-address and the network mode (--net)"));
    }
    Ok(())
}

/// Checks the names that a client gives a container: one in another's network has that one's.
///
/// # Errors
/// A conflict, in the reference's words.
pub(crate) fn check_names(config: &Config, host: &HostConfig) -> Result<(), Error> {
    if joins(host) && !(config.hostname.is_empty() && config.domainname.is_empty()) {
        return Err(conflict("-h and the network mode (--net)"));
    }
    Ok(())
}

/// Checks that a container with links has a network of its own.
///
/// # Errors
/// A conflict, in the reference's words.
pub(crate) fn check_links(host: &HostConfig) -> Result<(), Error> {
    let mode = match host.network_mode.as_str() {
        "host" => "host",
        _ if joins(host) => "container",
        _ => return Ok(()),
    };
    if host.links.as_ref().is_none_or(Vec::is_empty) {
        return Ok(());
    }
    Err(conflict(&format!("--net={mode} can't be used with links. This would result in undefined behavior.")))
}

fn joins(host: &HostConfig) -> bool {
    host.network_mode.starts_with("container:")
}

fn conflict(options: &str) -> Error {
    Error::conflict(format!("Conflicting options: {options}"))
}

/// Checks the modes of the other namespaces.
fn check_namespaces(host: &HostConfig) -> Result<(), Error> {
    let joins = |mode: &str| mode.starts_with("container:");
    let known = |mode: &str| matches!(mode, "" | "host" | "private") || joins(mode);
    for (name, mode) in [("PID", &host.pid_mode), ("IPC", &host.ipc_mode)] {
        let is_known = known(mode) || (name == "IPC" && matches!(mode.as_str(), "shareable" | "none"));
        if !is_known {
            return Err(Error::refused(format!("Invalid {name} mode: {mode}")));
        }
    }
    if !known(&host.uts_mode) || joins(&host.uts_mode) {
        return Err(Error::refused(format!("Invalid UTS mode: {}", host.uts_mode)));
    }
    Ok(())
}
