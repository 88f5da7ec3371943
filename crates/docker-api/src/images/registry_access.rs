//! Who the client says it is to a registry, and failures of registries and of the image store.

use engine::images::registry::{Credentials, RegistryError};
use http::HeaderName;

use crate::{ApiError, Call};

pub(super) const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// The engine's error for one of the image store.
pub(super) fn failure(error: engine::images::Error) -> ApiError {
    ApiError::Engine(engine::Error::Image(error))
}

/// The error of a registry.
pub(crate) fn registry_failure(error: &RegistryError) -> ApiError {
    ApiError::of_kind(error.kind(), error.to_string())
}

/// Who the client says it is: `X-Registry-Auth`.
pub(super) fn credentials(call: &Call<'_>) -> Result<Option<Credentials>, ApiError> {
    let value = call.exchange.head.header(&REGISTRY_AUTH);
    Credentials::from_header(value).map_err(|error| ApiError::of_kind(error.kind(), error.to_string()))
}
