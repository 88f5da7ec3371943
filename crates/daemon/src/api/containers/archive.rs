//! archive
use crate::api::{ApiError, Call, Handled};
pub(super) async fn stat(_: &Call<'_>) -> Handled {
    Err(ApiError::not_implemented("archive"))
}
pub(super) async fn read(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("archive"))
}
pub(super) async fn write(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("archive"))
}
pub(super) async fn copy(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("copy"))
}
