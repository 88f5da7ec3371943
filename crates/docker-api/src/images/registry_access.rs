//! The credentials that a client sends for a registry, and failures of registries and of the image store.

use engine::images::registry::{Credentials, RegistryError};
use http::HeaderName;
use model::ErrorKind;

use crate::{ApiError, Call};

pub(super) const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// The engine's error for one of the image store.
pub(crate) fn failure(error: engine::images::Error) -> ApiError {
    ApiError::Engine(engine::Error::Image(error))
}

/// The error of a tarball that a client sends: whatever is wrong with it, it is no image that was not found.
pub(super) fn tarball_failure(error: &engine::images::Error) -> ApiError {
    let kind = match error.kind() {
        kind if matches!(error, engine::images::Error::NoPlatform { .. }) => kind,
        ErrorKind::NotFound => ErrorKind::Invalid,
        kind => kind,
    };
    ApiError::of_kind(kind, error.to_string())
}

/// The error of a registry.
pub(crate) fn registry_failure(error: &RegistryError) -> ApiError {
    ApiError::of_kind(error.kind(), error.to_string())
}

/// The credentials of the client: `X-Registry-Auth`. The specification lists 400 for one that cannot be read.
pub(super) fn credentials(call: &Call<'_>) -> Result<Option<Credentials>, ApiError> {
    let value = call.exchange.head.header(&REGISTRY_AUTH);
    Credentials::from_header(value).map_err(|error| ApiError::bad_request(error.to_string()))
}
