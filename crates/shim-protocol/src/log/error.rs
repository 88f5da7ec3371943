//! A log file could not be read.

use std::io;
use std::path::PathBuf;

use model::ErrorKind;

/// A log file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} log file {path}")]
pub struct LogError {
    act: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl LogError {
    pub(crate) fn new(act: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { act, path: path.into(), source }
    }

    /// The kind of failure for the API's status.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}
