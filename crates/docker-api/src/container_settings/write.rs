//! To the wire: settings as a client gave them.

use engine::images::document::StringOrList;
use model::{
    BlockDeviceSetting, DeviceCapability, DeviceRequest, DriverDeviceRequest, HostSettings, PortBindings,
    ResourceSettings, Spelled, Ulimit,
};

use super::host_config::{
    self, BlkioDevice, DeviceMapping, DriverRequest, HostConfig, LogConfig, LxcConf, PortBinding, PortMap,
    RestartPolicy,
};
use super::mounts;

fn texts<T: std::fmt::Display>(list: Option<&Vec<T>>) -> Option<Vec<String>> {
    list.map(|list| list.iter().map(ToString::to_string).collect())
}

/// `HostConfig` of these settings.
pub(super) fn host_config(host: &HostSettings) -> HostConfig {
    let (policy, maximum_retry_count) = host.restart_policy.written();
    HostConfig {
        binds: texts(host.binds.as_ref()),
        container_id_file: host.shown.container_id_file.clone(),
        lxc_conf: host.shown.empty_lxc_conf.then(LxcConf::default),
        privileged: host.privileged,
        port_bindings: host.port_bindings.as_ref().map(port_map),
        links: texts(host.links.as_ref()),
        publish_all_ports: host.publish_all_ports,
        dns: texts(host.dns.as_ref()),
        dns_options: host.dns_options.clone(),
        dns_search: host.dns_search.clone(),
        extra_hosts: texts(host.extra_hosts.as_ref()),
        volumes_from: texts(host.volumes_from.as_ref()),
        devices: host.devices.as_ref().map(|devices| devices.iter().map(device).collect()),
        network_mode: host.shown.network_mode.clone().unwrap_or_else(|| host.network_mode.to_string()),
        ipc_mode: host.ipc_mode.to_string(),
        pid_mode: host.pid_mode.to_string(),
        uts_mode: host.uts_mode.to_string(),
        cap_add: texts(host.add_capabilities.as_ref()).map(StringOrList),
        cap_drop: texts(host.drop_capabilities.as_ref()).map(StringOrList),
        group_add: host.additional_groups.clone(),
        restart_policy: RestartPolicy { name: policy.to_owned(), maximum_retry_count },
        security_opt: texts(host.security_options.as_ref()),
        readonly_rootfs: host.read_only_root,
        log_config: LogConfig {
            driver: host.log.driver.as_ref().map(ToString::to_string).unwrap_or_default(),
            config: host.log.options.clone(),
        },
        cgroup_parent: host.cgroup_parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        console_size: host.console_size,
        auto_remove: host.auto_remove,
        annotations: host.annotations.clone(),
        volume_driver: host.volume_driver.to_string(),
        userns_mode: host.user_namespace_mode.to_string(),
        cgroupns_mode: host.cgroup_namespace_mode.to_string(),
        oom_score_adj: host.oom_score_adjustment,
        shm_size: host.shm_size,
        tmpfs: host.tmpfs.clone(),
        sysctls: host.sysctls.clone(),
        mounts: host.mounts.as_ref().map(|requests| requests.iter().map(mounts::write).collect()),
        init: host.init,
        storage_opt: host
            .storage_options
            .clone()
            .or_else(|| host.shown.empty_storage_options.then(Default::default)),
        device_requests: host
            .device_requests
            .as_ref()
            .map(|requests| requests.iter().map(device_request).collect()),
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.read_only_paths.clone(),
        runtime: match &host.shown.other_runtime_name {
            Some(name) => name.clone(),
            None if host.shown.runtime_by_name => host_config::RUNTIME.to_owned(),
            None => String::new(),
        },
        isolation: if host.shown.isolation_by_name {
            host_config::ISOLATION.to_owned()
        } else {
            String::new()
        },
        ..resources(&host.resources)
    }
}

/// The fields of `HostConfig` that are limits.
fn resources(limits: &ResourceSettings) -> HostConfig {
    let devices = |given: &Option<Vec<BlockDeviceSetting>>| {
        given.as_ref().map(|devices| devices.iter().map(block_device).collect::<Vec<_>>())
    };
    HostConfig {
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        memory_reservation: limits.memory_reservation,
        kernel_memory: limits.kernel_memory,
        memory_swappiness: limits.memory_swappiness,
        oom_kill_disable: limits.oom_kill_disable,
        cpu_shares: limits.cpu_shares,
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota,
        nano_cpus: limits.nano_cpus,
        cpuset_cpus: limits.cpuset_cpus.to_string(),
        cpuset_mems: limits.cpuset_mems.to_string(),
        blkio_weight: limits.block_weight,
        blkio_weight_device: devices(&limits.block_weight_devices),
        blkio_device_read_bps: devices(&limits.block_read_bytes),
        blkio_device_write_bps: devices(&limits.block_write_bytes),
        blkio_device_read_iops: devices(&limits.block_read_operations),
        blkio_device_write_iops: devices(&limits.block_write_operations),
        pids_limit: limits.pids_limit,
        ulimits: limits.ulimits.as_ref().map(|limits| limits.iter().map(ulimit).collect()),
        device_cgroup_rules: texts(limits.device_rules.as_ref()),
        ..HostConfig::default()
    }
}

fn block_device(device: &BlockDeviceSetting) -> BlkioDevice {
    BlkioDevice { path: device.path.clone(), rate: device.rate, weight: device.weight }
}

fn ulimit(limit: &Option<Ulimit>) -> host_config::Ulimit {
    limit.map_or_else(host_config::Ulimit::default, |Ulimit { name, hard, soft }| host_config::Ulimit {
        name: name.to_string(),
        hard,
        soft,
    })
}

fn device(request: &DeviceRequest) -> DeviceMapping {
    DeviceMapping {
        path_on_host: request.path_on_host.clone(),
        path_in_container: request.path_in_container.clone(),
        cgroup_permissions: Spelled::to_string(&request.permissions),
    }
}

/// Empty values were not given: clients see them so.
fn device_request(request: &DriverDeviceRequest) -> DriverRequest {
    let names = |all: &Vec<DeviceCapability>| all.iter().map(ToString::to_string).collect();
    DriverRequest {
        driver: request.driver.name().to_owned(),
        count: request.count,
        device_ids: Some(request.device_ids.clone()).filter(|ids| !ids.is_empty()),
        capabilities: Some(request.capabilities.iter().map(names).collect())
            .filter(|all: &Vec<_>| !all.is_empty()),
        options: Some(request.options.clone()).filter(|all| !all.is_empty()),
    }
}

fn port_map(bindings: &PortBindings) -> PortMap {
    let place = |place: &model::PortBinding| PortBinding {
        host_ip: place.host_ip.clone().into(),
        host_port: place.host_port.to_string(),
    };
    let places = |places: &Option<Vec<model::PortBinding>>| {
        places.as_ref().map(|places| places.iter().map(place).collect())
    };
    bindings.iter().map(|(port, bound)| (port.to_string(), places(bound))).collect()
}
