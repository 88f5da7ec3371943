//! The settings that SIGHUP changes without a restart.

use docker_api::DaemonSettings;
use engine::images::registry::RegistrySettings;
use tracing::level_filters::LevelFilter;

use super::{DaemonArguments, Flags, SettingsError, effective, engine_options, log_level};

/// The settings that can change.
#[derive(Debug)]
pub(crate) struct Reloadable {
    /// The settings that responses show.
    pub(crate) shown: DaemonSettings,
    /// The level of logging.
    pub(crate) level: LevelFilter,
    /// How registries are reached.
    pub(crate) registry: RegistrySettings,
}

impl Reloadable {
    pub(super) fn from_flags(flags: &Flags) -> Result<Self, SettingsError> {
        for label in &flags.label {
            if label.split_once('=').is_none_or(|(key, _)| key.is_empty()) {
                return Err(SettingsError::flag(
                    "label",
                    format!("bad attribute format: {label}, want KEY=VALUE"),
                ));
            }
        }
        let level = log_level(flags)?;
        let shown = DaemonSettings {
            labels: flags.label.clone(),
            debug: level >= LevelFilter::DEBUG,
            mirrors: flags.registry_mirror.clone(),
            insecure: flags.insecure_registry.clone(),
        };
        Ok(Self { shown, level, registry: engine_options::registry(flags)? })
    }

    /// Reads the configuration file again.
    pub(crate) fn reload(arguments: &DaemonArguments) -> Result<Self, SettingsError> {
        Self::from_flags(&effective(arguments)?)
    }
}
