//! Converts errors of the engine to those of the builder.

use builder::{StartFailure, StepError};

use crate::error::Error;

/// Wraps an error of the engine: the stream of a build shows a container's failure by its cause alone.
pub(crate) fn failed(error: Error) -> StepError {
    match error {
        Error::Container { source, .. } => failed(*source),
        error => {
            let start = match &error {
                Error::Program { message, .. } => Some(StartFailure::Program(message.clone())),
                Error::System { message, .. } => Some(StartFailure::Surroundings(message.clone())),
                _ => None,
            };
            StepError { start, ..StepError::new(error.kind(), error) }
        }
    }
}
