//! Removes the containers that do not run.

use std::sync::Arc;

use model::{ContainerId, ResourceKind};

use crate::container::containers::Containers;
use crate::container::remove::Removal;
use crate::container::{Container, Phase, Record};
use crate::error::Error;

/// The result of a prune.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunedContainers {
    /// The containers that are gone.
    pub deleted: Vec<ContainerId>,
    /// The bytes that their own layers held.
    pub reclaimed: u64,
}

impl Containers {
    /// Removes all containers that do not run and that `fits` chooses. Their volumes stay. One that another
    /// request stops, starts or removes meanwhile is left to that.
    ///
    /// # Errors
    /// None but that of a task that ends early.
    pub async fn prune(
        self: &Arc<Self>,
        fits: impl Fn(&Record) -> bool + Send + 'static,
    ) -> Result<PrunedContainers, Error> {
        let containers = Arc::clone(self);
        crate::outcome::finish(async move {
            let mut pruned = PrunedContainers::default();
            for container in containers.all() {
                if fits(&container.record())
                    && let Some(bytes) = containers.prune_one(&container).await
                {
                    pruned.reclaimed += bytes;
                    pruned.deleted.push(container.id().clone());
                }
            }
            containers.events.emit_prune(ResourceKind::Container, pruned.reclaimed);
            Ok(pruned)
        })
        .await
    }

    /// Removes a container if it does not run; returns the bytes of its own layer.
    async fn prune_one(&self, container: &Container) -> Option<u64> {
        // A restart ends it for a moment.
        let _alone = container.ending.try_write().ok()?;
        if !matches!(container.record().phase, Phase::Created | Phase::Exited) {
            return None;
        }
        let upper = self.paths.upper(container.id());
        let size = tokio::task::spawn_blocking(move || images::tree_size(&upper).unwrap_or(0));
        let size = size.await.unwrap_or(0);
        match self.remover.remove(container.id().as_str(), Removal::default()).await {
            Ok(()) => Some(size),
            Err(error) => {
                tracing::debug!("container {} is not pruned: {error}", container.id());
                None
            }
        }
    }
}
