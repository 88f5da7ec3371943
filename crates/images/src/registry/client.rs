//! The client: its settings, and what it is downloading.

use std::sync::Arc;

use super::cancellation::Cancellation;
use super::in_flight::InFlight;
use super::proxy::ProxySettings;
use super::settings::RegistrySettings;
use super::transport::Transport;
use crate::Store;

/// Talks to registries; one serves the whole engine.
#[derive(Debug)]
pub struct Client {
    pub(super) settings: Arc<RegistrySettings>,
    pub(super) in_flight: Arc<InFlight>,
}

impl Client {
    /// Makes a client.
    #[must_use]
    pub fn new(settings: RegistrySettings) -> Self {
        Self { settings: Arc::default(), in_flight: Arc::default() }.with_settings(settings)
    }

    /// Makes a client with other settings that shares the downloads of this one.
    #[must_use]
    pub fn with_settings(&self, mut settings: RegistrySettings) -> Self {
        settings.proxies.get_or_insert_with(ProxySettings::from_environment);
        Self { settings: Arc::new(settings), in_flight: Arc::clone(&self.in_flight) }
    }

    /// The settings that it works by.
    #[must_use]
    pub fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    /// Removes what is left of downloads that broke off, which the next pull would go on with; returns their bytes.
    #[must_use]
    pub fn clear_downloads(&self, store: &Store) -> u64 {
        self.in_flight.clear(&store.download_directory())
    }

    /// The bytes of what is left of downloads that broke off.
    #[must_use]
    pub fn broken_downloads(&self, store: &Store) -> u64 {
        self.in_flight.left(&store.download_directory())
    }

    pub(super) fn transport(&self, cancellation: &Cancellation) -> Transport {
        Transport::new(Arc::clone(&self.settings), cancellation)
    }
}
