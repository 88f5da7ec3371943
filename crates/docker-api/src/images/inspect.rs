//! `GET /images/(name)/json` and `GET /images/(name)/history`

use http::StatusCode;

use super::failure;
use crate::{Call, Handled, Reply};

pub(super) fn inspect(call: &Call<'_>) -> Handled {
    Reply::json(StatusCode::OK, &call.engine.images.store().inspect(&call.name).map_err(failure)?)
}

/// `GET /images/(name)/history`
pub(super) fn history(call: &Call<'_>) -> Handled {
    Reply::json(StatusCode::OK, &call.engine.images.store().history(&call.name).map_err(failure)?)
}
