//! The settings that SIGHUP changes without a restart.

use std::sync::{PoisonError, RwLock};

use engine::images::registry::RegistrySettings;
use tracing::level_filters::LevelFilter;

use super::{DaemonArguments, Flags, SettingsError, effective, engine_options, log_level};

/// The present values; readers take a copy.
#[derive(Debug)]
pub(crate) struct Reloadable(RwLock<Values>);

/// What can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) labels: Vec<String>,
    pub(crate) debug: bool,
    pub(crate) level: LevelFilter,
    pub(crate) mirrors: Vec<String>,
    pub(crate) insecure: Vec<String>,
}

impl Values {
    fn from_flags(flags: &Flags) -> Result<Self, SettingsError> {
        for label in &flags.label {
            if label.split_once('=').is_none_or(|(key, _)| key.is_empty()) {
                return Err(SettingsError::flag(
                    "label",
                    format!("bad attribute format: {label}, want KEY=VALUE"),
                ));
            }
        }
        let level = log_level(flags)?;
        Ok(Self {
            labels: flags.label.clone(),
            debug: level >= LevelFilter::DEBUG,
            level,
            mirrors: flags.registry_mirror.clone(),
            insecure: flags.insecure_registry.clone(),
        })
    }
}

impl Reloadable {
    pub(super) fn from_flags(flags: &Flags) -> Result<Self, SettingsError> {
        Values::from_flags(flags).map(|values| Self(RwLock::new(values)))
    }

    /// The present values.
    pub(crate) fn values(&self) -> Values {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the configuration file again; on an error everything stays.
    pub(crate) fn reload(
        &self,
        arguments: &DaemonArguments,
    ) -> Result<(Values, RegistrySettings), SettingsError> {
        let flags = effective(arguments)?;
        let (values, registry) = (Values::from_flags(&flags)?, engine_options::registry(&flags)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = values.clone();
        Ok((values, registry))
    }
}
