//! Why a repository cannot be a context.

use std::io;

use images::tar::ArchiveError;
use model::ErrorKind;

/// Why a repository cannot be a context.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program is not there or cannot be started.
    #[error("cannot start the git program: {0}")]
    Start(io::Error),
    /// Git failed.
    #[error("{status} ({message})")]
    Failed {
        /// How it ended.
        status: String,
        /// Its messages.
        message: String,
    },
    /// The branch, tag or commit is written as none can be.
    #[error("invalid reference {0:?}")]
    Reference(String),
    /// The repository's address could be taken for something else.
    #[error("invalid repository address {0:?}")]
    Address(String),
    /// The directory is not in the repository, or no directory.
    #[error("the repository has no directory {0:?}")]
    Directory(String),
    /// The query of the address has a field that is none, or a value that the field cannot have.
    #[error("{0}")]
    Query(String),
    /// The repository is larger than what is free.
    #[error("cannot keep the repository: {0}")]
    Full(ArchiveError),
    /// The build was cancelled.
    #[error("the build was cancelled")]
    Cancelled,
}

impl GitError {
    /// The kind of failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Start(_) => ErrorKind::Internal,
            Self::Failed { .. }
            | Self::Full(_)
            | Self::Reference(_)
            | Self::Address(_)
            | Self::Directory(_)
            | Self::Query(_)
            | Self::Cancelled => ErrorKind::Invalid,
        }
    }
}
