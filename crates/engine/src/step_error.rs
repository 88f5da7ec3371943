//! Errors of the engine as the builder knows them.

use builder::StepError;

use crate::error::Error;

/// Wraps an error of the engine: the stream of a build shows a container's failure by its cause alone.
pub(crate) fn failed(error: Error) -> StepError {
    match error {
        Error::Container { source, .. } => failed(*source),
        error => StepError::new(error.kind(), error),
    }
}
