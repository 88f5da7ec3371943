//! commit
use crate::api::{ApiError, Call, Handled};
pub(super) async fn commit(_: Call<'_>) -> Handled {
    Err(ApiError::not_implemented("commit"))
}
