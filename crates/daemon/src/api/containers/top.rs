//! `GET /containers/(id)/top`
use crate::api::{ApiError, Call, Handled};
pub(super) async fn top(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("top"))
}
