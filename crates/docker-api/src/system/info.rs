//! `GET /info`

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::{AddressPools, Limits, Phase};
use http::StatusCode;
use model::Timestamp;
use serde::Serialize;

use super::registries::RegistryConfig;
use super::version_answer::{COMMIT, VERSION};
use super::{host, warnings};
use crate::version::{ApiVersion, Ranged, Since, Until};
use crate::{ApiError, Call, Handled, Reply};

const INDEX: &str = "https://index.docker.io/v1/";
/// The runtime of all containers, and the name of its program.
const RUNTIME: &str = "berth";
const SHIM: &str = "berth-shim";
/// The switch of the kernel that forwards packets.
const FORWARDING: &str = "net/ipv4/ip_forward";

/// The documented fields of 1.20, as long as they last.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InfoAnswer {
    #[serde(rename = "ID")]
    id: String,
    containers: usize,
    images: usize,
    driver: &'static str,
    driver_status: Vec<[String; 2]>,
    memory_limit: bool,
    swap_limit: bool,
    cpu_cfs_period: bool,
    cpu_cfs_quota: bool,
    #[serde(rename = "IPv4Forwarding")]
    ipv4_forwarding: bool,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    bridge_nf_iptables: Until<50, bool>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    bridge_nf_ip6tables: Until<50, bool>,
    debug: bool,
    #[serde(rename = "NFd")]
    descriptors: usize,
    oom_kill_disable: bool,
    #[serde(rename = "NGoroutines")]
    tasks: usize,
    system_time: Timestamp,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    execution_driver: Until<24, &'static str>,
    logging_driver: String,
    #[serde(rename = "NEventsListener")]
    listeners: usize,
    kernel_version: String,
    operating_system: String,
    index_server_address: &'static str,
    registry_config: RegistryConfig,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    init_sha1: Until<25, &'static str>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    init_path: Until<25, String>,
    #[serde(rename = "NCPU")]
    processors: usize,
    mem_total: u64,
    docker_root_dir: String,
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    name: String,
    labels: Option<Vec<String>>,
    experimental_build: bool,
    #[serde(flatten)]
    newer: NewerInfo,
    #[serde(flatten)]
    latest: LatestInfo,
}

/// Fields that clients of newer versions show in every version, as far as they are true here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NewerInfo {
    server_version: &'static str,
    containers_running: usize,
    containers_paused: usize,
    containers_stopped: usize,
    #[serde(rename = "OSType")]
    os_type: &'static str,
    architecture: String,
    cgroup_driver: &'static str,
    cgroup_version: &'static str,
    #[serde(rename = "CPUShares")]
    cpu_shares: bool,
    #[serde(rename = "CPUSet")]
    cpu_set: bool,
    pids_limit: bool,
    plugins: Plugins,
    swarm: Swarm,
    runtimes: BTreeMap<&'static str, Runtime>,
    default_runtime: &'static str,
    security_options: Vec<&'static str>,
    live_restore_enabled: bool,
}

/// Fields of versions after 1.20.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LatestInfo {
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    kernel_memory: Ranged<23, 42, bool>,
    #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "Ranged::is_absent")]
    kernel_memory_tcp: Ranged<40, 42, bool>,
    #[serde(rename = "OSVersion", skip_serializing_if = "Ranged::is_absent")]
    os_version: Since<24, String>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    isolation: Since<25, &'static str>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    generic_resources: Since<25, ()>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    init_binary: Since<25, &'static str>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    containerd_commit: Since<24, Commit>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    runc_commit: Since<24, Commit>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    init_commit: Since<24, Commit>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    warnings: Since<39, Option<Vec<String>>>,
    #[serde(rename = "CDISpecDirs", skip_serializing_if = "Ranged::is_absent")]
    device_directories: Since<44, Vec<PathBuf>>,
    /// Absent without pools of the administrator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_address_pools: Option<Vec<DefaultAddressPool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovered_devices: Option<Vec<DeviceInfo>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    firewall_backend: Since<49, Option<FirewallBackend>>,
}

/// Where networks that name no addresses get theirs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DefaultAddressPool {
    /// A network, like `10.10.0.0/16`.
    base: String,
    /// The length of the prefix of each network.
    size: u8,
}

/// A device that a container can request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeviceInfo {
    source: &'static str,
    #[serde(rename = "ID")]
    id: String,
}

/// `Plugins`: what there is without any.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Plugins {
    volume: [&'static str; 1],
    network: [&'static str; 3],
    authorization: (),
    log: Vec<&'static str>,
}

/// `Swarm`: the engine is in none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Swarm {
    #[serde(rename = "NodeID")]
    node: &'static str,
    node_addr: &'static str,
    local_node_state: &'static str,
    control_available: bool,
    error: &'static str,
    remote_managers: (),
}

/// One of `Runtimes`.
#[derive(Debug, Serialize)]
struct Runtime {
    path: PathBuf,
}

/// The commit that a program was built from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Commit {
    #[serde(rename = "ID")]
    id: &'static str,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    expected: Until<49, &'static str>,
}

/// `FirewallBackend`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FirewallBackend {
    driver: &'static str,
}

/// The details of the storage driver. buildx, bake and Compose recognise a store that accepts images with attestations,
/// and of several platforms, by the driver's type alone.
fn driver_status(call: &Call<'_>) -> Vec<[String; 2]> {
    let status = |name: &str, value: String| [name.to_owned(), value];
    let mut all = vec![status("Backing Filesystem", host::file_system(&call.engine.options().data_root))];
    if call.version.image_list_has_manifests() {
        all.push(status("driver-type", "io.containerd.snapshotter.v1".to_owned()));
    }
    all
}

pub(super) async fn info(call: &Call<'_>) -> Handled {
    let devices = discovered(call).await?;
    let (engine, options) = (call.engine, call.engine.options());
    let version = call.version;
    let (limits, names, settings) = (Limits::of_host(), host::names(), call.settings.values());
    let newer = newer(call, &limits, names.machine);
    let answer = InfoAnswer {
        id: engine.identity().to_owned(),
        containers: engine.containers.all().len(),
        images: engine.images.store().count(),
        driver: "overlay",
        driver_status: driver_status(call),
        memory_limit: limits.memory,
        swap_limit: limits.swap,
        cpu_cfs_period: limits.cpu_quota,
        cpu_cfs_quota: limits.cpu_quota,
        ipv4_forwarding: host::is_switched_on(FORWARDING),
        bridge_nf_iptables: Ranged::at(version, || bridge_filter(version, "iptables")),
        bridge_nf_ip6tables: Ranged::at(version, || bridge_filter(version, "ip6tables")),
        debug: settings.debug,
        descriptors: host::open_descriptors(),
        oom_kill_disable: limits.oom_kill_disable,
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        system_time: Timestamp::now(),
        execution_driver: Ranged::at(version, || "native-0.2"),
        logging_driver: options.log.driver.as_ref().map(ToString::to_string).unwrap_or_default(),
        listeners: engine.events.listeners(),
        kernel_version: names.kernel,
        operating_system: host::operating_system(),
        index_server_address: INDEX,
        registry_config: RegistryConfig::of(&settings, version),
        init_sha1: Ranged::at(version, || ""),
        init_path: Ranged::at(version, || options.shim.display().to_string()),
        processors: engine::HostProcessors::read().count,
        mem_total: host::memory(),
        docker_root_dir: options.data_root.display().to_string(),
        http_proxy: host::proxy("http_proxy"),
        https_proxy: host::proxy("https_proxy"),
        no_proxy: host::proxy("no_proxy"),
        name: names.host,
        labels: Some(settings.labels).filter(|labels| !labels.is_empty() || version.info_has_empty_lists()),
        experimental_build: false,
        newer,
        latest: latest(call, &limits, devices),
    };
    Reply::json(StatusCode::OK, &answer)
}

fn newer(call: &Call<'_>, limits: &Limits, machine: String) -> NewerInfo {
    let phases: Vec<Phase> =
        call.engine.containers.all().iter().map(|container| container.record().phase).collect();
    let count = |wanted: fn(&Phase) -> bool| phases.iter().filter(|phase| wanted(phase)).count();
    let (running, paused) =
        (count(|phase| matches!(phase, Phase::Running(_))), count(|phase| matches!(phase, Phase::Paused(_))));
    NewerInfo {
        server_version: VERSION,
        containers_running: running,
        containers_paused: paused,
        containers_stopped: phases.len() - running - paused,
        os_type: "linux",
        architecture: machine,
        cgroup_driver: "cgroupfs",
        cgroup_version: if limits.unified { "2" } else { "1" },
        cpu_shares: limits.cpu_shares,
        cpu_set: limits.cpuset,
        pids_limit: limits.processes,
        plugins: plugins(call.version),
        swarm: Swarm {
            node: "",
            node_addr: "",
            local_node_state: "inactive",
            control_available: false,
            error: "",
            remote_managers: (),
        },
        runtimes: BTreeMap::from([(RUNTIME, Runtime { path: call.engine.options().shim.clone() })]),
        default_runtime: RUNTIME,
        security_options: security_options(call),
        live_restore_enabled: !call.engine.options().stop_containers_on_exit,
    }
}

/// The mechanisms that confine containers.
fn security_options(call: &Call<'_>) -> Vec<&'static str> {
    let (seccomp, users) = match call.version.security_options_are_words() {
        true => ("seccomp", "userns"),
        false => ("name=seccomp,profile=default", "name=userns"),
    };
    let has_users = call.engine.options().user_mapping.is_some();
    [Some(seccomp), has_users.then_some(users)].into_iter().flatten().collect()
}

fn latest(call: &Call<'_>, limits: &Limits, devices: Vec<DeviceInfo>) -> LatestInfo {
    let version = call.version;
    let commit = |id| Commit { id, expected: Ranged::at(version, || id) };
    LatestInfo {
        kernel_memory: Ranged::at(version, || limits.kernel_memory),
        kernel_memory_tcp: Ranged::at(version, || false),
        os_version: Ranged::at(version, host::system_version),
        isolation: Ranged::at(version, || ""),
        generic_resources: Ranged::at(version, || ()),
        init_binary: Ranged::at(version, || SHIM),
        // There is no containerd; runtime and init are the shim's.
        containerd_commit: Ranged::at(version, || commit("")),
        runc_commit: Ranged::at(version, || commit(COMMIT)),
        init_commit: Ranged::at(version, || commit(COMMIT)),
        warnings: Ranged::at(version, || warnings::of_host(limits, host::is_switched_on(FORWARDING))),
        device_directories: Ranged::at(version, || call.engine.options().cdi_directories.clone()),
        default_address_pools: version
            .info_has_address_pools()
            .then(|| address_pools(&call.engine.options().address_pools))
            .filter(|pools| !pools.is_empty()),
        discovered_devices: Some(devices).filter(|all| !all.is_empty()),
        firewall_backend: Ranged::at(version, || {
            call.engine.options().network.firewall.then_some(FirewallBackend { driver: "nftables" })
        }),
    }
}

/// The pools that the administrator gave: a family that none was given for has the built-in ones.
fn address_pools(pools: &AddressPools) -> Vec<DefaultAddressPool> {
    let ipv4 = match pools.ipv4 == AddressPools::default().ipv4 {
        true => &[][..],
        false => &pools.ipv4,
    };
    let ipv4 = ipv4.iter().map(|(base, size)| DefaultAddressPool { base: base.to_string(), size: *size });
    let ipv6 =
        pools.ipv6.iter().map(|(base, size)| DefaultAddressPool { base: base.to_string(), size: *size });
    ipv4.chain(ipv6).collect()
}

/// The devices of the host's specifications; empty for versions without them.
async fn discovered(call: &Call<'_>) -> Result<Vec<DeviceInfo>, ApiError> {
    if !call.version.info_has_devices() {
        return Ok(Vec::new());
    }
    let names = engine::discovered_devices(&call.engine.options().cdi_directories).await?;
    Ok(names.into_iter().map(|id| DeviceInfo { source: "cdi", id }).collect())
}

/// The drivers, in the order of names where clients expect it.
fn plugins(version: ApiVersion) -> Plugins {
    let mut log: Vec<&'static str> = model::LOG_DRIVERS.iter().map(|(_, row)| row.name).collect();
    if version.info_names_drivers_in_order() {
        log.sort_unstable();
    }
    let network = if version.info_names_drivers_in_order() {
        ["bridge", "host", "null"]
    } else {
        ["bridge", "host", "none"]
    };
    Plugins { volume: ["local"], network, authorization: (), log }
}

/// Whether frames over bridges pass the host's filter of this kind.
fn bridge_filter(version: ApiVersion, filter: &str) -> bool {
    version.info_looks_at_bridge_filters()
        && host::is_switched_on(&format!("net/bridge/bridge-nf-call-{filter}"))
}
