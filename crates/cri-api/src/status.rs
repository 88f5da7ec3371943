//! Converts the engine's failures to statuses of gRPC.

use engine::images::registry::RegistryError;
use model::ErrorKind;
use tonic::{Code, Status};

/// The code of a kind of failure.
fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::FailedPrecondition,
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::Unauthorized => Code::Unauthenticated,
        ErrorKind::Unavailable | ErrorKind::Busy => Code::Unavailable,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Internal => Code::Internal,
    }
}

/// The status of a failure of the engine.
pub(crate) fn of_engine(error: &engine::Error) -> Status {
    Status::new(code(error.kind()), words(error))
}

/// A failure in words: without those that Docker's clients of old read before it.
fn words(error: &engine::Error) -> String {
    match error {
        engine::Error::System { message, .. } | engine::Error::Program { message, .. } => message.clone(),
        engine::Error::Container { act, container, source } => {
            format!("cannot {act} container {container}: {}", words(source))
        }
        other => model::with_causes(other),
    }
}

/// The status of a failure of the image store.
pub(crate) fn of_images(error: &engine::images::Error) -> Status {
    Status::new(code(error.kind()), model::with_causes(error))
}

/// The status of a failure of a registry.
pub(crate) fn of_registry(error: &RegistryError) -> Status {
    Status::new(code(error.kind()), model::with_causes(error))
}

/// The status of a request that is refused.
pub(crate) fn invalid(reason: impl std::fmt::Display) -> Status {
    Status::invalid_argument(reason.to_string())
}
