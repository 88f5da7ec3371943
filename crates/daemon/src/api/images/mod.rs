//! images
use crate::api::{ApiError, Call, Handled, route::Endpoint};
pub(super) async fn dispatch(e: Endpoint, _: Call<'_>) -> Handled {
    Err(ApiError::not_implemented(&format!("{e:?}")))
}
