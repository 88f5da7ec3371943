//! One network: what it is, what its driver has made of it, and which containers are in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Actor, ContainerId, EventAction, NetworkDriver, ResourceKind};

use super::drivers::DriverOptions;
use super::names::SharedNames;
use super::record::NetworkRecord;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::events::Events;

/// A network of the engine.
pub(crate) struct NetworkEntry {
    pub(crate) record: NetworkRecord,
    /// Its parsed options.
    pub(crate) options: DriverOptions,
    /// The driver's part; `None` where the driver gives containers nothing.
    live: Option<Arc<network::Network>>,
    /// The names by which its containers find each other; `None` where they cannot.
    names: Option<SharedNames>,
    users: Mutex<Users>,
}

/// The containers in a network.
#[derive(Default)]
struct Users {
    containers: BTreeSet<ContainerId>,
    /// Whether the network is being removed: no container may enter any more.
    is_closed: bool,
}

impl NetworkEntry {
    pub(crate) fn new(
        record: NetworkRecord,
        options: DriverOptions,
        live: Option<Arc<network::Network>>,
        exec_root: &Path,
    ) -> Self {
        let has_names = !record.is_predefined() && !record.definition.config_only;
        let names = has_names.then(|| SharedNames::new(exec_root, &record.id, &record.definition.name));
        Self { record, options, live, names, users: Mutex::default() }
    }

    /// The driver's part of a network that gives containers addresses.
    pub(crate) const fn live(&self) -> Option<&Arc<network::Network>> {
        self.live.as_ref()
    }

    /// The names in a network that clients made.
    pub(crate) const fn names(&self) -> Option<&SharedNames> {
        self.names.as_ref()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.record.definition.name
    }

    /// Updates what an endpoint has of its network.
    pub(crate) fn describe_in(&self, endpoint: &mut Endpoint) {
        endpoint.internal = self.record.definition.internal;
        self.name().clone_into(&mut endpoint.name);
    }

    /// Its driver.
    pub(crate) const fn driver(&self) -> NetworkDriver {
        self.record.definition.driver
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The containers that are in it.
    pub(crate) fn containers(&self) -> Vec<ContainerId> {
        self.users().containers.iter().cloned().collect()
    }

    /// Notes that a container is in it.
    ///
    /// # Errors
    /// Not found while it is being removed; forbidden where it is only a configuration.
    pub(crate) fn enter(&self, container: &ContainerId) -> Result<(), Error> {
        if self.record.definition.config_only {
            return Err(configuration_only(self.name()));
        }
        let mut users = self.users();
        if users.is_closed {
            return Err(Error::not_found(format!("network {} not found", self.name())));
        }
        users.containers.insert(container.clone());
        Ok(())
    }

    /// Notes that a container has left it; true if it was in it.
    pub(crate) fn leave(&self, container: &ContainerId) -> bool {
        self.users().containers.remove(container)
    }

    /// Records what happened to the network, and publishes it.
    pub(crate) fn emit(&self, events: &Events, action: EventAction, container: Option<&ContainerId>) {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), self.name().to_owned()),
            ("type".to_owned(), self.driver().name().to_owned()),
        ]);
        attributes.extend(container.map(|id| ("container".to_owned(), id.to_string())));
        let actor = Actor { id: self.record.id.to_string(), attributes };
        events.emit(ResourceKind::Network, action, actor);
    }

    /// Refuses further containers, for its removal.
    ///
    /// # Errors
    /// The containers that are in it.
    pub(crate) fn close(&self) -> Result<(), Vec<ContainerId>> {
        let mut users = self.users();
        if users.is_closed || users.containers.is_empty() {
            users.is_closed = true;
            return Ok(());
        }
        Err(users.containers.iter().cloned().collect())
    }

    /// Accepts containers again: it could not be removed.
    pub(crate) fn reopen(&self) {
        self.users().is_closed = false;
    }
}

/// Why no container can be in a network that is only a configuration.
pub(crate) fn configuration_only(name: &str) -> Error {
    Error::forbidden(format!("configuration network {name} is not available for containers"))
}
