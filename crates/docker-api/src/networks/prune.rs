//! `POST /networks/prune`

use http::StatusCode;
use serde::Serialize;

use super::filter::PruneFilter;
use crate::{ApiError, Call, Handled, Reply};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PruneAnswer {
    /// `null` when there are none.
    networks_deleted: Option<Vec<String>>,
}

pub(super) async fn prune(call: &Call<'_>) -> Handled {
    let filter = PruneFilter::parse(call.query.text("filters")).map_err(ApiError::bad_request)?;
    let removed = call.engine.networks.prune(move |record| filter.fits(record)).await?;
    let networks_deleted = Some(removed).filter(|removed| !removed.is_empty());
    Reply::json(StatusCode::OK, &PruneAnswer { networks_deleted })
}
