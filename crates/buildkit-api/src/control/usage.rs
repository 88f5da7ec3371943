//! What is kept of builds: the clients' directories. A build's steps are images of the store, and counted there.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::grpc::{Call, Status};
use crate::messages::control::{DiskUsageRequest, DiskUsageResponse, PruneRequest, UsageRecord};
use crate::parts::Parts;
use crate::received::Kept;

/// `Control.DiskUsage`
pub(crate) async fn disk_usage(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: DiskUsageRequest = call.requests.only().await?;
    refuse_filters(&request.filter)?;
    let records = parts.received.kept().iter().map(record).collect();
    call.replies.send(&DiskUsageResponse { records }).await
}

/// `Control.Prune`
pub(crate) async fn prune(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: PruneRequest = call.requests.only().await?;
    refuse_filters(&request.filter)?;
    for kept in parts.received.forget() {
        call.replies.send(&record(&kept)).await?;
    }
    Ok(())
}

fn refuse_filters(filters: &[String]) -> Result<(), Status> {
    filters.iter().find(|filter| !filter.is_empty()).map_or(Ok(()), |filter| {
        Err(Status::unimplemented(format!("what is kept of builds cannot be filtered: {filter:?}")))
    })
}

fn record(kept: &Kept) -> UsageRecord {
    let digest = model::Digest::from_bytes(Sha256::digest(&kept.key).into());
    UsageRecord {
        id: digest.hexadecimal().get(..25).unwrap_or_default().to_owned(),
        mutable: true,
        in_use: Arc::strong_count(&kept.tree) > 2,
        size: i64::try_from(kept.tree.bytes()).unwrap_or(i64::MAX),
        created: Some(kept.created),
        last_used: Some(kept.used),
        usage_count: kept.uses,
        description: format!("local source for {}", kept.key),
        kind: "source.local".to_owned(),
        shared: false,
    }
}
