//! Connects containers to networks and disconnects them, whether they run or not.

use std::sync::Arc;

use model::{Attachment, NetworkDriver};

use super::entry::{NetworkEntry, configuration_only};
use super::registry::NetworkRegistry;
use super::service::Networks;
use crate::container::{Container, Record};
use crate::endpoint::{Endpoint, HOST, NONE};
use crate::error::Error;
use crate::networking::moving::Moving;
use crate::networking::{attachments, live, relays};
use crate::outcome::{finish, joined};

impl Networks {
    /// Connects a container to a network: at once if it runs, else when it starts.
    ///
    /// # Errors
    /// Unknown network or container, a container that is in it already or cannot be in it, an address that is
    /// in use.
    pub async fn connect(
        self: &Arc<Self>,
        network: &str,
        container: &str,
        attachment: Attachment,
    ) -> Result<(), Error> {
        let entry = self.registry.find(network)?;
        let reference = container.to_owned();
        let container = self.directory.find(container)?;
        let networks = Arc::clone(self);
        finish(async move {
            let _order = container.lock_present(&reference).await?;
            let record = container.record();
            check_connect(&entry, &record)?;
            attachments::check(&attachment, &entry.record)?;
            match (find_endpoint(&networks.registry, &record, &entry), record.is_running()) {
                (Some(_), true) => Err(Error::forbidden(format!(
                    "endpoint with name {} already exists in network {}",
                    record.name,
                    entry.name()
                ))),
                (Some(_), false) => Ok(()),
                (None, true) => {
                    let moving = Moving::begin(&networks.networking, &record.id)?;
                    let (own, networking) = (Arc::clone(&container), Arc::clone(&networks.networking));
                    let (asked, network) = (attachment.clone(), Arc::clone(&entry));
                    let work = move || networking.connect_running(&own, asked, &network);
                    let connected = joined(tokio::task::spawn_blocking(work).await).and_then(|result| result);
                    let endpoint = match connected {
                        Ok(endpoint) => endpoint,
                        Err(Error::NotRunning(_)) => {
                            return networks.connect_stopped(&container, &entry, attachment).await;
                        }
                        Err(error) => {
                            networks.restore_relays(&container).await;
                            return Err(error);
                        }
                    };
                    let followed = networks.follow(&record, &container).await;
                    if followed.is_err() && live::has_ended(&record) {
                        return Ok(());
                    }
                    match &followed {
                        Ok(()) => moving.done(),
                        Err(_) => {
                            if let Err(undo) = networks.take_out(&container, endpoint).await {
                                tracing::error!(
                                    "cannot undo the connection of container {}: {undo}",
                                    record.id
                                );
                            }
                        }
                    }
                    followed
                }
                (None, false) => networks.connect_stopped(&container, &entry, attachment).await,
            }
        })
        .await
    }

    /// Connects a stopped container to a network for its next start.
    async fn connect_stopped(
        &self,
        container: &Container,
        entry: &NetworkEntry,
        attachment: Attachment,
    ) -> Result<(), Error> {
        let mut endpoint = Endpoint::asked(attachment);
        entry.name().clone_into(&mut endpoint.name);
        endpoint.internal = entry.record.definition.internal;
        let registry = Arc::clone(&self.registry);
        let change = move |record: &mut Record| {
            // One of the same name that is gone is what this one replaces.
            record.endpoints.retain(|other| !is_left(&registry, other, &endpoint.name));
            record.endpoints.push(endpoint);
        };
        container.update_saved(change).1.wait().await
    }

    /// Disconnects a container from a network. With force a network that is gone already is no obstacle.
    ///
    /// # Errors
    /// Unknown network or container, a container that is not in it.
    pub async fn disconnect(
        self: &Arc<Self>,
        network: &str,
        container: &str,
        force: bool,
    ) -> Result<(), Error> {
        let entry = match self.registry.find(network) {
            Ok(entry) => Some(entry),
            Err(_) if force => None,
            Err(error) => return Err(error),
        };
        let reference = container.to_owned();
        let container = self.directory.find(container)?;
        let networks = Arc::clone(self);
        let network = network.to_owned();
        finish(async move {
            let _order = container.lock_present(&reference).await?;
            let record = container.record();
            let endpoint = match &entry {
                Some(entry) => find_endpoint(&networks.registry, &record, entry).or_else(|| {
                    let mut left = record.endpoints.iter().filter(|_| force);
                    left.find(|endpoint| is_left(&networks.registry, endpoint, entry.name()))
                }),
                None => record.endpoints.iter().find(|endpoint| is_named(endpoint, &network)),
            };
            let Some(endpoint) = endpoint.cloned() else {
                return Err(Error::refused(format!(
                    "container {} is not connected to the network {network}",
                    record.id
                )));
            };
            if endpoint.name == HOST {
                return Err(Error::refused("container cannot be disconnected from host network"));
            }
            if record.is_running() {
                return networks.take_out(&container, endpoint).await;
            }
            forget(&container, &endpoint).await
        })
        .await
    }

    /// Disconnects a running container from a network. Its names there are removed whatever its shim answers.
    async fn take_out(&self, container: &Arc<Container>, endpoint: Endpoint) -> Result<(), Error> {
        let before = container.record();
        let moving = Moving::begin(&self.networking, &before.id)?;
        let (own, networking) = (Arc::clone(container), Arc::clone(&self.networking));
        let work = move || networking.disconnect_running(&own, &endpoint);
        let left = joined(tokio::task::spawn_blocking(work).await).and_then(|result| result);
        if let Err(error) = left {
            self.restore_relays(container).await;
            return Err(error);
        }
        match self.follow(&before, container).await {
            Ok(()) => moving.done(),
            Err(error) => {
                tracing::warn!(
                    "the shim of container {} was not notified of a disconnect: {error}",
                    before.id
                );
            }
        }
        Ok(())
    }

    /// Sends the shim of a running container its current networks.
    async fn follow(&self, before: &Record, container: &Container) -> Result<(), Error> {
        relays::follow(before, container).await?;
        self.networking.name_servers.follow(before, container).await
    }

    /// Has the shim relay ports again after a change of networks that failed.
    async fn restore_relays(&self, container: &Container) {
        if let Err(error) = relays::settle(container).await {
            tracing::error!("the ports of container {} are not relayed: {error}", container.id());
        }
    }
}

async fn forget(container: &Container, endpoint: &Endpoint) -> Result<(), Error> {
    container.update_saved(|record| record.endpoints.retain(|other| other != endpoint)).1.wait().await
}

/// Refuses networks that do not allow endpoints, and containers that cannot join another network.
fn check_connect(entry: &NetworkEntry, record: &Record) -> Result<(), Error> {
    let name = entry.name();
    if matches!(entry.driver(), NetworkDriver::Host | NetworkDriver::Null) {
        return Err(Error::refused(format!("container cannot be connected to the network {name}")));
    }
    if entry.record.definition.config_only {
        return Err(configuration_only(name));
    }
    if !record.has_own_network() && record.endpoints.is_empty() {
        return Err(Error::refused(
            "container sharing network namespace with another container cannot be connected to any network",
        ));
    }
    for (name, mode) in [(HOST, "host"), (NONE, "none")] {
        if record.endpoints.iter().any(|endpoint| endpoint.name == name) {
            return Err(Error::refused(format!(
                "container cannot be connected to multiple networks with one of the networks in {mode} mode"
            )));
        }
    }
    Ok(())
}

/// The endpoint of a container in a network.
fn find_endpoint<'r>(
    registry: &NetworkRegistry,
    record: &'r Record,
    entry: &NetworkEntry,
) -> Option<&'r Endpoint> {
    let is_there = |endpoint: &&Endpoint| {
        registry.of_endpoint(endpoint).is_ok_and(|other| other.record.id == entry.record.id)
    };
    record.endpoints.iter().find(is_there)
}

/// Whether an endpoint is in a network of this name that is gone.
fn is_left(registry: &NetworkRegistry, endpoint: &Endpoint, name: &str) -> bool {
    endpoint.name == name && registry.of_endpoint(endpoint).is_err()
}

/// Whether a client's reference names this endpoint of a network that is gone.
fn is_named(endpoint: &Endpoint, network: &str) -> bool {
    let id = endpoint.network.as_ref().map(|id| id.as_str());
    endpoint.name == network || (network.len() >= 12 && id.is_some_and(|id| id.starts_with(network)))
}
