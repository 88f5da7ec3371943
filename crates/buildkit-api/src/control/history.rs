//! The builds that ran since the daemon began, and those that run.

use std::collections::HashMap;
use std::sync::Arc;

use super::history_filter::HistoryFilter;
use crate::builds::RecordUpdate;
use crate::grpc::{Call, Status};
use crate::parts::Parts;
use buildkit_messages::history::{
    BuildHistoryEvent, BuildHistoryEventKind, BuildHistoryRequest, UpdateBuildHistoryRequest,
    UpdateBuildHistoryResponse,
};

/// `Control.ListenBuildHistory`: all records now, then their changes unless the client does not follow.
pub(crate) async fn listen_history(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: BuildHistoryRequest = call.requests.only().await?;
    let filter = HistoryFilter::parse(&request.filter).map_err(Status::invalid)?;
    let mut changes = parts.builds.changes();
    let mut sent: HashMap<String, i32> = HashMap::new();
    loop {
        changes.mark_unchanged();
        let events = selected(parts.builds.events(request.active_only), &request, &filter);
        for event in news(&events, &sent) {
            call.replies.send(&event).await?;
        }
        sent = events.into_iter().filter_map(|event| Some((event.record?.reference, event.kind))).collect();
        if request.early_exit || changes.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// The events of the builds that the client selected.
fn selected(
    events: Vec<BuildHistoryEvent>,
    request: &BuildHistoryRequest,
    filter: &HistoryFilter,
) -> Vec<BuildHistoryEvent> {
    let wanted = |event: &BuildHistoryEvent| {
        event.record.as_ref().is_some_and(|record| {
            let is_meant = request.reference.is_empty() || record.reference == request.reference;
            is_meant && filter.matches(record)
        })
    };
    let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    events.into_iter().filter(wanted).take(limit).collect()
}

/// The changes since the client's last list: builds that began, ended, or were removed.
fn news(events: &[BuildHistoryEvent], sent: &HashMap<String, i32>) -> Vec<BuildHistoryEvent> {
    let reference = |event: &BuildHistoryEvent| event.record.as_ref().map(|record| record.reference.clone());
    let is_new = |event: &&BuildHistoryEvent| {
        reference(event).is_some_and(|reference| sent.get(&reference) != Some(&event.kind))
    };
    let mut news: Vec<_> = events.iter().filter(is_new).cloned().collect();
    for gone in sent.keys().filter(|sent| !events.iter().any(|event| reference(event).as_ref() == Some(sent)))
    {
        let record =
            buildkit_messages::history::BuildHistoryRecord { reference: gone.clone(), ..Default::default() };
        news.push(BuildHistoryEvent { kind: BuildHistoryEventKind::Deleted.into(), record: Some(record) });
    }
    news
}

/// `Control.UpdateBuildHistory`
pub(crate) async fn update_history(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: UpdateBuildHistoryRequest = call.requests.only().await?;
    // Records are final as soon as a build is over.
    if !request.finalize {
        let update = if request.delete { RecordUpdate::Delete } else { RecordUpdate::Pin(request.pinned) };
        parts.builds.update_record(&request.reference, update)?;
    }
    call.replies.send(&UpdateBuildHistoryResponse {}).await
}
