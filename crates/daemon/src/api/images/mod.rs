//! The endpoints of images.

mod create;
mod inspect;
mod names;

use super::route::Endpoint;
use super::{ApiError, Call, Handled};

/// Hands the call to its handler.
pub(super) async fn dispatch(endpoint: Endpoint, call: Call<'_>) -> Handled {
    match endpoint {
        Endpoint::ImageCreate => create::create(call).await,
        Endpoint::ImageInspect => inspect::inspect(&call),
        Endpoint::ImageTag => names::tag(&call),
        other => Err(ApiError::not_implemented(&format!("{other:?}"))),
    }
}

/// The engine's error for one of the image store.
fn failure(error: engine::images::Error) -> ApiError {
    ApiError::Engine(engine::Error::Image(error))
}
