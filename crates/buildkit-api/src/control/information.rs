//! Information about the builder, and whether it works.

use std::sync::Arc;

use crate::grpc::{Call, Status};
use crate::parts::Parts;
use crate::worker;
use buildkit_messages::control::{InfoRequest, InfoResponse, ListWorkersRequest, ListWorkersResponse};
use buildkit_messages::session::{HealthRequest, HealthResponse};

/// `SERVING` of the health service.
const SERVING: i32 = 1;

/// `Control.Info`
pub(crate) async fn info(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let InfoRequest {} = call.requests.only().await?;
    call.replies.send(&InfoResponse { version: Some(worker::version(&parts)) }).await
}

/// `Control.ListWorkers`
pub(crate) async fn list_workers(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: ListWorkersRequest = call.requests.only().await?;
    let worker = worker::record(&parts);
    // Filters look like `id==berth`; those by anything else let the only worker through.
    let excluded = request.filter.iter().any(|filter| {
        filter.strip_prefix("id==").is_some_and(|id| !worker.id.starts_with(id.trim_matches('"')))
    });
    let records = if excluded { Vec::new() } else { vec![worker] };
    call.replies.send(&ListWorkersResponse { records }).await
}

/// `grpc.health.v1.Health.Check`
pub(crate) async fn health(mut call: Call) -> Result<(), Status> {
    let HealthRequest { .. } = call.requests.only().await?;
    call.replies.send(&HealthResponse { status: SERVING }).await
}
