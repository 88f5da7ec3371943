//! The endpoints of images.

mod create;
mod import;
mod inspect;
mod list;
mod names;
mod push;
mod save;
mod search;

use engine::images::registry::{Credentials, RegistryError};
use http::HeaderName;
pub(super) use names::new_name;

use super::route::Endpoint;
use super::{ApiError, Call, Handled};

const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// Hands the call to its handler.
pub(super) async fn dispatch(endpoint: Endpoint, call: Call<'_>) -> Handled {
    match endpoint {
        Endpoint::ImageList => list::list(&call),
        Endpoint::ImageCreate => create::create(call).await,
        Endpoint::ImageInspect => inspect::inspect(&call),
        Endpoint::ImageHistory => inspect::history(&call),
        Endpoint::ImagePush => push::push(call).await,
        Endpoint::ImageSearch => search::search(&call).await,
        Endpoint::ImageTag => names::tag(&call),
        Endpoint::ImageRemove => names::remove(&call).await,
        Endpoint::ImageLoad => save::load(call).await,
        Endpoint::ImageSaveSeveral => save::save_several(call).await,
        Endpoint::ImageSave => save::save(call).await,
        other => Err(ApiError::not_found(format!("404 page not found ({other:?})"))),
    }
}

/// The engine's error for one of the image store.
fn failure(error: engine::images::Error) -> ApiError {
    ApiError::Engine(engine::Error::Image(error))
}

/// The error of a registry.
pub(super) fn registry_failure(error: &RegistryError) -> ApiError {
    ApiError::of_kind(error.kind(), error.to_string())
}

/// Who the client says it is: `X-Registry-Auth`.
fn credentials(call: &Call<'_>) -> Result<Option<Credentials>, ApiError> {
    let value = call.exchange.head.header(&REGISTRY_AUTH);
    Credentials::from_header(value).map_err(|error| ApiError::of_kind(error.kind(), error.to_string()))
}
