//! Images as the engine changes them: removal with regard to containers, and the way to registries.

use std::sync::{Arc, PoisonError};

use images::registry::{Client, RegistrySettings};
use images::{ImageUse, Removal, RemoveOptions};

use crate::engine::Engine;
use crate::error::Error;
use crate::outcome::joined;

impl Engine {
    /// Removes an image or a name of it, and tells listeners.
    ///
    /// # Errors
    /// Unknown image, or one that is in use.
    pub async fn remove_image(
        self: &Arc<Self>,
        reference: &str,
        options: RemoveOptions,
    ) -> Result<Vec<Removal>, Error> {
        let (engine, reference) = (Arc::clone(self), reference.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let uses = engine.image_uses();
            let id = engine.images.resolve_id(&reference).map(|id| id.hexadecimal());
            let removed = engine.images.remove(&reference, options, &uses).map_err(Error::Image)?;
            let id = id.unwrap_or_default();
            for removal in &removed {
                match removal {
                    Removal::Untagged(_) => engine.emit_image("untag", &id),
                    Removal::Deleted(id) => engine.emit_image("delete", id),
                }
            }
            Ok(removed)
        });
        joined(work.await)?
    }

    fn image_uses(&self) -> Vec<ImageUse> {
        let record = |container: Arc<crate::container::Container>| {
            let record = container.record();
            ImageUse { container: record.id.clone(), image: record.image, running: record.is_running() }
        };
        self.directory.all().into_iter().map(record).collect()
    }

    /// The client that talks to registries.
    #[must_use]
    pub fn registry(&self) -> Arc<Client> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other registry settings from now on; work that runs keeps the old ones, and new work
    /// still knows what it is downloading.
    pub fn set_registry(&self, settings: RegistrySettings) {
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        *registry = Arc::new(registry.with_settings(settings));
    }
}
