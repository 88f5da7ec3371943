//! `POST /build/prune`: a classic build's steps are images here, which `POST /images/prune` removes; beside them nothing is
//! kept of builds.

use http::StatusCode;
use serde::Serialize;

use crate::filters::Filters;
use crate::{ApiError, Call, Handled, Reply};

/// What records of a cache could be chosen by.
const FILTERS: [&str; 8] = ["until", "id", "parent", "type", "description", "inuse", "shared", "private"];

/// Bytes that were to be left; the first is older than the others.
const LIMITS: [&str; 4] = ["keep-storage", "reserved-space", "max-used-space", "min-free-space"];

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PruneAnswer {
    /// `null` when there are none.
    caches_deleted: Option<Vec<String>>,
    space_reclaimed: u64,
}

pub(super) fn prune(call: &Call<'_>) -> Handled {
    Filters::parse_known(call.query.text("filters"), &FILTERS).map_err(ApiError::bad_request)?;
    for limit in LIMITS {
        call.query
            .number_if_filled::<i64>(limit)
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
    }
    call.engine.builds.emit_prune(0);
    Reply::json(StatusCode::OK, &PruneAnswer { caches_deleted: None, space_reclaimed: 0 })
}
