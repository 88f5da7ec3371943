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
    let mode = host.network_mode.as_str();
    let joins = mode.starts_with("container:");
    let conflict = |options: &str| Err(Error::refused(format!("Conflicting options: {options}")));
    if (mode == "host" || joins) && host.links.as_ref().is_some_and(|links| !links.is_empty()) {
        return conflict("--net and --link can't be used together. This would result in undefined behavior");
    }
    if joins {
        if host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty()) || host.publish_all_ports {
            return conflict("-p, -P, --publish-all, --publish and the network mode (container)");
        }
        if host.dns.as_ref().is_some_and(|dns| !dns.is_empty()) {
            return conflict("--dns and the network mode (container)");
        }
        if host.extra_hosts.as_ref().is_some_and(|hosts| !hosts.is_empty()) {
            return conflict("--add-host and the network mode (container)");
        }
        if !config.mac_address.is_empty() {
            return conflict("--mac-address and the network mode (container)");
        }
    }
    Ok(())
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
