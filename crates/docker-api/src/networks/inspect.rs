//! `GET /networks/(id)`

use http::StatusCode;

use crate::wire::WireNetwork;
use crate::{ApiError, Call, Handled, Reply};

pub(super) fn inspect(call: &Call<'_>) -> Handled {
    if let Some(verbose) = call.query.filled("verbose")
        && !matches!(verbose, "1" | "0" | "true" | "false" | "True" | "False")
    {
        return Err(ApiError::bad_request(format!("invalid value for verbose: {verbose:?}")));
    }
    let record = call.engine.networks.find(&call.name)?;
    match call.query.filled("scope") {
        None | Some("local") => {
            Reply::json(StatusCode::OK, &WireNetwork::inspected(call.engine, &record, call.version))
        }
        Some(_) => Err(ApiError::not_found(format!("network {} not found", call.name))),
    }
}
