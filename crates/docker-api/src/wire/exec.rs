//! An exec as inspect shows it, with its container.

use std::collections::BTreeMap;

use crate::container_settings::Config;
use engine::{Engine, Exec, ExecState, Record};
use model::Timestamp;
use serde::Serialize;

use super::container::{ContainerFiles, EXECUTION_DRIVER, WireState, volumes};
use super::graph_driver::STORAGE_DRIVER;
use super::network::NetworkSettings;
use crate::version::{ApiVersion, Ranged, Since, Until};

/// The answer of `GET /exec/(id)/json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExecInspection<'a> {
    #[serde(rename = "ID")]
    id: String,
    running: bool,
    exit_code: Option<i32>,
    process_config: ProcessConfig<'a>,
    open_stdin: bool,
    open_stderr: bool,
    open_stdout: bool,
    /// The host's number of its process, which newer clients show; 0 when it does not run.
    pid: u32,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    container: Until<22, ExecContainer<'a>>,
    #[serde(rename = "ContainerID", skip_serializing_if = "Ranged::is_absent")]
    container_id: Since<22, &'a str>,
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    detach_keys: Since<22, String>,
    /// Only the engine removes an exec.
    #[serde(skip_serializing_if = "Ranged::is_absent")]
    can_remove: Since<22, bool>,
}

#[derive(Debug, Serialize)]
struct ProcessConfig<'a> {
    privileged: bool,
    user: &'a str,
    tty: bool,
    entrypoint: &'a str,
    arguments: &'a [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ExecContainer<'a> {
    state: WireState<'a>,
    #[serde(rename = "ID")]
    id: &'a str,
    created: Timestamp,
    path: &'a str,
    args: &'a [String],
    config: Config,
    image: String,
    network_settings: NetworkSettings<'a>,
    resolv_conf_path: String,
    hostname_path: String,
    hosts_path: String,
    log_path: String,
    name: String,
    driver: &'static str,
    exec_driver: &'static str,
    mount_label: &'static str,
    process_label: &'static str,
    restart_count: i64,
    update_dns: bool,
    has_been_started_before: bool,
    mount_points: BTreeMap<&'a str, WireMount<'a>>,
    volumes: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "VolumesRW")]
    volumes_rw: BTreeMap<&'a str, bool>,
    app_armor_profile: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireMount<'a> {
    name: &'a str,
    destination: &'a str,
    driver: &'a str,
    #[serde(rename = "RW")]
    rw: bool,
    source: &'a str,
    relabel: String,
}

impl<'a> ExecInspection<'a> {
    pub(crate) fn new(engine: &Engine, exec: &'a Exec, record: &'a Record, version: ApiVersion) -> Self {
        let (running, pid, exit_code) = match exec.state() {
            ExecState::Created => (false, 0, None),
            ExecState::Running(pid) => (true, pid, None),
            ExecState::Exited(code) => (false, 0, Some(code)),
        };
        let none = (!version.exec_codes_come_with_the_end()).then_some(0);
        let config = &exec.config;
        Self {
            id: exec.id.to_string(),
            running,
            exit_code: exit_code.or(none),
            process_config: ProcessConfig {
                privileged: config.privileged,
                user: &config.user,
                tty: config.tty,
                entrypoint: config.cmd.first().map_or("", String::as_str),
                arguments: config.cmd.get(1..).unwrap_or_default(),
            },
            open_stdin: config.attach_stdin,
            open_stderr: config.attach_stderr,
            open_stdout: config.attach_stdout,
            pid,
            container: Ranged::at(version, || ExecContainer::new(engine, record, version)),
            container_id: Ranged::at(version, || record.id.as_str()),
            detach_keys: Ranged::at(version, || String::from_utf8_lossy(&config.detach_keys).into_owned()),
            can_remove: Ranged::at(version, || false),
        }
    }
}

impl<'a> ExecContainer<'a> {
    fn new(engine: &Engine, record: &'a Record, version: ApiVersion) -> Self {
        let files = ContainerFiles::new(record, &engine.containers.directory_of(&record.id));
        let mounts = record.mounts.iter().map(|mount| {
            let wire = WireMount {
                name: mount.volume().map_or("", |volume| &volume.name),
                destination: &mount.destination,
                driver: mount.volume().map_or("", |volume| volume.driver.name()),
                rw: mount.writable,
                source: &mount.source,
                relabel: mount.mode.to_string(),
            };
            (mount.destination.as_str(), wire)
        });
        Self {
            state: WireState::new(record, version),
            id: record.id.as_str(),
            created: record.created,
            path: &record.path,
            args: &record.arguments,
            config: Config::of(&record.settings),
            image: record.image.hexadecimal(),
            network_settings: NetworkSettings::new(record, version),
            resolv_conf_path: files.resolv_conf,
            hostname_path: files.hostname,
            hosts_path: files.hosts,
            log_path: files.log,
            name: format!("/{}", record.name),
            driver: STORAGE_DRIVER,
            exec_driver: EXECUTION_DRIVER,
            mount_label: "",
            process_label: "",
            restart_count: record.restart_count,
            update_dns: false,
            has_been_started_before: false,
            mount_points: mounts.collect(),
            volumes: volumes(record, |mount| mount.source.as_str()),
            volumes_rw: volumes(record, |mount| mount.writable),
            app_armor_profile: "",
        }
    }
}
