//! Finds networks by id, by name and by the start of an id.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{NetworkId, NetworkReference};

use super::entry::NetworkEntry;
use crate::endpoint::{BRIDGE, Endpoint};
use crate::error::Error;

/// All networks of the engine.
pub(crate) struct NetworkRegistry {
    /// The default network, which has what the host has once.
    pub(crate) default: Arc<network::Network>,
    index: RwLock<Index>,
    /// Held while a network is made or removed: names and addresses are chosen one after the other.
    pub(crate) changes: Mutex<()>,
}

#[derive(Default)]
struct Index {
    networks: BTreeMap<NetworkId, Arc<NetworkEntry>>,
    names: HashMap<String, NetworkId>,
}

impl NetworkRegistry {
    pub(crate) fn new(default: Arc<network::Network>) -> Self {
        Self { default, index: RwLock::default(), changes: Mutex::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a network to everyone.
    pub(crate) fn insert(&self, entry: NetworkEntry) -> Arc<NetworkEntry> {
        let entry = Arc::new(entry);
        let mut index = self.write();
        index.names.insert(entry.name().to_owned(), entry.record.id.clone());
        index.networks.insert(entry.record.id.clone(), Arc::clone(&entry));
        entry
    }

    /// Hides a network that is gone.
    pub(crate) fn remove(&self, entry: &NetworkEntry) {
        let mut index = self.write();
        index.networks.remove(&entry.record.id);
        if index.names.get(entry.name()) == Some(&entry.record.id) {
            index.names.remove(entry.name());
        }
    }

    /// All networks, in no order.
    pub(crate) fn unordered(&self) -> Vec<Arc<NetworkEntry>> {
        self.read().networks.values().cloned().collect()
    }

    /// Visits each network, in no order, while none is added or removed.
    pub(crate) fn each(&self, mut look: impl FnMut(&NetworkEntry)) {
        self.read().networks.values().for_each(|entry| look(entry));
    }

    /// All networks, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<NetworkEntry>> {
        let mut all = self.unordered();
        all.sort_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// Finds a network by its full id.
    pub(crate) fn get(&self, id: &NetworkId) -> Option<Arc<NetworkEntry>> {
        self.read().networks.get(id).cloned()
    }

    /// Finds a network by its name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<NetworkEntry>> {
        let index = self.read();
        index.names.get(name).and_then(|id| index.networks.get(id)).cloned()
    }

    /// Finds a network by full id, by name, or by an unambiguous start of its id, in this order.
    ///
    /// # Errors
    /// Not found; a bad parameter for a start that several ids have.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<NetworkEntry>, Error> {
        let unknown = || Error::not_found(format!("network {reference} not found"));
        if let Ok(id) = NetworkId::parse(reference)
            && let Some(entry) = self.get(&id)
        {
            return Ok(entry);
        }
        if let Some(entry) = self.named(reference) {
            return Ok(entry);
        }
        if NetworkReference::from(reference) == NetworkReference::Default {
            return self.named(BRIDGE).ok_or_else(unknown);
        }
        if reference.is_empty() {
            return Err(unknown());
        }
        let index = self.read();
        let mut matching =
            index.networks.values().filter(|entry| entry.record.id.as_str().starts_with(reference));
        match (matching.next(), matching.count()) {
            (Some(entry), 0) => Ok(Arc::clone(entry)),
            (Some(_), more) => Err(Error::refused(format!(
                "network {reference} is ambiguous ({} matches found based on ID prefix)",
                more + 1
            ))),
            (None, _) => Err(unknown()),
        }
    }

    /// The full id of the network that a start of an id means.
    pub(crate) fn full_id(&self, start: &str) -> Option<NetworkId> {
        let entry = self.find(start).ok()?;
        let is_start = entry.record.id.as_str().starts_with(start) && entry.name() != start;
        is_start.then(|| entry.record.id.clone())
    }

    /// The network of a container's endpoint: the one that it was in before, or the one that it names.
    ///
    /// # Errors
    /// Not found.
    pub(crate) fn of_endpoint(&self, endpoint: &Endpoint) -> Result<Arc<NetworkEntry>, Error> {
        match &endpoint.network {
            Some(id) => self.get(id).ok_or_else(|| {
                Error::not_found(format!("failed to set up container networking: network {id} not found"))
            }),
            None => self.find(endpoint.attachment.network.as_str()),
        }
    }
}
