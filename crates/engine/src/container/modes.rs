//! Which settings contradict a container's network mode.

use model::{ContainerSettings, HardwareAddress, HostSettings, NetworkMode};

use crate::error::Error;

/// Checks settings against `NetworkMode`.
///
/// # Errors
/// Refused, in the reference's words, at the first contradiction.
pub(crate) fn check(settings: &ContainerSettings, host: &HostSettings) -> Result<(), Error> {
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
    if *settings.mac_address != HardwareAddress::Derived {
        return Err(conflict("--mac-address and the network mode (--net)"));
    }
    Ok(())
}

/// Checks the names that a client gives a container: one in another's network has that one's.
///
/// # Errors
/// A conflict, in the reference's words.
pub(crate) fn check_names(settings: &ContainerSettings) -> Result<(), Error> {
    if joins(&settings.host) && !(settings.hostname.is_empty() && settings.domainname.is_empty()) {
        return Err(conflict("-h and the network mode (--net)"));
    }
    Ok(())
}

/// Checks that a container with links has a network of its own.
///
/// # Errors
/// A conflict, in the reference's words.
pub(crate) fn check_links(host: &HostSettings) -> Result<(), Error> {
    let mode = match host.network_mode {
        NetworkMode::Host => "host",
        NetworkMode::Container(_) => "container",
        NetworkMode::None | NetworkMode::Networks(_) => return Ok(()),
    };
    if host.links.as_ref().is_none_or(Vec::is_empty) {
        return Ok(());
    }
    Err(conflict(&format!("--net={mode} can't be used with links. This would result in undefined behavior.")))
}

fn joins(host: &HostSettings) -> bool {
    host.network_mode.joined().is_some()
}

fn conflict(options: &str) -> Error {
    Error::ConflictingOptions(options.to_owned())
}
