//! Bodies of requests to families of endpoints since 1.21: JSON alone, and 400 for what cannot be read, in all
//! versions.

use crate::json::JsonError;
use crate::{ApiError, Call};

/// The body of a request, which has to be JSON.
pub(crate) async fn read(call: &mut Call<'_>) -> Result<bytes::Bytes, ApiError> {
    if call.require_json().is_err() {
        return Err(ApiError::bad_request("the Content-Type of the body must be application/json"));
    }
    call.json_body().await
}

/// A body that cannot be read.
pub(crate) fn malformed(error: JsonError) -> ApiError {
    ApiError::bad_request(format!("invalid JSON: {error}"))
}
