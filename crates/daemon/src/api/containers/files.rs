//! What a container changed of its image, and its whole root file system.

use http::StatusCode;

use crate::api::{ApiError, Call, Handled, Reply};

/// `GET /containers/(id)/changes`
pub(super) async fn changes(call: &Call<'_>) -> Handled {
    let changes = call.engine.changes(&call.name).await?;
    // `null` for none is what the reference says and its clients know.
    Reply::json(StatusCode::OK, &(!changes.is_empty()).then_some(changes))
}

/// `GET /containers/(id)/export`
pub(super) async fn export(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("export"))
}
