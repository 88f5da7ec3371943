//! `Config`: what runs in a container, as the API takes and shows it.

use std::collections::BTreeMap;

use engine::images::document::{EmptyObject, StringOrList};
use model::{ContainerSettings, ExposedPorts, ShownSettings, Spelled};
use serde::{Deserialize, Serialize};

use super::absent::{is_false, is_zero, null_default};

/// `Config` of the specification, with the newer fields that current clients send.
///
/// Fields that API v1.20 does not have are left out of its JSON while they are unset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Config {
    #[serde(deserialize_with = "null_default")]
    pub(crate) hostname: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) domainname: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) user: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) attach_stdin: bool,
    #[serde(deserialize_with = "null_default")]
    pub(crate) attach_stdout: bool,
    #[serde(deserialize_with = "null_default")]
    pub(crate) attach_stderr: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exposed_ports: Option<BTreeMap<String, EmptyObject>>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub(crate) publish_service: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) tty: bool,
    #[serde(deserialize_with = "null_default")]
    pub(crate) open_stdin: bool,
    #[serde(deserialize_with = "null_default")]
    pub(crate) stdin_once: bool,
    pub(crate) env: Option<Vec<String>>,
    pub(crate) cmd: Option<StringOrList>,
    #[serde(deserialize_with = "null_default")]
    pub(crate) image: String,
    pub(crate) volumes: Option<BTreeMap<String, EmptyObject>>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub(crate) volume_driver: String,
    #[serde(deserialize_with = "null_default")]
    pub(crate) working_dir: String,
    pub(crate) entrypoint: Option<StringOrList>,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_default")]
    pub(crate) network_disabled: bool,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub(crate) mac_address: String,
    pub(crate) on_build: Option<Vec<String>>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_default")]
    pub(crate) stop_signal: String,
    /// Seconds of grace of `stop` without `t`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healthcheck: Option<HealthCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shell: Option<Vec<String>>,
}

/// `Healthcheck`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HealthCheck {
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    interval: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    timeout: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    start_period: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    start_interval: i64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_default")]
    retries: i64,
}

impl Config {
    /// Its settings; all others are their defaults.
    pub(crate) fn into_settings(self) -> ContainerSettings {
        let words = |words: Option<StringOrList>| words.map(|words| words.0);
        ContainerSettings {
            image: self.image,
            hostname: self.hostname,
            domainname: self.domainname,
            user: self.user,
            entrypoint: words(self.entrypoint),
            command: words(self.cmd),
            environment: self.env,
            working_directory: self.working_dir,
            labels: self.labels,
            volumes: self.volumes.map(|volumes| volumes.into_keys().collect()),
            volume_driver: self.volume_driver.into(),
            exposed_ports: self
                .exposed_ports
                .map(|ports| ports.keys().map(|key| Spelled::<ExposedPorts>::of(key)).collect()),
            network_disabled: self.network_disabled,
            mac_address: Spelled::of(&self.mac_address),
            terminal: self.tty,
            open_stdin: self.open_stdin,
            stdin_once: self.stdin_once,
            stop_signal: Some(self.stop_signal)
                .filter(|text| !text.is_empty())
                .map(|text| Spelled::of(&text)),
            stop_timeout: self.stop_timeout,
            health_check: self.healthcheck.map(Into::into),
            shell: self.shell,
            on_build: self.on_build,
            shown: ShownSettings {
                attach_stdin: self.attach_stdin,
                attach_stdout: self.attach_stdout,
                attach_stderr: self.attach_stderr,
            },
            ..ContainerSettings::default()
        }
    }

    /// These settings as clients see them.
    pub(crate) fn of(settings: &ContainerSettings) -> Self {
        let words = |words: &Option<Vec<String>>| words.clone().map(StringOrList);
        Self {
            hostname: settings.hostname.clone(),
            domainname: settings.domainname.clone(),
            user: settings.user.clone(),
            attach_stdin: settings.shown.attach_stdin,
            attach_stdout: settings.shown.attach_stdout,
            attach_stderr: settings.shown.attach_stderr,
            exposed_ports: settings.exposed_ports.as_ref().map(EmptyObject::set),
            publish_service: String::new(),
            tty: settings.terminal,
            open_stdin: settings.open_stdin,
            stdin_once: settings.stdin_once,
            env: settings.environment.clone(),
            cmd: words(&settings.command),
            image: settings.image.clone(),
            volumes: settings.volumes.as_ref().map(EmptyObject::set),
            volume_driver: settings.volume_driver.to_string(),
            working_dir: settings.working_directory.clone(),
            entrypoint: words(&settings.entrypoint),
            network_disabled: settings.network_disabled,
            mac_address: settings.mac_address.to_string(),
            on_build: settings.on_build.clone(),
            labels: settings.labels.clone(),
            stop_signal: settings.stop_signal.as_ref().map(ToString::to_string).unwrap_or_default(),
            stop_timeout: settings.stop_timeout,
            healthcheck: settings.health_check.clone().map(Into::into),
            shell: settings.shell.clone(),
        }
    }
}

impl From<HealthCheck> for model::HealthCheck {
    fn from(check: HealthCheck) -> Self {
        let HealthCheck { test, interval, timeout, start_period, start_interval, retries } = check;
        Self { test: test.into(), interval, timeout, start_period, start_interval, retries }
    }
}

impl From<model::HealthCheck> for HealthCheck {
    fn from(check: model::HealthCheck) -> Self {
        let model::HealthCheck { test, interval, timeout, start_period, start_interval, retries } = check;
        Self { test: test.into(), interval, timeout, start_period, start_interval, retries }
    }
}
