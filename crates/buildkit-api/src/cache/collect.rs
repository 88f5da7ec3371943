//! Keeps the cache of builds within its limit: after a build, behind its answer, and not too often.

use std::sync::{Arc, Weak};
use std::time::Duration;

use engine::builder::{BuildError, CacheRoom};
use tokio::sync::Notify;

use super::records::{self, Pruning};
use crate::parts::Parts;

/// The least time between two checks.
const PAUSE: Duration = Duration::from_secs(10);

/// Keeps the cache within its limit from now on; `limit` is in bytes, unlimited where it is 0.
pub(crate) fn keep_within(limit: u64, parts: &Arc<Parts>) {
    if limit > 0 {
        tokio::spawn(collect(limit, parts.builds.ended(), Arc::downgrade(parts)));
    }
}

async fn collect(limit: u64, ended: Arc<Notify>, parts: Weak<Parts>) {
    loop {
        ended.notified().await;
        let Some(parts) = parts.upgrade() else { return };
        match make_room(&parts, limit).await {
            Ok(0) => {}
            Ok(count) => {
                tracing::info!("the cache of builds is beyond its limit: {count} records are removed")
            }
            Err(error) => tracing::warn!(%error, "cannot keep the cache of builds within its limit"),
        }
        drop(parts);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn make_room(parts: &Parts, limit: u64) -> Result<usize, BuildError> {
    let kept = records::records(parts).await?;
    // What images need too would stay anyhow.
    let size = |shared: bool| -> u64 {
        kept.iter().filter(|record| record.shared == shared).map(|record| record.size).sum()
    };
    if size(false) <= limit {
        return Ok(0);
    }
    let room = CacheRoom { most: limit.saturating_add(size(true)), ..CacheRoom::default() };
    let pruning = Pruning { room, all: false, is_meant: Box::new(|_| true) };
    records::prune(parts, pruning).await.map(|gone| gone.len())
}
