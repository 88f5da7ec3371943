//! `POST /volumes/prune`

use http::StatusCode;
use serde::Serialize;

use super::filter::PruneFilter;
use crate::{ApiError, Call, Handled, Reply};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PruneAnswer {
    volumes_deleted: Vec<String>,
    space_reclaimed: u64,
}

pub(super) async fn prune(call: &Call<'_>) -> Handled {
    let filter =
        PruneFilter::parse(call.query.text("filters"), call.version).map_err(ApiError::bad_request)?;
    let pruned = call.engine.volumes.prune(move |volume| filter.fits(volume)).await?;
    let answer = PruneAnswer { volumes_deleted: pruned.deleted, space_reclaimed: pruned.reclaimed };
    Reply::json(StatusCode::OK, &answer)
}
