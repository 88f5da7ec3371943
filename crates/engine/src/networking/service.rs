//! The handles for the networking of containers.

use std::sync::Arc;

use super::hosts_files::HostsFiles;
use super::links::Links;
use super::name_servers::NameServers;
use crate::directory::Directory;
use crate::events::Events;
use crate::networks::registry::NetworkRegistry;
use crate::options::Options;
use crate::paths::Paths;

/// Connects containers and writes their resolver files.
pub(crate) struct Networking {
    /// The default network.
    pub(crate) network: Arc<network::Network>,
    pub(crate) registry: Arc<NetworkRegistry>,
    pub(crate) name_servers: Arc<NameServers>,
    pub(crate) links: Links,
    pub(super) events: Arc<Events>,
    pub(super) paths: Arc<Paths>,
    /// Shared by ends of containers until their addresses and ports are free.
    pub(crate) endings: tokio::sync::RwLock<()>,
    pub(super) hosts_files: Arc<HostsFiles>,
}

impl Networking {
    pub(crate) fn new(
        registry: &Arc<NetworkRegistry>,
        events: &Arc<Events>,
        directory: &Arc<Directory>,
        paths: &Arc<Paths>,
        options: &Arc<Options>,
    ) -> Self {
        let hosts_files = Arc::new(HostsFiles::new(paths));
        let name_servers = Arc::new(NameServers {
            registry: Arc::clone(registry),
            paths: Arc::clone(paths),
            options: Arc::clone(options),
        });
        Self {
            network: Arc::clone(&registry.default),
            registry: Arc::clone(registry),
            links: Links {
                network: Arc::clone(&registry.default),
                registry: Arc::clone(registry),
                directory: Arc::clone(directory),
                options: Arc::clone(options),
                hosts_files: Arc::clone(&hosts_files),
                name_servers: Arc::clone(&name_servers),
            },
            name_servers,
            events: Arc::clone(events),
            paths: Arc::clone(paths),
            endings: tokio::sync::RwLock::default(),
            hosts_files,
        }
    }
}
