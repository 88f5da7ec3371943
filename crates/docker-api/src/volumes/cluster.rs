//! Volumes of clusters, which this engine is in none of.

use http::StatusCode;

use crate::{ApiError, Handled};

/// `PUT /volumes/(name)`: volumes of a cluster alone can be changed.
pub(super) fn update() -> Handled {
    Err(no_swarm())
}

/// A cluster is asked for.
pub(super) fn no_swarm() -> ApiError {
    ApiError::Request {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "This node is not a swarm manager: there are only local volumes".to_owned(),
    }
}
