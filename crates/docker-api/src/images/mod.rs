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

use super::{ApiError, Call};
use crate::route::{Route, delete, get, handler, post};

const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// The endpoints. A name may contain slashes, so fixed paths come before those with a name.
pub(crate) const ROUTES: &[Route] = &[
    get("/images/json", handler!(call => list::list(&call))),
    get("/images/search", handler!(call => search::search(&call).await)),
    get("/images/get", handler!(call => save::save_several(call).await)),
    post("/images/create", handler!(call => create::create(call).await)),
    post("/images/load", handler!(call => save::load(call).await)),
    get("/images/{name}/get", handler!(call => save::save(call).await)),
    get("/images/{name}/json", handler!(call => inspect::inspect(&call))),
    get("/images/{name}/history", handler!(call => inspect::history(&call))),
    post("/images/{name}/push", handler!(call => push::push(call).await)),
    post("/images/{name}/tag", handler!(call => names::tag(&call))),
    delete("/images/{name}", handler!(call => names::remove(&call).await)),
];

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
