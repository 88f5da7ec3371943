//! Checkpoints of containers, which are experimental in every version: not supported.

use model::ErrorKind;

use crate::{ApiError, Call, Handled};

/// `GET` and `POST /containers/(id)/checkpoints`, `DELETE /containers/(id)/checkpoints/(checkpoint)`
pub(super) fn refuse(call: &Call<'_>) -> Handled {
    call.engine.containers.find(&call.name)?;
    Err(unsupported())
}

pub(super) fn unsupported() -> ApiError {
    let message = "checkpoints are experimental and not supported: processes of containers cannot be saved";
    ApiError::of_kind(ErrorKind::Unsupported, message.to_owned())
}
