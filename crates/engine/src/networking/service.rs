//! The handles for the networking of containers.

use std::sync::Arc;

use super::hosts_files::HostsFiles;
use super::name_servers::NameServers;
use crate::directory::Directory;
use crate::events::Events;
use crate::networks::registry::NetworkRegistry;
use crate::options::Options;
use crate::paths::Paths;

/// Connects containers, writes their resolver files and follows their links.
pub(crate) struct Networking {
    /// The default network.
    pub(crate) network: Arc<network::Network>,
    pub(crate) registry: Arc<NetworkRegistry>,
    pub(crate) name_servers: NameServers,
    pub(super) events: Arc<Events>,
    pub(super) directory: Arc<Directory>,
    pub(super) paths: Arc<Paths>,
    pub(super) options: Arc<Options>,
    /// Shared by ends of containers until their addresses and ports are free.
    pub(crate) endings: tokio::sync::RwLock<()>,
    pub(super) hosts_files: HostsFiles,
}

impl Networking {
    pub(crate) fn new(
        registry: &Arc<NetworkRegistry>,
        events: &Arc<Events>,
        directory: &Arc<Directory>,
        paths: &Arc<Paths>,
        options: &Arc<Options>,
    ) -> Self {
        Self {
            network: Arc::clone(&registry.default),
            registry: Arc::clone(registry),
            name_servers: NameServers {
                registry: Arc::clone(registry),
                paths: Arc::clone(paths),
                options: Arc::clone(options),
            },
            events: Arc::clone(events),
            directory: Arc::clone(directory),
            paths: Arc::clone(paths),
            options: Arc::clone(options),
            endings: tokio::sync::RwLock::default(),
            hosts_files: HostsFiles::new(paths),
        }
    }
}
