//! auth
use crate::api::{ApiError, Call, Handled};
pub(super) async fn check(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("auth"))
}
