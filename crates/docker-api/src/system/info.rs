//! `GET /info` and `GET /version`

use std::collections::BTreeMap;

use engine::{Limits, Phase};
use http::StatusCode;
use model::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::host;
use crate::{ApiVersion, Call, Handled, Reply, version};

const INDEX: &str = "https://index.docker.io/v1/";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The answer of `/version`: the documented fields, then some that newer clients show.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct VersionAnswer {
    version: &'static str,
    api_version: String,
    git_commit: &'static str,
    go_version: &'static str,
    os: &'static str,
    arch: &'static str,
    kernel_version: String,
    experimental: bool,
    build_time: &'static str,
    #[serde(rename = "MinAPIVersion")]
    minimum_api_version: String,
    platform: Value,
}

pub(super) fn version(maximum: ApiVersion) -> Handled {
    let answer = VersionAnswer {
        version: VERSION,
        api_version: maximum.to_string(),
        git_commit: option_env!("BERTH_GIT_COMMIT").unwrap_or("unknown"),
        go_version: "none",
        os: "linux",
        arch: host::architecture(),
        kernel_version: host::names().kernel,
        experimental: false,
        build_time: option_env!("BERTH_BUILD_TIME").unwrap_or(""),
        minimum_api_version: version::MIN.to_string(),
        platform: json!({"Name": "berth"}),
    };
    Reply::json(StatusCode::OK, &answer)
}

/// The documented fields of `/info`.
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
    bridge_nf_iptables: bool,
    bridge_nf_ip6tables: bool,
    debug: bool,
    #[serde(rename = "NFd")]
    descriptors: usize,
    oom_kill_disable: bool,
    #[serde(rename = "NGoroutines")]
    tasks: usize,
    system_time: Timestamp,
    execution_driver: &'static str,
    logging_driver: String,
    #[serde(rename = "NEventsListener")]
    listeners: usize,
    kernel_version: String,
    operating_system: String,
    index_server_address: &'static str,
    registry_config: Value,
    init_sha1: &'static str,
    init_path: String,
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
}

/// What clients of newer versions show, where it is true here.
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
    plugins: Value,
    swarm: Value,
    runtimes: Value,
    default_runtime: &'static str,
    security_options: Vec<&'static str>,
    live_restore_enabled: bool,
}

pub(super) fn info(call: &Call<'_>) -> Handled {
    let (engine, options) = (call.engine, call.engine.options());
    let (limits, names, settings) = (Limits::of_host(), host::names(), call.settings.values());
    let newer = newer(call, &limits, names.machine);
    let answer = InfoAnswer {
        id: engine.identity().to_owned(),
        containers: engine.containers.all().len(),
        images: engine.images.store().count(),
        driver: "overlay",
        driver_status: vec![["Backing Filesystem".to_owned(), host::file_system(&options.data_root)]],
        memory_limit: limits.memory,
        swap_limit: limits.swap,
        cpu_cfs_period: limits.cpu_quota,
        cpu_cfs_quota: limits.cpu_quota,
        ipv4_forwarding: host::is_switched_on("net/ipv4/ip_forward"),
        bridge_nf_iptables: host::is_switched_on("net/bridge/bridge-nf-call-iptables"),
        bridge_nf_ip6tables: host::is_switched_on("net/bridge/bridge-nf-call-ip6tables"),
        debug: settings.debug,
        descriptors: host::open_descriptors(),
        oom_kill_disable: limits.oom_kill_disable,
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        system_time: Timestamp::now(),
        execution_driver: "native-0.2",
        logging_driver: options.log.driver.as_ref().map(ToString::to_string).unwrap_or_default(),
        listeners: engine.events.listeners(),
        kernel_version: names.kernel,
        operating_system: host::operating_system(),
        index_server_address: INDEX,
        registry_config: registry_config(call),
        init_sha1: "",
        init_path: options.shim.display().to_string(),
        processors: engine::HostProcessors::read().count,
        mem_total: host::memory(),
        docker_root_dir: options.data_root.display().to_string(),
        http_proxy: host::proxy("http_proxy"),
        https_proxy: host::proxy("https_proxy"),
        no_proxy: host::proxy("no_proxy"),
        name: names.host,
        labels: (!settings.labels.is_empty()).then_some(settings.labels),
        experimental_build: false,
        newer,
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
        plugins: json!({
            "Volume": ["local"], "Network": ["bridge", "host", "none"], "Authorization": null,
            "Log": model::LOG_DRIVERS.iter().map(|(_, row)| row.name).collect::<Vec<_>>(),
        }),
        swarm: json!({"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "", "RemoteManagers": null}),
        runtimes: json!({"berth": {"path": call.engine.options().shim}}),
        default_runtime: "berth",
        security_options: vec!["name=seccomp,profile=default"],
        live_restore_enabled: !call.engine.options().stop_containers_on_exit,
    }
}

/// Which registries are trusted how.
fn registry_config(call: &Call<'_>) -> Value {
    let mirrors = call.settings.values().mirrors;
    let mirrors = if mirrors.is_empty() { Value::Null } else { json!(mirrors) };
    let mut networks = Vec::new();
    let hub = json!({"Name": "docker.io", "Mirrors": mirrors, "Secure": true, "Official": true});
    let mut indexes = BTreeMap::from([("docker.io".to_owned(), hub)]);
    for registry in &call.settings.values().insecure {
        if registry.contains('/') {
            networks.push(registry.clone());
        } else {
            let index = json!({"Name": registry, "Mirrors": [], "Secure": false, "Official": false});
            indexes.insert(registry.clone(), index);
        }
    }
    networks.push("127.0.0.0/8".to_owned());
    json!({"InsecureRegistryCIDRs": networks, "IndexConfigs": indexes, "Mirrors": mirrors})
}
