//! Finds containers by id, by the start of an id, by name and by link, and execs by id; keeps names unique.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use images::{ImageUse, ImageUsers, UseKind};
use model::{ContainerId, Digest, ExecId};

use crate::container::execs::Exec;
use crate::container::{Container, Record};
use crate::error::Error;

/// All containers of the engine.
#[derive(Default)]
pub(crate) struct Directory(RwLock<Index>);

#[derive(Default)]
struct Index {
    containers: BTreeMap<ContainerId, Arc<Container>>,
    names: HashMap<String, ContainerId>,
    /// The container of each exec.
    execs: HashMap<ExecId, ContainerId>,
    /// The images of containers that are being created.
    creating: HashMap<ContainerId, Vec<Digest>>,
}

/// The use of an image by a container that is being created, until the container is in the directory.
pub(crate) struct ImageClaim<'d> {
    directory: &'d Directory,
    container: ContainerId,
}

impl Drop for ImageClaim<'_> {
    fn drop(&mut self) {
        self.directory.write().creating.remove(&self.container);
    }
}

impl ImageUsers for Directory {
    fn uses(&self) -> Vec<ImageUse> {
        let index = self.read();
        let creating = index.creating.iter().flat_map(|(container, images)| {
            let of = |image: &Digest| ImageUse {
                container: container.clone(),
                image: *image,
                kind: UseKind::Creating,
            };
            images.iter().map(of)
        });
        let created = index.containers.values().flat_map(|container| {
            let record = container.record();
            let kind = if record.is_running() { UseKind::Running } else { UseKind::Stopped };
            let images = [record.image].into_iter().chain(record.image_mounts.values().copied());
            let of = |image| ImageUse { container: record.id.clone(), image, kind };
            images.map(of).collect::<Vec<_>>()
        });
        created.chain(creating).collect()
    }
}

impl Directory {
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a container of this image is being created.
    pub(crate) fn claim_image(&self, container: &ContainerId, image: Digest) -> ImageClaim<'_> {
        self.write().creating.insert(container.clone(), vec![image]);
        ImageClaim { directory: self, container: container.clone() }
    }

    /// Notes that a container that is being created mounts this image too: for as long as the claim on its own.
    pub(crate) fn claim_mounted(&self, container: &ContainerId, image: Digest) {
        if let Some(images) = self.write().creating.get_mut(container) {
            images.push(image);
        }
    }

    /// Takes a name for a container that is being made or renamed.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when another has it.
    pub(crate) fn reserve(&self, name: &str, id: &ContainerId) -> Result<(), Error> {
        let mut index = self.write();
        if let Some(holder) = index.names.get(name) {
            return Err(Error::NameTaken { name: name.to_owned(), holder: holder.clone() });
        }
        index.names.insert(name.to_owned(), id.clone());
        Ok(())
    }

    /// Gives a name back, if this container has it.
    pub(crate) fn release(&self, name: &str, id: &ContainerId) {
        let mut index = self.write();
        if index.names.get(name) == Some(id) {
            index.names.remove(name);
        }
    }

    /// Whether a name is free.
    pub(crate) fn is_free(&self, name: &str) -> bool {
        !self.read().names.contains_key(name)
    }

    /// Shows a made container to everyone. Its name is reserved already.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        self.write().containers.insert(container.id().clone(), container);
    }

    /// Hides a container that is being removed; its name stays its own until it is gone.
    pub(crate) fn hide(&self, container: &ContainerId) {
        self.write().containers.remove(container);
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

    /// Finds a container by full id, name (with or without a slash), an unambiguous start of its id, or
    /// the name of a link to it, `parent/alias`.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], or [`Error::AmbiguousContainer`].
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Container>, Error> {
        self.find_own(reference).or_else(|error| self.find_by_link(reference).ok_or(error))
    }

    fn find_by_link(&self, reference: &str) -> Option<Arc<Container>> {
        let (parent, alias) = reference.strip_prefix('/').unwrap_or(reference).split_once('/')?;
        let parent = self.find_own(parent).ok()?.record();
        self.get(parent.links.get(alias)?)
    }

    /// Finds a container by what is its own: full id, name, or an unambiguous start of its id.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], or [`Error::AmbiguousContainer`].
    pub(crate) fn find_own(&self, reference: &str) -> Result<Arc<Container>, Error> {
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

    /// All containers, newest first.
    pub(crate) fn newest_first(&self) -> Vec<Arc<Container>> {
        let mut all: Vec<_> =
            self.all().into_iter().map(|container| (container.record().created, container)).collect();
        all.sort_by(|(one, first), (other, second)| other.cmp(one).then_with(|| first.id().cmp(second.id())));
        all.into_iter().map(|(_, container)| container).collect()
    }

    /// The records of all containers, newest first.
    pub(crate) fn records(&self) -> Vec<Arc<Record>> {
        let mut all: Vec<_> = self.read().containers.values().map(|container| container.record()).collect();
        // They come by id.
        all.sort_by_cached_key(|record| Reverse(record.created));
        all
    }

    /// The names of a container, each with its slash: its own first, then those that links give it.
    pub(crate) fn names_of(&self, record: &Record) -> Vec<String> {
        let mut links = Vec::new();
        for parent in self.all() {
            let parent = parent.record();
            let aliases = parent.links.iter().filter(|(_, target)| **target == record.id);
            links.extend(aliases.map(|(alias, _)| format!("/{}/{alias}", parent.name)));
        }
        links.sort();
        links.insert(0, format!("/{}", record.name));
        links
    }

    /// Notes that an exec belongs to a container.
    pub(crate) fn insert_exec(&self, exec: ExecId, container: ContainerId) {
        self.write().execs.insert(exec, container);
    }

    /// Removes the entries of these execs.
    pub(crate) fn forget_execs(&self, execs: &[ExecId]) {
        if execs.is_empty() {
            return;
        }
        let mut index = self.write();
        for exec in execs {
            index.execs.remove(exec);
        }
    }

    /// Finds an exec and its container.
    ///
    /// # Errors
    /// [`Error::NoSuchExec`].
    pub(crate) fn find_exec(&self, reference: &str) -> Result<(Arc<Exec>, Arc<Container>), Error> {
        let unknown = || Error::NoSuchExec(reference.to_owned());
        let id = ExecId::parse(reference).map_err(|_| unknown())?;
        let index = self.read();
        let container = index.execs.get(&id).and_then(|container| index.containers.get(container)).cloned();
        drop(index);
        let container = container.ok_or_else(unknown)?;
        let exec = container.execs.find(&id).ok_or_else(unknown)?;
        Ok((exec, container))
    }
}

/// Docker's containers and those of pods use the same images.
pub(crate) struct UsersOfImages(pub(crate) [Arc<Directory>; 2]);

impl images::ImageUsers for UsersOfImages {
    fn uses(&self) -> Vec<images::ImageUse> {
        self.0.iter().flat_map(|directory| directory.uses()).collect()
    }
}
