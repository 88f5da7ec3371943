//! Finds containers by id, by the start of an id, and by name; keeps names unique.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::ContainerId;

use crate::container::Container;
use crate::error::Error;

/// All containers of the engine.
#[derive(Default)]
pub(crate) struct Directory(RwLock<Index>);

#[derive(Default)]
struct Index {
    containers: BTreeMap<ContainerId, Arc<Container>>,
    names: HashMap<String, ContainerId>,
}

impl Directory {
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name for a container that is being made or renamed.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when another has it.
    pub(crate) fn reserve(&self, name: &str, id: &ContainerId) -> Result<(), Error> {
        let mut index = self.write();
        if let Some(holder) = index.names.get(name) {
            return Err(Error::NameTaken { name: name.to_owned(), holder: holder.short().to_owned() });
        }
        index.names.insert(name.to_owned(), id.clone());
        Ok(())
    }

    /// Gives a name back.
    pub(crate) fn release(&self, name: &str) {
        self.write().names.remove(name);
    }

    /// Whether a name is free.
    pub(crate) fn is_free(&self, name: &str) -> bool {
        !self.read().names.contains_key(name)
    }

    /// Shows a made container to everyone. Its name is reserved already.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        self.write().containers.insert(container.id().clone(), container);
    }

    /// Hides a container that is gone, and frees its name.
    pub(crate) fn remove(&self, container: &Container) {
        let record = container.record();
        let mut index = self.write();
        index.containers.remove(container.id());
        if index.names.get(&record.name) == Some(container.id()) {
            index.names.remove(&record.name);
        }
    }

    /// Finds a container by full id, name (with or without a slash), or an unambiguous start of its id.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], or [`Error::AmbiguousContainer`].
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Container>, Error> {
        let unknown = || Error::NoSuchContainer(reference.to_owned());
        let index = self.read();
        if let Ok(id) = ContainerId::parse(reference)
            && let Some(container) = index.containers.get(&id)
        {
            return Ok(Arc::clone(container));
        }
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(container) = index.names.get(name).and_then(|id| index.containers.get(id)) {
            return Ok(Arc::clone(container));
        }
        if reference.is_empty() || reference.len() > 64 {
            return Err(unknown());
        }
        let Ok(start) = ContainerId::parse(&format!("{reference:0<64}")) else {
            return Err(unknown());
        };
        let mut matching = index
            .containers
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(|(id, _)| id.as_str().starts_with(reference));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(Error::AmbiguousContainer(reference.to_owned())),
            (None, _) => Err(unknown()),
        }
    }

    /// Finds a container by full id.
    pub(crate) fn get(&self, id: &ContainerId) -> Option<Arc<Container>> {
        self.read().containers.get(id).cloned()
    }

    /// All containers, in no promised order.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.read().containers.values().cloned().collect()
    }
}
