//! `Control.Status`: the progress of a build, from its begin to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::grpc::{Call, Status};
use crate::parts::Parts;
use buildkit_messages::control::{StatusRequest, StatusResponse};

/// Updates of progress that are sent in one message.
const MERGED: usize = 256;
/// Bytes of output that do.
const MERGED_BYTES: usize = 1 << 20;
/// How long updates of progress wait for each other, unless nothing more comes: each message wakes the client, which does not
/// show them sooner.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn status(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let StatusRequest { reference } = call.requests.only().await?;
    let progress = parts.builds.progress(&reference).await?;
    let mut seen = 0;
    while let Some(messages) = progress.beyond(seen).await {
        seen += messages.len();
        for merged in merge(&messages) {
            call.replies.send(&merged).await?;
        }
        let _ = timeout(PAUSE, progress.over()).await;
    }
    Ok(())
}

/// Merges waiting updates into few messages.
pub(crate) fn merge(messages: &[Arc<StatusResponse>]) -> Vec<StatusResponse> {
    let mut merged = Vec::new();
    let mut current = StatusResponse::default();
    let (mut count, mut bytes) = (0, 0);
    for message in messages {
        current.vertices.extend_from_slice(&message.vertices);
        current.statuses.extend_from_slice(&message.statuses);
        current.logs.extend_from_slice(&message.logs);
        current.warnings.extend_from_slice(&message.warnings);
        count += 1;
        bytes += message.logs.iter().map(|log| log.message.len()).sum::<usize>();
        if count >= MERGED || bytes >= MERGED_BYTES {
            merged.push(std::mem::take(&mut current));
            (count, bytes) = (0, 0);
        }
    }
    if count > 0 {
        merged.push(current);
    }
    merged
}
