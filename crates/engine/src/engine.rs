//! The engine: its services, and how it closes.

use std::sync::Arc;

use crate::builds::Builds;
use crate::container::Phase;
use crate::container::containers::Containers;
use crate::container::stop::StopOptions;
use crate::events::Events;
use crate::exec::Execs;
use crate::files::Files;
use crate::image::Images;
use crate::logs::Logs;
use crate::networking::Networking;
use crate::networks::service::Networks;
use crate::options::Options;
use crate::pods::Pods;
use crate::realm::Realm;
use crate::store::Database;
use crate::streams::Streams;
use crate::usage::Usage;
use crate::volumes::Volumes;

/// The engine. Every request works through the services of one, shared by all.
pub struct Engine {
    /// Containers, and the verbs that change them.
    pub containers: Arc<Containers>,
    /// Further processes in containers.
    pub execs: Arc<Execs>,
    /// Containers' stdio.
    pub streams: Arc<Streams>,
    /// Containers' logs.
    pub logs: Arc<Logs>,
    /// Containers' files.
    pub files: Arc<Files>,
    /// Images and registries.
    pub images: Arc<Images>,
    /// Builds of images.
    pub builds: Arc<Builds>,
    /// Networks, and which containers are in them.
    pub networks: Arc<Networks>,
    /// Volumes.
    pub volumes: Arc<Volumes>,
    /// Disk usage.
    pub usage: Arc<Usage>,
    /// The events.
    pub events: Arc<Events>,
    /// Pods of Kubernetes, with containers of their own.
    pub pods: Arc<Pods>,
    /// The containers of Docker's clients.
    pub(crate) docker: Arc<Realm>,
    pub(crate) options: Arc<Options>,
    pub(crate) database: Arc<Database>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) identity: String,
}

impl Engine {
    /// Shuts down gracefully; containers keep running unless the options end them.
    pub async fn close(&self) {
        if self.options.stop_containers_on_exit {
            let running =
                self.containers.all().into_iter().filter(|container| container.record().is_running());
            let stops: Vec<_> = running
                .map(|container| {
                    let containers = Arc::clone(&self.containers);
                    tokio::spawn(async move {
                        containers.stop(container.id().as_str(), StopOptions::default()).await
                    })
                })
                .collect();
            for stop in stops {
                let _ = stop.await;
            }
        }
        self.builds.remains.until_gone().await;
        self.leave_host_alone();
        if let Err(error) = self.database.flush().wait().await {
            tracing::error!("cannot write the last changes: {error}");
        }
    }

    /// Releases the databases' page caches. Blocks.
    pub fn release_pages(&self) {
        self.database.release_pages();
        if let Err(error) = self.images.store().release_pages() {
            tracing::debug!("cannot release the page cache of the image store's database: {error}");
        }
    }

    /// Removes bridge and firewall rules where no container needs them while no daemon runs.
    fn leave_host_alone(&self) {
        let needs = |phase: Phase| match phase {
            Phase::Running(_) | Phase::Paused(_) | Phase::Starting | Phase::Restarting => true,
            Phase::Created | Phase::Exited | Phase::Removing => false,
        };
        let all = [&self.docker, &self.pods.realm].map(|realm| realm.directory.all());
        if all.iter().flatten().any(|container| needs(container.record().phase)) {
            return;
        }
        for entry in self.networking.registry.all().iter().filter(|entry| !entry.record.is_predefined()) {
            if let Some(network) = entry.live()
                && let Err(error) = network.remove()
            {
                tracing::warn!("cannot remove the bridge of the network {}: {error}", entry.name());
            }
        }
        if let Err(error) = self.networking.network.remove() {
            tracing::warn!("cannot remove the engine's bridge and firewall rules: {error}");
        }
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &network::Network {
        &self.networking.network
    }

    /// The engine's own id, twelve groups of four letters and digits; made once.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }
}
