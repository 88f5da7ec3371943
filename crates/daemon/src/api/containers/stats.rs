//! stats
use crate::api::{ApiError, Call, Handled};
pub(super) async fn stats(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("stats"))
}
