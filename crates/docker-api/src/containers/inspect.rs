//! `GET /containers/(id)/json`

use http::StatusCode;

use crate::wire::ContainerInspection;
use crate::{Call, Handled, Reply};

pub(super) async fn inspect(call: &Call<'_>) -> Handled {
    let record = call.engine.containers.find(&call.name)?.record();
    let wants_sizes = call.version.inspect_has_sizes() && call.query.is_true("size");
    let sizes = if wants_sizes { call.engine.files.sizes(&record).await? } else { None };
    Reply::json(StatusCode::OK, &ContainerInspection::new(call.engine, &record, sizes, call.version))
}
