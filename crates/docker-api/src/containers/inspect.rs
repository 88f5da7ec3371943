//! `GET /containers/(id)/json`

use http::StatusCode;

use crate::wire::ContainerInspection;
use crate::{Call, Handled, Reply};

pub(super) fn inspect(call: &Call<'_>) -> Handled {
    let record = call.engine.containers.find(&call.name)?.record();
    Reply::json(StatusCode::OK, &ContainerInspection::new(call.engine, &record, call.version))
}
