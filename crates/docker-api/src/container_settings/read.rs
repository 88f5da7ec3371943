//! From the wire: every text that is a choice is parsed, or refused with the text that clients expect.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use engine::images::document::StringOrList;
use model::{
    BlockDeviceSetting, CapabilityChoice, CgroupParent, ContainerSettings, CpuSet, DeviceCapability,
    DeviceRequest, DriverDeviceRequest, GroupsOfUser, HealthCheck, HostSettings, LimitName, LogConfig,
    NetworkMode, PortBindings, ResourceSettings, RestartPolicy, ShownHostSettings, SignalError, Spelled,
    StopSignal, Ulimit, WrittenRestartPolicy,
};

use super::config::Config;
use super::host_config::{BlkioDevice, DeviceMapping, DriverRequest, HostConfig, PortBinding, PortMap};
use super::{host_config, mounts};
use crate::ApiError;
use crate::version::ApiVersion;

fn refused(error: impl Display) -> ApiError {
    ApiError::invalid(error.to_string())
}

/// Parses each text of a list that may not have been given.
fn list<T: FromStr<Err: Display> + Display>(
    texts: Option<Vec<String>>,
) -> Result<Option<Vec<Spelled<T>>>, ApiError> {
    let parse = |text: &String| Spelled::parse(text).map_err(refused);
    texts.map(|texts| texts.iter().map(parse).collect()).transpose()
}

/// All settings of a container.
pub(super) fn settings(config: Config, host: HostConfig) -> Result<ContainerSettings, ApiError> {
    let published = config.publish_service.clone();
    let settings = config.into_settings();
    if let Some(StopSignal::Unknown(text)) = settings.stop_signal.as_deref() {
        return Err(refused(SignalError(text.clone())));
    }
    if !published.is_empty() {
        return Err(ApiError::invalid("PublishService is not supported: it was an experiment of its time"));
    }
    Ok(ContainerSettings { host: self::host(host)?, ..settings })
}

/// Removes fields from a health check that its version does not have.
///
/// # Errors
/// When the version has no health checks.
pub(super) fn health_check(check: &mut Option<HealthCheck>, version: ApiVersion) -> Result<(), ApiError> {
    if !version.containers_have_health() && check.as_ref().is_some_and(HealthCheck::is_asked_for) {
        return Err(ApiError::invalid(format!(
            "Healthcheck is not supported: API {version} has no health of containers"
        )));
    }
    if let Some(check) = check {
        if !version.health_checks_have_a_start_period() {
            check.start_period = 0;
        }
        if !version.health_checks_have_a_start_interval() {
            check.start_interval = 0;
        }
    }
    Ok(())
}

/// The settings of the host.
pub(super) fn host(host: HostConfig) -> Result<HostSettings, ApiError> {
    refuse_impossible(&host)?;
    let resources = resources(&host)?;
    let policy = &host.restart_policy;
    let driver = Some(host.log_config.driver).filter(|driver| !driver.is_empty()).map(Into::into);
    Ok(HostSettings {
        resources,
        restart_policy: WrittenRestartPolicy::parse(&policy.name, policy.maximum_retry_count)
            .map_err(refused)?,
        add_capabilities: capabilities(host.cap_add, "Unknown capability to add")?,
        drop_capabilities: capabilities(host.cap_drop, "Unknown capability drop")?,
        devices: host.devices.map(|all| all.into_iter().map(device).collect()).transpose()?,
        user_namespace_mode: host.userns_mode.parse().map_err(refused)?,
        cgroup_namespace_mode: host.cgroupns_mode.parse().map_err(refused)?,
        port_bindings: host.port_bindings.map(port_bindings).transpose()?,
        extra_hosts: list(host.extra_hosts)?,
        security_options: list(host.security_opt)?,
        pid_mode: host.pid_mode.parse().map_err(refused)?,
        ipc_mode: host.ipc_mode.parse().map_err(refused)?,
        uts_mode: host.uts_mode.parse().map_err(refused)?,
        network_mode: network_mode(&host.network_mode),
        links: list(host.links)?,
        binds: list(host.binds)?,
        mounts: host.mounts.map(|all| all.into_iter().map(mounts::read).collect()).transpose()?,
        // What beneath it is read-only too is the version's business.
        writable_submounts: false,
        volumes_from: list(host.volumes_from)?,
        volume_driver: host.volume_driver.into(),
        tmpfs: host.tmpfs,
        shm_size: host.shm_size,
        read_only_root: host.readonly_rootfs,
        masked_paths: host.masked_paths,
        read_only_paths: host.readonly_paths,
        oom_score_adjustment: host.oom_score_adj,
        cgroup_parent: cgroup_parent(&host.cgroup_parent),
        privileged: host.privileged,
        additional_groups: host.group_add,
        groups_of_user: GroupsOfUser::default(),
        publish_all_ports: host.publish_all_ports,
        dns: list(host.dns)?,
        dns_options: host.dns_options,
        dns_search: host.dns_search,
        sysctls: host.sysctls,
        auto_remove: host.auto_remove,
        device_requests: host
            .device_requests
            .map(|requests| requests.into_iter().map(device_request).collect()),
        annotations: host.annotations,
        log: LogConfig { driver, options: host.log_config.config },
        init: host.init,
        console_size: host.console_size,
        shown: ShownHostSettings {
            network_mode: None,
            container_id_file: host.container_id_file,
            empty_lxc_conf: host.lxc_conf.is_some(),
            empty_storage_options: host.storage_opt.as_ref().is_some_and(BTreeMap::is_empty),
            runtime_by_name: !host.runtime.is_empty(),
            other_runtime_name: Some(host.runtime)
                .filter(|name| !matches!(name.as_str(), "" | host_config::RUNTIME)),
            isolation_by_name: !host.isolation.is_empty(),
        },
        storage_options: host.storage_opt.filter(|options| !options.is_empty()),
    })
}

/// Refuses what there is no choice of.
fn refuse_impossible(host: &HostConfig) -> Result<(), ApiError> {
    if host.lxc_conf.as_ref().is_some_and(|conf| !conf.0.is_empty()) {
        return Err(ApiError::invalid("Cannot use --lxc-conf with execdriver: native-0.2"));
    }
    if !host.runtime.is_empty() && !host_config::RUNTIMES.contains(&host.runtime.as_str()) {
        return Err(ApiError::invalid(format!("Unknown runtime specified {}", host.runtime)));
    }
    Ok(())
}

fn network_mode(text: &str) -> NetworkMode {
    let Ok(mode) = text.parse();
    mode
}

/// The restart policy of an update; an empty one changes nothing.
pub(super) fn changed_policy(
    policy: &host_config::RestartPolicy,
) -> Result<Option<WrittenRestartPolicy>, ApiError> {
    if policy.name.is_empty() && policy.maximum_retry_count == 0 {
        return Ok(None);
    }
    let parsed = WrittenRestartPolicy::parse(&policy.name, policy.maximum_retry_count);
    let parsed = parsed.map_err(|error| ApiError::invalid(format!("invalid restart policy: {error}")))?;
    if policy.maximum_retry_count > 0 && !matches!(parsed.policy(), RestartPolicy::OnFailure { .. }) {
        return Err(super::early::unread_retry_count());
    }
    Ok(Some(parsed))
}

/// The limits.
pub(super) fn resources(host: &HostConfig) -> Result<ResourceSettings, ApiError> {
    let devices = |given: &Option<Vec<BlkioDevice>>| {
        given.as_ref().map(|devices| devices.iter().map(block_device).collect::<Vec<_>>())
    };
    let ulimits = host.ulimits.as_ref().map(|all| all.iter().map(ulimit).collect()).transpose()?;
    Ok(ResourceSettings {
        memory: host.memory,
        memory_swap: host.memory_swap,
        memory_reservation: host.memory_reservation,
        kernel_memory: host.kernel_memory,
        memory_swappiness: host.memory_swappiness,
        oom_kill_disable: host.oom_kill_disable,
        cpu_shares: host.cpu_shares,
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        nano_cpus: host.nano_cpus,
        cpuset_cpus: cpu_set(&host.cpuset_cpus, "cpuset cpus")?,
        cpuset_mems: cpu_set(&host.cpuset_mems, "cpuset mems")?,
        block_weight: host.blkio_weight,
        block_weight_devices: devices(&host.blkio_weight_device),
        block_read_bytes: devices(&host.blkio_device_read_bps),
        block_write_bytes: devices(&host.blkio_device_write_bps),
        block_read_operations: devices(&host.blkio_device_read_iops),
        block_write_operations: devices(&host.blkio_device_write_iops),
        pids_limit: host.pids_limit,
        ulimits,
        device_rules: list(host.device_cgroup_rules.clone())?,
        huge_pages: BTreeMap::new(),
        unified: BTreeMap::new(),
    })
}

/// Reads a list of processors or memory nodes; `field` is what the refusal calls it.
pub(crate) fn cpu_set(text: &str, field: &str) -> Result<Spelled<CpuSet>, ApiError> {
    Spelled::parse(text).map_err(|_| ApiError::invalid(format!("Invalid value {text} for {field}")))
}

/// Reads a cgroup's path; an empty text leaves it to the daemon.
pub(crate) fn cgroup_parent(text: &str) -> Option<Spelled<CgroupParent>> {
    (!text.is_empty()).then(|| Spelled::of(text))
}

fn block_device(device: &BlkioDevice) -> BlockDeviceSetting {
    BlockDeviceSetting { path: device.path.clone(), rate: device.rate, weight: device.weight }
}

/// The only element of the specification's example is empty.
fn ulimit(limit: &host_config::Ulimit) -> Result<Option<Ulimit>, ApiError> {
    if *limit == host_config::Ulimit::default() {
        return Ok(None);
    }
    let name: LimitName = limit.name.parse().map_err(refused)?;
    Ok(Some(Ulimit { name, hard: limit.hard, soft: limit.soft }))
}

fn capabilities(
    names: Option<StringOrList>,
    complaint: &str,
) -> Result<Option<Vec<Spelled<CapabilityChoice>>>, ApiError> {
    let unknown = |name: &String| ApiError::invalid(format!("{complaint}: \"{name}\""));
    let parse = |name: &String| Spelled::parse(name).map_err(|_| unknown(name));
    names.map(|names| names.0.iter().map(parse).collect()).transpose()
}

fn device(mapping: DeviceMapping) -> Result<DeviceRequest, ApiError> {
    let permissions = Spelled::parse(&mapping.cgroup_permissions).map_err(|cause| {
        refused(format_args!(
            "error gathering device information while adding custom device \"{}\": {cause}",
            mapping.path_on_host
        ))
    })?;
    Ok(DeviceRequest {
        path_on_host: mapping.path_on_host,
        path_in_container: mapping.path_in_container,
        permissions,
    })
}

fn device_request(request: DriverRequest) -> DriverDeviceRequest {
    let names = |all: Vec<String>| all.into_iter().map(DeviceCapability::from).collect();
    DriverDeviceRequest {
        driver: request.driver.into(),
        count: request.count,
        device_ids: request.device_ids.unwrap_or_default(),
        capabilities: request.capabilities.unwrap_or_default().into_iter().map(names).collect(),
        options: request.options.unwrap_or_default(),
    }
}

fn port_bindings(ports: PortMap) -> Result<PortBindings, ApiError> {
    let place = |place: PortBinding| {
        let host_port = Spelled::parse(&place.host_port).map_err(refused)?;
        Ok::<_, ApiError>(model::PortBinding { host_ip: place.host_ip.into(), host_port })
    };
    let entry = |(port, places): (String, Option<Vec<PortBinding>>)| {
        let port = Spelled::parse(&port).map_err(refused)?;
        let places =
            places.map(|places| places.into_iter().map(place).collect::<Result<_, _>>()).transpose()?;
        Ok((port, places))
    };
    ports.into_iter().map(entry).collect()
}
