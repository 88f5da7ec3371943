//! The use of the cache: `Control.DiskUsage` and `Control.Prune`.

use std::sync::Arc;
use std::time::Duration;

use engine::builder::{CacheKind, CacheRecord, CacheRoom};

use crate::cache::{self, CacheFilter, Pruning};
use crate::grpc::{Call, Status};
use crate::parts::Parts;
use buildkit_messages::control::{DiskUsageRequest, DiskUsageResponse, PruneRequest, UsageRecord};
use buildkit_messages::google::Timestamp;

/// `Control.DiskUsage`
pub(crate) async fn disk_usage(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: DiskUsageRequest = call.requests.only().await?;
    let filter = CacheFilter::parse(&request.filter, age(request.age_limit)).map_err(Status::invalid)?;
    let records =
        cache::records(&parts).await.map_err(|error| Status::of_kind(error.kind(), error.to_string()))?;
    let records = records.iter().filter(|record| filter.matches(record)).map(message).collect();
    call.replies.send(&DiskUsageResponse { records }).await
}

/// `Control.Prune`
pub(crate) async fn prune(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: PruneRequest = call.requests.only().await?;
    let filter = CacheFilter::parse(&request.filter, age(request.keep_duration)).map_err(Status::invalid)?;
    let bytes = |number: i64| u64::try_from(number).unwrap_or(0);
    let room = CacheRoom {
        reserved: bytes(request.reserved_space),
        most: bytes(request.max_used_space),
        free: bytes(request.min_free_space),
    };
    let pruning =
        Pruning { room, all: request.all, is_meant: Box::new(move |record| filter.matches(record)) };
    let gone = cache::prune(&parts, pruning).await;
    for record in gone.map_err(|error| Status::of_kind(error.kind(), error.to_string()))? {
        call.replies.send(&message(&record)).await?;
    }
    Ok(())
}

fn age(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

fn moment(moment: model::Timestamp) -> Timestamp {
    let nanoseconds = i32::try_from(moment.subsecond_nanoseconds()).unwrap_or_default();
    Timestamp { seconds: moment.unix_seconds(), nanoseconds }
}

fn message(record: &CacheRecord) -> UsageRecord {
    UsageRecord {
        id: record.id.clone(),
        mutable: record.kind != CacheKind::Step,
        in_use: record.in_use,
        size: i64::try_from(record.size).unwrap_or(i64::MAX),
        created: record.created.map(moment),
        last_used: record.used.map(moment),
        usage_count: i64::try_from(record.uses).unwrap_or(i64::MAX),
        description: record.description.clone(),
        kind: record.kind.name().to_owned(),
        shared: record.shared,
        parents: record.parents.clone(),
    }
}
