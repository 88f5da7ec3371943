//! `POST /networks/prune`

use http::StatusCode;
use serde::Serialize;

use crate::prune_filter::PruneFilter;
use crate::{ApiError, Call, Handled, Reply};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PruneAnswer {
    /// `null` when empty.
    networks_deleted: Option<Vec<String>>,
}

pub(super) async fn prune(call: &Call<'_>) -> Handled {
    let filter = PruneFilter::parse(call.query.text("filters")).map_err(ApiError::bad_request)?;
    let fits = move |record: &engine::NetworkRecord| filter.fits(&record.definition.labels, record.created);
    let removed = call.engine.networks.prune(fits).await?;
    let networks_deleted = Some(removed).filter(|removed| !removed.is_empty());
    Reply::json(StatusCode::OK, &PruneAnswer { networks_deleted })
}
