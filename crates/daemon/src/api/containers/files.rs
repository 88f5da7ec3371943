//! changes and export
use crate::api::{ApiError, Call, Handled};
pub(super) async fn changes(_: &Call<'_>) -> Handled {
    Err(ApiError::not_implemented("changes"))
}
pub(super) async fn export(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("export"))
}
