//! build
use crate::api::{ApiError, Call, Handled};
pub(super) async fn build(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("build"))
}
