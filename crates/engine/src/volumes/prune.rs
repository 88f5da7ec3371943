//! Removes the volumes that no container uses.

use std::sync::Arc;

use super::remove::Missing;
use super::service::Volumes;
use super::volume::Volume;
use crate::error::Error;
use crate::outcome::joined;

/// The result of a prune.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunedVolumes {
    /// The names of those that are gone.
    pub deleted: Vec<String>,
    /// The bytes that they held.
    pub reclaimed: u64,
}

impl Volumes {
    /// Removes those that are meant and that no container uses. What a container takes meanwhile stays.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub async fn prune(
        self: &Arc<Self>,
        is_meant: impl Fn(&Volume) -> bool + Send + 'static,
    ) -> Result<PrunedVolumes, Error> {
        let volumes = Arc::clone(self);
        let work = move || {
            let mut pruned = PrunedVolumes::default();
            let used = volumes.used();
            let is_unused = |volume: &Volume| !used.contains(&volume.name);
            for volume in volumes.all().into_iter().filter(is_unused).filter(is_meant) {
                let size = volumes.size(&volume);
                match volumes.take_away(&volume.name, Missing::IsRefused) {
                    Ok(()) => {
                        pruned.reclaimed += size;
                        pruned.deleted.push(volume.name);
                    }
                    // A container has taken it meanwhile, or another caller has removed it.
                    Err(Error::Refused { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            volumes.events.emit_prune(pruned.reclaimed);
            Ok(pruned)
        };
        joined(tokio::task::spawn_blocking(work).await)?
    }

    /// The bytes of all files of a volume; 0 where they cannot be read.
    fn size(&self, volume: &Volume) -> u64 {
        images::tree_size(&volume.content).unwrap_or_else(|error| {
            tracing::warn!("cannot measure volume {}: {error}", volume.name);
            0
        })
    }
}
