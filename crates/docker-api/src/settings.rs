//! The daemon's settings in responses; a reload replaces them while requests are served.

use std::sync::{PoisonError, RwLock};

/// The daemon's settings that `/info` shows and that change without a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonSettings {
    /// `KEY=VALUE` each.
    pub labels: Vec<String>,
    /// Whether the log shows what is for developers.
    pub debug: bool,
    /// Mirrors of Docker Hub.
    pub mirrors: Vec<String>,
    /// Registries, or networks of them, that may be reached without TLS.
    pub insecure: Vec<String>,
}

/// The present settings; readers take a copy.
#[derive(Debug)]
pub struct SharedSettings(RwLock<DaemonSettings>);

impl SharedSettings {
    /// Starts with these.
    pub const fn new(settings: DaemonSettings) -> Self {
        Self(RwLock::new(settings))
    }

    /// The present values.
    pub(crate) fn values(&self) -> DaemonSettings {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that begin later see these values.
    pub fn replace(&self, settings: DaemonSettings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}
