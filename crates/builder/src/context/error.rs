//! Errors of a build context.

use std::io;
use std::path::{Path, PathBuf};

use images::tar::ArchiveError;
use model::{ErrorKind, without_credentials};

use crate::pattern::PatternError;
use crate::runner::StepError;

/// A failure to get, unpack or read a build context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The body has no byte.
    #[error("the build context is empty")]
    Empty,
    /// The stream ends inside the archive.
    #[error("the build context ends before its end: unexpected EOF")]
    Truncated,
    /// The stream is no tar.
    #[error("the build context is no tar archive: {0}")]
    NotTar(ArchiveError),
    /// The archive holds more than any context needs.
    #[error("cannot read the build context: {0}")]
    Limit(ArchiveError),
    /// The stream breaks off or cannot be decompressed.
    #[error("cannot read the build context: {0}")]
    Read(io::Error),
    /// An entry's name leads through something that is no directory.
    #[error("cannot unpack {path} of the build context: {through} is no directory", path = path.display(), through = through.display())]
    Through {
        /// The entry.
        path: PathBuf,
        /// The path in its way.
        through: PathBuf,
    },
    /// A hard link's target is not in the archive before it.
    #[error("cannot unpack {path} of the build context: the link's target {target} is not in it", path = path.display(), target = target.display())]
    LinkTarget {
        /// The entry.
        path: PathBuf,
        /// Its target.
        target: PathBuf,
    },
    /// A repository is at another commit than that of `--checksum`.
    #[error("the repository is at commit {actual}, expected: {wanted}")]
    Commit {
        /// Where it is.
        actual: String,
        /// Where it was to be.
        wanted: String,
    },
    /// The context cannot be written to disk.
    #[error("cannot {act} {path} of the build context: {source}", path = shown(path).display())]
    File {
        /// The attempted operation.
        act: &'static str,
        /// On what, relative to the context.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The Dockerfile is not there, or no file.
    #[error("Cannot locate specified Dockerfile: {0}")]
    NoDockerfile(String),
    /// `dockerfile=` leads out of the context.
    #[error("The Dockerfile ({0}) must be within the build context")]
    DockerfileOutside(String),
    /// The Dockerfile has no byte.
    #[error("The Dockerfile ({0}) cannot be empty")]
    EmptyDockerfile(String),
    /// A fetched context's `.dockerignore` is malformed.
    #[error("cannot read .dockerignore: {0}")]
    Ignore(#[from] PatternError),
    /// A fetched context's `.dockerignore` would be compared without end.
    #[error("cannot apply .dockerignore: its patterns and the context's paths are too many")]
    IgnoreTooSlow,
    /// `remote=` is neither a repository nor an address.
    #[error("remote {:?} is neither a git repository nor an http or https address", without_credentials(.0))]
    RemoteForm(String),
    /// A download failed.
    #[error("Error downloading remote context {}: {source}", without_credentials(address))]
    Download {
        /// From where.
        address: String,
        /// Why.
        source: super::FetchError,
    },
    /// A download is neither text nor a tar.
    #[error(
        "Error detecting content type for remote {}: unsupported Content-Type {found:?}",
        without_credentials(address)
    )]
    ContentType {
        /// From where.
        address: String,
        /// The received value.
        found: String,
    },
    /// A secret for a repository has bytes that no header has.
    #[error("the secret {0} is no text of one line")]
    NoText(String),
    /// The client does not provide its secret for a repository.
    #[error("cannot ask the client for a secret: {0}")]
    Secret(#[from] StepError),
    /// The git program failed.
    #[error("Error trying to use git: {}", without_credentials(&.0.to_string()))]
    Git(#[from] super::GitError),
}

/// The root of a context has no name.
fn shown(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

impl ContextError {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File { .. } | Self::Read(_) => ErrorKind::Internal,
            Self::Limit(source) => source.kind(),
            Self::Download { source, .. } => source.kind(),
            Self::Git(source) => source.kind(),
            Self::Secret(source) => source.kind,
            Self::Empty
            | Self::Truncated
            | Self::NotTar(_)
            | Self::Through { .. }
            | Self::LinkTarget { .. }
            | Self::Commit { .. }
            | Self::NoText(_)
            | Self::NoDockerfile(_)
            | Self::DockerfileOutside(_)
            | Self::EmptyDockerfile(_)
            | Self::Ignore(_)
            | Self::IgnoreTooSlow
            | Self::RemoteForm(_)
            | Self::ContentType { .. } => ErrorKind::Invalid,
        }
    }

    /// Makes the wrapper of an I/O error on a file of the context.
    pub(super) fn file(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { act, path, source }
    }
}

impl From<ArchiveError> for ContextError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Truncated => Self::Truncated,
            ArchiveError::Input(source) => Self::Read(source),
            error @ (ArchiveError::Limit { .. }
            | ArchiveError::Room { .. }
            | ArchiveError::Bomb { .. }
            | ArchiveError::Busy) => Self::Limit(error),
            other => Self::NotTar(other),
        }
    }
}
