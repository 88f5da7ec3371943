//! A container as inspect shows it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use engine::images::registry::Descriptor;
use engine::{Engine, Record};
use model::{LogDriver, LogSource, MountPoint, Timestamp};
use serde::Serialize;

use super::endpoint::network_mode;
use super::graph_driver::{GraphDriver, STORAGE_DRIVER};
use super::health::WireHealth;
use super::host_config::{self, Shape};
use super::image_id::image_id;
use super::mount::{WireMountPoint, mounts};
use super::network::NetworkSettings;
use super::status::state_word;
use crate::container_settings::{Config, HostConfig, WireSettings, to_wire};
use crate::version::{ApiVersion, Ranged, Since, Until};
use crate::words;

/// The reference's name of its execution driver; clients show it.
pub(crate) const EXECUTION_DRIVER: &str = "native-0.2";

/// The answer of `GET /containers/(id)/json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ContainerInspection<'a> {
    id: &'a str,
    created: Timestamp,
    path: &'a str,
    args: &'a [String],
    state: WireState<'a>,
    image: String,
    network_settings: NetworkSettings<'a>,
    resolv_conf_path: String,
    hostname_path: String,
    hosts_path: String,
    log_path: String,
    name: String,
    restart_count: i64,
    driver: &'static str,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    exec_driver: Until<24, &'static str>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    platform: Since<32, &'static str>,
    mount_label: &'static str,
    process_label: &'static str,
    app_armor_profile: String,
    #[serde(rename = "ExecIDs")]
    exec_ids: Option<Vec<String>>,
    host_config: Shape<HostConfig>,
    graph_driver: GraphDriver,
    #[serde(flatten)]
    image_manifest: Since<48, ImageManifest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_root_fs: Option<u64>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    mounts: Since<20, Vec<WireMountPoint<'a>>>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    volumes: Until<20, BTreeMap<&'a str, &'a str>>,
    #[serde(rename = "VolumesRW", skip_serializing_if = "Ranged::is_absent")]
    volumes_rw: Until<20, BTreeMap<&'a str, bool>>,
    config: WireConfig,
}

/// `Config`, with limits that have moved to `HostConfig`.
#[derive(Debug, Serialize)]
struct WireConfig {
    #[serde(flatten)]
    config: Shape<Config>,
    #[serde(flatten)]
    limits: Until<20, OldLimits>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OldLimits {
    memory: i64,
    memory_swap: i64,
    cpu_shares: i64,
    cpuset: String,
}

/// `State`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WireState<'a> {
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    status: Since<21, &'static str>,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: u32,
    exit_code: i32,
    error: Cow<'a, str>,
    started_at: Timestamp,
    finished_at: Timestamp,
    /// Lines that the log lost in the last run; not there while it lost none.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_lines_dropped: Option<u64>,
    /// Not there while it was never started with a check.
    #[serde(flatten)]
    health: Since<24, OfHealth<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OfHealth<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<WireHealth<'a>>,
}

impl<'a> WireState<'a> {
    pub(crate) fn new(record: &'a Record, version: ApiVersion) -> Self {
        Self {
            status: Ranged::at(version, || state_word(record, version)),
            running: record.is_running() || record.is_restarting(),
            paused: record.is_paused(),
            restarting: record.is_restarting(),
            oom_killed: record.out_of_memory,
            dead: false,
            pid: record.pid(),
            exit_code: record.exit_code,
            error: record
                .failure
                .as_ref()
                .map(|failure| words::of_failure(failure, version))
                .unwrap_or_default(),
            started_at: record.started_at,
            finished_at: record.finished_at,
            log_lines_dropped: Some(record.log_lines_dropped).filter(|lines| *lines > 0),
            health: Ranged::at(version, || OfHealth { health: WireHealth::of(record) }),
        }
    }
}

/// The manifest of a container's image, where the image came from a registry or in a layout.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageManifest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_manifest_descriptor: Option<Descriptor>,
}

/// The files that the engine keeps for a container; empty until its first start.
#[derive(Debug, Default)]
pub(crate) struct ContainerFiles {
    pub(crate) resolv_conf: String,
    pub(crate) hostname: String,
    pub(crate) hosts: String,
    pub(crate) log: String,
}

impl ContainerFiles {
    pub(crate) fn new(record: &Record, directory: &Path) -> Self {
        if !record.was_started() && record.failure.is_none() {
            return Self::default();
        }
        let file = |name: &str| directory.join(name).display().to_string();
        let log = &record.settings.host.log;
        let logs_to_file = log.source() == LogSource::File && log.driver != Some(LogDriver::Local);
        Self {
            resolv_conf: file("resolv.conf"),
            hostname: file("hostname"),
            hosts: file("hosts"),
            log: if logs_to_file { file(&format!("{}-json.log", record.id)) } else { String::new() },
        }
    }
}

impl<'a> ContainerInspection<'a> {
    /// `sizes` are those of its own layer and of all layers, if requested.
    pub(crate) fn new(
        engine: &Engine,
        record: &'a Record,
        sizes: Option<(u64, u64)>,
        version: ApiVersion,
    ) -> Self {
        let directory = engine.containers.directory_of(&record.id);
        let files = ContainerFiles::new(record, &directory);
        let execs = engine.execs.of_container(&record.id);
        let limits = &record.settings.host.resources;
        let WireSettings { config, host } = to_wire(&record.settings);
        Self {
            id: record.id.as_str(),
            created: record.created,
            path: &record.path,
            args: &record.arguments,
            state: WireState::new(record, version),
            image: image_id(&record.image, version),
            network_settings: NetworkSettings::new(record, version),
            resolv_conf_path: files.resolv_conf,
            hostname_path: files.hostname,
            hosts_path: files.hosts,
            log_path: files.log,
            name: format!("/{}", record.name),
            restart_count: record.restart_count,
            driver: STORAGE_DRIVER,
            exec_driver: Ranged::at(version, || EXECUTION_DRIVER),
            platform: Ranged::at(version, || "linux"),
            mount_label: "",
            process_label: "",
            app_armor_profile: String::new(),
            exec_ids: (!execs.is_empty()).then(|| execs.iter().map(ToString::to_string).collect()),
            // Links have the names that containers have now.
            host_config: host_config::shaped(
                HostConfig {
                    links: engine.containers.link_entries(record),
                    network_mode: network_mode(record, version).into_owned(),
                    ..host
                },
                record,
                version,
            ),
            graph_driver: graph_driver(engine, record, &directory),
            image_manifest: Ranged::at(version, || ImageManifest {
                // None where the image goes meanwhile.
                image_manifest_descriptor: engine
                    .images
                    .store()
                    .manifest_called(&record.image, &record.settings.image)
                    .unwrap_or_default(),
            }),
            size_rw: sizes.map(|(own, _)| own),
            size_root_fs: sizes.map(|(_, all)| all),
            mounts: Ranged::at(version, || mounts(record, version)),
            volumes: Ranged::at(version, || volumes(record, |mount| mount.source.as_str())),
            volumes_rw: Ranged::at(version, || volumes(record, |mount| mount.writable)),
            config: WireConfig {
                config: shaped(config, version),
                limits: Ranged::at(version, || OldLimits {
                    memory: limits.memory,
                    memory_swap: limits.memory_swap,
                    cpu_shares: limits.cpu_shares,
                    cpuset: limits.cpuset_cpus.to_string(),
                }),
            },
        }
    }
}

/// `Config` in the shape of a version.
fn shaped(mut config: Config, version: ApiVersion) -> Shape<Config> {
    if version.host_config_shows_what_holds() {
        config.labels.get_or_insert_default();
    }
    if !version.empty_triggers_are_left_out() {
        return Shape::Plain(config);
    }
    Shape::changed(&config, |fields| {
        if config.on_build.as_ref().is_none_or(Vec::is_empty) {
            fields.remove("OnBuild");
        }
    })
}

/// The mounts, by their paths in the container.
pub(crate) fn volumes<'a, T>(
    record: &'a Record,
    value: impl Fn(&'a MountPoint) -> T,
) -> BTreeMap<&'a str, T> {
    record.mounts.iter().map(|mount| (mount.destination.as_str(), value(mount))).collect()
}

fn graph_driver(engine: &Engine, record: &Record, directory: &Path) -> GraphDriver {
    let path = |name: &str| directory.join(name).display().to_string();
    let images = engine.images.store();
    let lower = images.lower_directories_of(&record.image).unwrap_or_default();
    let lower: Vec<String> = lower.iter().map(|layer| layer.display().to_string()).collect();
    // There is no merged directory on the host: the root is mounted in the container's own namespace.
    let merged =
        record.phase.process().map(|process| format!("/proc/{}/root", process.pid)).unwrap_or_default();
    let data = [
        ("LowerDir", lower.join(":")),
        ("MergedDir", merged),
        ("UpperDir", path("upper")),
        ("WorkDir", path("work")),
    ];
    GraphDriver::with(data.into())
}
