//! Why a container could not be made or a process not be run, in words for the client.

use std::io;

use model::kernel_words;
use serde::{Deserialize, Serialize};

/// The kind of a failed start, for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The program does not exist in the container.
    ProgramNotFound,
    /// The program cannot be executed.
    ProgramNotExecutable,
    /// The user or group is not in the container's files.
    UserNotFound,
    /// Something that the specification names does not exist.
    NotFound,
    /// The requested part of a volume does not exist; the text is complete.
    Missing,
    /// The request cannot be fulfilled in this container; the text is complete.
    Refused,
    /// The kernel refused, or the specification requires what this host cannot do.
    System,
}

impl FailureKind {
    /// The exit code of shells and clients for this failure.
    #[must_use]
    pub const fn exit_code(self) -> i32 {
        match self {
            Self::ProgramNotFound => 127,
            Self::ProgramNotExecutable => 126,
            Self::UserNotFound | Self::NotFound | Self::Missing | Self::Refused | Self::System => 128,
        }
    }
}

/// The words for a child that ended without any.
const LOST: &str = "the process ended before its program ran";

/// A container was not made, or its program or an exec's was not run.
///
/// Its words are for the client, without the prefix that names the container:
/// `exec: "nope": executable file not found in $PATH`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    pub(crate) failure: FailureKind,
    pub(crate) message: String,
    pub(crate) source: Option<io::Error>,
}

impl StartError {
    /// An error of the kernel in one act: `mounting proc: operation not permitted`.
    pub(crate) fn system(act: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let message = format!("{}: {}", act.into(), kernel_words(&source));
        Self { failure: failure_of(&source), message, source: Some(source) }
    }

    /// An error whose text is complete.
    pub(crate) fn words(failure: FailureKind, message: impl Into<String>) -> Self {
        Self { failure, message: message.into(), source: None }
    }

    /// A child that ended without a word.
    pub(crate) fn lost() -> Self {
        Self::words(FailureKind::System, LOST)
    }

    /// Whether it is [`Self::lost`].
    pub(crate) fn is_lost(&self) -> bool {
        self.message == LOST
    }

    /// The kind for clients.
    #[must_use]
    pub const fn failure(&self) -> FailureKind {
        self.failure
    }

    /// The exit code that the container or exec gets.
    #[must_use]
    pub const fn exit_code(&self) -> i32 {
        self.failure.exit_code()
    }
}

/// Reading or changing a cgroup failed.
#[derive(Debug, thiserror::Error)]
#[error("{act}: {}", kernel_words(source))]
pub struct CgroupError {
    pub(crate) act: String,
    pub(crate) source: io::Error,
}

impl CgroupError {
    pub(crate) fn new(act: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self { act: act.into(), source: source.into() }
    }
}

impl From<CgroupError> for StartError {
    fn from(error: CgroupError) -> Self {
        // A missing file of a cgroup is about the host, not about the request.
        Self { failure: FailureKind::System, ..Self::system(error.act, error.source) }
    }
}

/// The kind of an error of the kernel.
pub(crate) fn failure_of(error: &io::Error) -> FailureKind {
    if error.kind() == io::ErrorKind::NotFound { FailureKind::NotFound } else { FailureKind::System }
}

/// Names the act in which the kernel failed.
pub(crate) trait Doing<T> {
    /// Names the act by a given text.
    fn doing(self, act: &str) -> Result<T, StartError>;

    /// Names the act by words that are made only on failure.
    fn doing_with(self, act: impl FnOnce() -> String) -> Result<T, StartError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, act: &str) -> Result<T, StartError> {
        self.map_err(|source| StartError::system(act, source))
    }

    fn doing_with(self, act: impl FnOnce() -> String) -> Result<T, StartError> {
        self.map_err(|source| StartError::system(act(), source))
    }
}
