//! Images as the engine changes them: removal with regard to containers, and the way to registries.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use images::registry::{Client, RegistrySettings};
use images::{Removal, RemoveOptions};

use crate::error::Error;
use crate::events::Events;
use crate::outcome::joined;
use crate::record::Record;

/// Images beside the containers that use them.
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

    /// Removes an image or a name of it, and tells listeners.
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
            let id = images.store.resolve_id(&reference).map(|id| id.hexadecimal());
            let removed = images.store.remove(&reference, options).map_err(Error::Image)?;
            let id = id.unwrap_or_default();
            for removal in &removed {
                match removal {
                    Removal::Untagged(_) => images.events.emit_image("untag", &id),
                    Removal::Deleted(id) => images.events.emit_image("delete", &id.hexadecimal()),
                }
            }
            Ok(removed)
        });
        joined(work.await)?
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
            for removal in &removed {
                if let Removal::Deleted(id) = removal {
                    images.events.emit_image("delete", &id.hexadecimal());
                }
            }
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

    /// Takes other registry settings from now on; work that runs keeps the old ones, and new work
    /// still knows what it is downloading.
    pub fn set_registry(&self, settings: RegistrySettings) {
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        *client = Arc::new(client.with_settings(settings));
    }
}
