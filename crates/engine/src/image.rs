//! Images as the engine changes them: removal with regard to containers, and the way to registries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use images::registry::{Client, Platform, RegistrySettings};
use images::{ListFilter, Pruned, Removal, RemoveOptions, TagPolicy};
use model::{Digest, EventAction, ImageReference, ResourceKind};

use crate::error::Error;
use crate::events::Events;
use crate::outcome::joined;
use crate::record::Record;

/// Images, with the containers that use them.
pub struct Images {
    store: images::Store,
    client: RwLock<Arc<Client>>,
    events: Arc<Events>,
}

impl Images {
    pub(crate) fn new(store: images::Store, settings: RegistrySettings, events: &Arc<Events>) -> Self {
        Self { store, client: RwLock::new(Arc::new(Client::new(settings))), events: Arc::clone(events) }
    }

    /// The image store.
    #[must_use]
    pub const fn store(&self) -> &images::Store {
        &self.store
    }

    /// The layers of a container's image, topmost first.
    ///
    /// # Errors
    /// When the image is not there any more.
    pub fn lower_directories(&self, record: &Record) -> Result<Vec<PathBuf>, Error> {
        self.store.lower_directories_of(&record.image).map_err(Error::Image)
    }

    /// Gives an image one more name, and publishes that.
    ///
    /// # Errors
    /// As [`images::Store::tag_named`].
    pub async fn tag(
        self: &Arc<Self>,
        image: &str,
        name: ImageReference,
        policy: TagPolicy,
    ) -> Result<(), Error> {
        let (images, image) = (Arc::clone(self), image.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let id = images.store.tag_named(&image, &name, policy).map_err(Error::Image)?;
            images.emit(EventAction::Tag, &id, &name.to_string());
            Ok(())
        });
        joined(work.await)?
    }

    /// Removes an image or a name of it, and publishes that.
    ///
    /// # Errors
    /// Unknown image, or one that is in use.
    pub async fn remove(
        self: &Arc<Self>,
        reference: &str,
        options: RemoveOptions,
    ) -> Result<Vec<Removal>, Error> {
        let (images, reference) = (Arc::clone(self), reference.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let id = images.store.resolve_id(&reference);
            let labels = id.as_ref().ok().map(|id| images.labels_of(id)).unwrap_or_default();
            let removed = images.store.remove(&reference, options).map_err(Error::Image)?;
            images.emit_removals(&removed, id.as_ref().ok(), &labels);
            Ok(removed)
        });
        joined(work.await)?
    }

    /// Removes those images that a name has for some platforms, and publishes that; the name is removed with the
    /// last.
    ///
    /// # Errors
    /// Unknown image, a platform that it lacks, or an image that is in use.
    pub async fn remove_platforms(
        self: &Arc<Self>,
        reference: &str,
        platforms: Vec<Platform>,
        options: RemoveOptions,
    ) -> Result<Vec<Removal>, Error> {
        let (images, reference) = (Arc::clone(self), reference.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let id = images.store.resolve_id(&reference).map_err(Error::Image)?;
            let labels = images.labels_of(&id);
            let removed =
                images.store.remove_platforms(&reference, &platforms, options).map_err(Error::Image)?;
            images.emit_removals(&removed, Some(&id), &labels);
            Ok(removed)
        });
        joined(work.await)?
    }

    fn emit_removals(
        &self,
        removals: &[Removal],
        untagged: Option<&Digest>,
        labels: &BTreeMap<String, String>,
    ) {
        for removal in removals {
            match (removal, untagged) {
                (Removal::Untagged(name), Some(id)) => {
                    self.events.emit_image(EventAction::Untag, id, name, labels.clone());
                }
                (Removal::Untagged(_), None) => {}
                (Removal::Deleted(id), _) => self.emit_deleted(id),
            }
        }
    }

    /// Removes the images that the filter lets through and that no container uses, and publishes that.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune(self: &Arc<Self>, filter: ListFilter) -> Result<Pruned, Error> {
        let images = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let pruned = images.store.prune(&filter, |id, labels, removals| {
                images.emit_removals(removals, Some(id), labels);
            });
            let mut pruned = pruned.map_err(Error::Image)?;
            // Intermediate images have neither age nor labels to filter by.
            if filter == (ListFilter { dangling: filter.dangling, ..ListFilter::default() }) {
                pruned.reclaimed += images.registry().clear_downloads(&images.store);
            }
            if !pruned.removals.is_empty() {
                images.events.emit_prune(ResourceKind::Image, pruned.reclaimed);
            }
            Ok(pruned)
        });
        joined(work.await)?
    }

    /// The bytes of downloads that broke off, which a prune takes.
    ///
    /// # Errors
    /// When the thread that counts them is lost.
    pub async fn broken_downloads(self: &Arc<Self>) -> Result<u64, Error> {
        let images = Arc::clone(self);
        let count = move || Ok(images.registry().broken_downloads(&images.store));
        joined(tokio::task::spawn_blocking(count).await)?
    }

    /// Publishes what happened to an image that is there. `name` is what the act named it.
    pub fn emit(&self, action: EventAction, id: &Digest, name: &str) {
        self.events.emit_image(action, id, name, self.labels_of(id));
    }

    fn emit_deleted(&self, id: &Digest) {
        self.events.emit_image(EventAction::Delete, id, &id.to_string(), BTreeMap::new());
    }

    /// Publishes which images are gone.
    fn emit_deletions(&self, removals: &[Removal]) {
        for removal in removals {
            if let Removal::Deleted(id) = removal {
                self.emit_deleted(id);
            }
        }
    }

    fn labels_of(&self, id: &Digest) -> BTreeMap<String, String> {
        self.store.labels_of(id).map(|labels| (*labels).clone()).unwrap_or_default()
    }

    /// Removes the images that were removed by force while stopped containers used them, and that none
    /// uses any more.
    pub(crate) async fn remove_leaving(self: &Arc<Self>) {
        if !self.store.has_leaving() {
            return;
        }
        let images = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let removed = images.store.remove_leaving().map_err(Error::Image)?;
            images.emit_deletions(&removed);
            Ok(())
        });
        // The container is gone all the same; the next one that goes tries again.
        if let Err(error) = joined(work.await).and_then(|done| done) {
            tracing::warn!("cannot remove an image that no container uses any more: {error}");
        }
    }

    /// The client that talks to registries.
    #[must_use]
    pub fn registry(&self) -> Arc<Client> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses other registry settings from now on; running work keeps the old ones, and new work still joins
    /// downloads in progress.
    pub fn set_registry(&self, settings: RegistrySettings) {
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        *client = Arc::new(client.with_settings(settings));
    }
}
