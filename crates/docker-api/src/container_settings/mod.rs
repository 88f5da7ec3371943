//! A container's settings on the wire: read once into [`ContainerSettings`], written again from them.
//!
//! [`from_wire`] and [`to_wire`] undo each other: what a client wrote is shown as it was written.

mod absent;
mod config;
mod early;
mod endpoint_settings;
mod host_config;
mod mount_options;
mod mounts;
mod read;
#[cfg(test)]
mod tests;
mod write;

use engine::ContainerUpdate;
use model::{ContainerSettings, HostSettings, IpcMode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::version::ApiVersion;
use super::{ApiError, json};
use crate::containers::unsupported;
use crate::json::field;
use endpoint_settings::{NetworkingConfig, shown_mode};

pub(crate) use config::Config;
pub(crate) use early::least_memory;
pub(crate) use endpoint_settings::{EndpointSettings, IpamConfig};
pub(crate) use host_config::{HostConfig, ISOLATION, PortBinding, RUNTIME};
pub(crate) use read::{cgroup_parent, cpu_set};

/// Fewest and most CPU shares that the kernel takes.
const CPU_SHARES: (i64, i64) = (2, 262_144);

/// The fields of the body outside of `Config`: limits where clients before 1.19 put them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Beside {
    memory: i64,
    memory_swap: i64,
    cpu_shares: i64,
    cpuset: String,
    cpuset_cpus: String,
}

/// Errors within it name `HostConfig` first.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wrapped {
    host_config: HostConfig,
}

/// Reads the body of a create.
///
/// # Errors
/// Values of wrong types, texts that are no choice, and what this engine cannot do.
pub(crate) fn from_wire(version: ApiVersion, body: &[u8]) -> Result<ContainerSettings, ApiError> {
    let object = json::object(body)?;
    let fields = object.as_object().cloned().unwrap_or_default();
    let given = field(&fields, "HostConfig").filter(|value| !value.is_null()).cloned();
    unsupported::refuse(&fields, given.as_ref().unwrap_or(&object), version)?;
    let is_empty = fields.keys().all(|key| key.eq_ignore_ascii_case("HostConfig"));
    let beside = as_the_first_clients_wrote(fields.clone());
    let config: Config = json::from_object(object)?;
    let mut host = match given {
        Some(host) => {
            let host = json::from_object(Value::Object(Map::from_iter([("HostConfig".to_owned(), host)])));
            host.map(|Wrapped { host_config }| host_config)?
        }
        None => host_beside_config(beside.clone())?,
    };
    take_from_beside(&mut host, json::from_object(beside)?);
    if !version.cpu_shares_are_checked() && host.cpu_shares > 0 {
        host.cpu_shares = host.cpu_shares.clamp(CPU_SHARES.0, CPU_SHARES.1);
    }
    if is_empty {
        return Err(ApiError::invalid("Config cannot be empty in order to create a container"));
    }
    least_memory(version, host.memory)?;
    mounts::check(version, host.mounts.as_deref().unwrap_or_default())?;
    if version.refusals_have_words_of_today() {
        early::binds(host.binds.as_deref().unwrap_or_default())?;
    } else {
        mounts::refuse_anonymous_binds(host.binds.as_deref().unwrap_or_default())?;
    }
    let mut settings = read::settings(config, host)?;
    if version.refusals_have_words_of_today() {
        early::check(&settings)?;
    }
    read::health_check(&mut settings.health_check, version)?;
    if version.ipc_is_private_by_default() && settings.host.ipc_mode == IpcMode::Default {
        settings.host.ipc_mode = IpcMode::Private;
    }
    settings.host.writable_submounts = !version.read_only_binds_are_recursive();
    if version.create_takes_endpoints() {
        take_endpoints(&mut settings, &fields, version)?;
    }
    Ok(settings)
}

/// The endpoints of `NetworkingConfig` take the place of the network that the mode names.
fn take_endpoints(
    settings: &mut ContainerSettings,
    fields: &Map<String, Value>,
    version: ApiVersion,
) -> Result<(), ApiError> {
    let Some(given) = field(fields, "NetworkingConfig").filter(|value| !value.is_null()) else {
        return Ok(());
    };
    let networking: NetworkingConfig = json::from_object(given.clone())?;
    let named = std::mem::take(&mut settings.host.network_mode);
    let actual = networking.mode(named.clone(), version)?;
    settings.host.shown.network_mode = shown_mode(&named, &actual);
    settings.host.network_mode = actual;
    Ok(())
}

/// Converts fields beside those of `Config` to their newer form: the first clients wrote an empty text for an
/// unset field, and the names in `VolumesFrom` as one text with commas.
fn as_the_first_clients_wrote(mut fields: Map<String, Value>) -> Value {
    fields.retain(|_, value| *value != "");
    for (_, value) in fields.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("VolumesFrom")) {
        if let Value::String(names) = value {
            *value = names.split(',').collect();
        }
    }
    Value::Object(fields)
}

/// The settings of the host that very old clients write between those of `Config`, without a `HostConfig`.
fn host_beside_config(object: Value) -> Result<HostConfig, ApiError> {
    let host: HostConfig = json::from_object(object)?;
    // `Config` has a field of this name too.
    Ok(HostConfig { volume_driver: String::new(), ..host })
}

/// Reads the body of a start of old clients: the settings of the host, alone or within an object. An empty
/// one leaves those of the create.
///
/// # Errors
/// As [`from_wire`].
pub(crate) fn host_from_wire(body: &[u8]) -> Result<Option<HostSettings>, ApiError> {
    let object = json::object(body)?;
    let within = object.as_object().and_then(|fields| {
        fields.iter().find(|(key, value)| key.eq_ignore_ascii_case("HostConfig") && value.is_object())
    });
    let host: Value = within.map_or_else(|| object.clone(), |(_, value)| value.clone());
    unsupported::refuse_of_host(&host)?;
    let host: HostConfig = json::from_object(host)?;
    mounts::refuse_anonymous_binds(host.binds.as_deref().unwrap_or_default())?;
    if host == HostConfig::default() { Ok(None) } else { read::host(host).map(Some) }
}

/// Reads the body of an update: limits without nesting, and the restart policy.
///
/// # Errors
/// As [`from_wire`].
pub(crate) fn update_from_wire(version: ApiVersion, body: &[u8]) -> Result<ContainerUpdate, ApiError> {
    let object = json::object(body).map_err(crate::body::malformed)?;
    unsupported::refuse_of_update(&object)?;
    let oom_kill_disable = object.as_object().and_then(|fields| field(fields, "OomKillDisable")?.as_bool());
    let mut asked: HostConfig = json::from_object(object).map_err(crate::body::malformed)?;
    if !version.update_has_a_process_limit() {
        asked.pids_limit = None;
    }
    if !version.update_has_block_devices() {
        asked.blkio_weight_device = None;
        asked.blkio_device_read_bps = None;
        asked.blkio_device_write_bps = None;
        asked.blkio_device_read_iops = None;
        asked.blkio_device_write_iops = None;
    }
    let restart_policy = read::changed_policy(&asked.restart_policy)?;
    Ok(ContainerUpdate { resources: read::resources(&asked)?, oom_kill_disable, restart_policy })
}

/// Settings as the API writes them.
#[derive(Debug, PartialEq)]
pub(crate) struct WireSettings {
    /// The container's own settings.
    pub(crate) config: Config,
    /// The settings of the host for it.
    pub(crate) host: HostConfig,
}

/// Writes settings as a client gave them.
pub(crate) fn to_wire(settings: &ContainerSettings) -> WireSettings {
    WireSettings { config: Config::of(settings), host: write::host_config(&settings.host) }
}

fn take_from_beside(host: &mut HostConfig, beside: Beside) {
    let number = |held: &mut i64, other: i64| {
        if *held == 0 {
            *held = other;
        }
    };
    number(&mut host.memory, beside.memory);
    number(&mut host.memory_swap, beside.memory_swap);
    number(&mut host.cpu_shares, beside.cpu_shares);
    if host.cpuset_cpus.is_empty() {
        host.cpuset_cpus = if beside.cpuset_cpus.is_empty() { beside.cpuset } else { beside.cpuset_cpus };
    }
}
