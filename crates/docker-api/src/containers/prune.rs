//! `POST /containers/prune`

use http::StatusCode;
use model::ContainerId;
use serde::Serialize;

use crate::prune_filter::PruneFilter;
use crate::{ApiError, Call, Handled, Reply};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PruneAnswer {
    /// `null` when empty.
    containers_deleted: Option<Vec<String>>,
    space_reclaimed: u64,
}

pub(super) async fn prune(call: &Call<'_>) -> Handled {
    let filter = PruneFilter::parse(call.query.text("filters")).map_err(ApiError::bad_request)?;
    let fits = move |record: &engine::Record| {
        let labels = record.settings.labels.as_ref();
        filter.fits(labels.unwrap_or(&Default::default()), record.created)
    };
    let pruned = call.engine.containers.prune(fits).await?;
    let deleted: Vec<String> = pruned.deleted.iter().map(ContainerId::to_string).collect();
    let containers_deleted = Some(deleted).filter(|deleted| !deleted.is_empty());
    Reply::json(StatusCode::OK, &PruneAnswer { containers_deleted, space_reclaimed: pruned.reclaimed })
}
