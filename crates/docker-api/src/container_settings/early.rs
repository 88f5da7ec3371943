//! Checks that newer clients get at create, and earlier ones at the start, or never.

use model::{
    Bind, BindSource, BoundPort, ContainerSettings, HardwareAddress, HostAddress, NameServer, NetworkMode,
    RestartPolicy, SettingError, UtsMode,
};

use super::mounts;
use crate::ApiError;
use crate::version::ApiVersion;

/// The least memory of a container in newer versions, in bytes.
const LEAST_MEMORY: i64 = 6 << 20;

/// Refuses binds onto the root, with invalid modes, and of volumes whose names are too short.
///
/// # Errors
/// 400 for the first of them, 500 for a mode, as dockerd 29.8 answers.
pub(super) fn binds(binds: &[String]) -> Result<(), ApiError> {
    for text in binds {
        match text.parse::<Bind>() {
            Err(SettingError::MountOnRoot) => {
                return Err(ApiError::invalid(format!(
                    "invalid volume specification: '{text}': invalid specification: destination can't be '/'"
                )));
            }
            Err(SettingError::MountMode(mode)) => {
                return Err(ApiError::internal(format!("invalid mode: {mode}")));
            }
            Ok(Bind { source: BindSource::Volume(name), .. }) if name.len() == 1 => {
                return Err(mounts::short_volume_name(&name));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// Refuses settings that contradict each other, and texts that are no address and no port.
///
/// # Errors
/// 400 for the first of them.
pub(super) fn check(settings: &ContainerSettings) -> Result<(), ApiError> {
    let host = &settings.host;
    let (_, count) = host.restart_policy.written();
    if count > 0 && !matches!(host.restart_policy.policy(), RestartPolicy::OnFailure { .. }) {
        return Err(unread_retry_count());
    }
    if host.uts_mode == UtsMode::Host && !settings.hostname.is_empty() {
        return Err(ApiError::invalid("conflicting options: hostname and the UTS mode"));
    }
    if joins_nothing(&host.network_mode) {
        return Err(ApiError::invalid("Invalid network mode: invalid container format container:<name|id>"));
    }
    if host.network_mode.joined().is_some()
        && settings.exposed_ports.as_ref().is_some_and(|it| !it.is_empty())
    {
        return Err(ApiError::invalid("conflicting options: ports to expose and the network mode container"));
    }
    if let HardwareAddress::Unusable(cause) = &*settings.mac_address {
        return Err(ApiError::invalid(cause.to_string()));
    }
    host.dns.iter().flatten().try_for_each(|server| name_server(server))?;
    for port in settings.exposed_ports.iter().flatten() {
        let text = port.to_string();
        let numbers = text.split_once('/').map_or(text.as_str(), |(numbers, _)| numbers);
        for number in numbers.split('-') {
            let _: BoundPort = number.parse().map_err(|cause| ApiError::invalid(format!("{cause}")))?;
        }
    }
    let places = host.port_bindings.iter().flatten().filter_map(|(_, places)| places.as_ref()).flatten();
    for place in places {
        if let HostAddress::Unusable(text) = &place.host_ip {
            return Err(ApiError::invalid(format!("invalid IP address of the host: {text:?}")));
        }
    }
    Ok(())
}

/// Refuses a limit of memory in which current containers do not start.
///
/// # Errors
/// 400 below 6 MiB, in the versions that have this limit.
pub(crate) fn least_memory(version: ApiVersion, limit: i64) -> Result<(), ApiError> {
    match limit {
        1..LEAST_MEMORY if version.least_memory_is_six_megabytes() => {
            Err(ApiError::invalid("Minimum memory limit allowed is 6MB"))
        }
        _ => Ok(()),
    }
}

/// Whether a network is to be shared with a container that is not named.
fn joins_nothing(mode: &NetworkMode) -> bool {
    match mode {
        NetworkMode::Container(other) => other.as_str().is_empty(),
        other => other.to_string() == "container",
    }
}

/// The refusal of a count that the restart policy never reads.
pub(super) fn unread_retry_count() -> ApiError {
    ApiError::invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'")
}

/// A zone may stand behind an address of IPv6.
fn name_server(server: &NameServer) -> Result<(), ApiError> {
    let NameServer::Other(text) = server else { return Ok(()) };
    let address = text.split_once('%').map_or("", |(address, _)| address);
    match text.is_empty() || address.parse::<std::net::Ipv6Addr>().is_ok() {
        true => Ok(()),
        false => Err(ApiError::invalid(format!("invalid DNS server: {text:?} is not an IP address"))),
    }
}
