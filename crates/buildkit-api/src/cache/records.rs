//! The records of the cache: those of the builder, and a record for each directory of a client.

use std::sync::Arc;

use engine::Engine;
use engine::builder::{BuildError, CachePrune, CacheRecord, CacheRoom};
use model::ErrorKind;

use crate::parts::Parts;

/// The selection of a prune.
pub struct Pruning {
    /// How much room it makes.
    pub room: CacheRoom,
    /// Whether steps are removed too whose files images need.
    pub all: bool,
    /// The records that are meant.
    pub is_meant: Box<dyn Fn(&CacheRecord) -> bool + Send>,
}

impl std::fmt::Debug for Pruning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pruning").field("room", &self.room).finish_non_exhaustive()
    }
}

/// The records, the longest unused first.
///
/// # Errors
/// `Internal` when it cannot be read.
pub(crate) async fn records(parts: &Parts) -> Result<Vec<CacheRecord>, BuildError> {
    let mut records = blocking(parts, |engine| engine.builds.cache_records()).await?;
    records.extend(parts.received.records());
    records.sort_by_key(|record| record.used);
    Ok(records)
}

/// Removes what is meant and what nothing uses; returns the records of what is gone.
///
/// # Errors
/// `Internal` when something cannot be removed.
pub(crate) async fn prune(parts: &Parts, pruning: Pruning) -> Result<Vec<CacheRecord>, BuildError> {
    let Pruning { room, all, is_meant } = pruning;
    // Directories of clients are few, and bounded: a prune for room leaves them.
    let wants_room = room != CacheRoom::default();
    let mut gone = if wants_room { Vec::new() } else { parts.received.forget(&*is_meant) };
    let work = move |engine: &Engine| {
        engine.builds.prune_cache(&CachePrune { room, all, is_meant: &|record| is_meant(record) })
    };
    gone.extend(blocking(parts, work).await?);
    Ok(gone)
}

async fn blocking<T: Send + 'static>(
    parts: &Parts,
    work: impl FnOnce(&Engine) -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    let engine = Arc::clone(&parts.engine);
    let done = tokio::task::spawn_blocking(move || work(&engine)).await;
    done.map_err(|error| engine::builder::StepError::new(ErrorKind::Internal, error))?
}
