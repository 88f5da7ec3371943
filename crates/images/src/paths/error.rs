//! Errors of paths in a container.

use std::io;

use model::{ErrorKind, IdentityError};

use crate::tar::ArchiveError;

/// A failure with a container's files.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// Nothing is there.
    #[error("lstat {0}: no such file or directory")]
    NotFound(String),
    /// The path ends as that of a directory does, but it is not one.
    #[error("lstat {0}: not a directory")]
    NotADirectory(String),
    /// The path to be filled is not a directory.
    #[error("extraction point is not a directory")]
    NotADirectoryToFill,
    /// Symlinks lead to symlinks without end.
    #[error("too many links in {0}")]
    TooManyLinks(String),
    /// The path holds a NUL or is too long.
    #[error("lstat {0:?}: invalid argument")]
    Invalid(String),
    /// The file system there is read-only.
    #[error("{0} is on a read-only file system")]
    ReadOnly(String),
    /// The container may not write to its root.
    #[error("container rootfs is marked read-only")]
    ReadOnlyRoot,
    /// The container may not write to the mount there.
    #[error("mounted volume is marked read-only")]
    ReadOnlyMount,
    /// The container's user, who is to own the files, is missing in its files.
    #[error(transparent)]
    Owner(#[from] IdentityError),
    /// The archive is no good, or cannot be unpacked there.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The kernel refuses.
    #[error("cannot {act} {path}: {source}")]
    System {
        /// The attempted operation.
        act: &'static str,
        /// On what.
        path: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// The receiver of the tar fails.
    #[error("cannot write the archive: {0}")]
    Output(io::Error),
}

impl PathError {
    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::NotADirectory(_) | Self::NotADirectoryToFill => ErrorKind::Invalid,
            Self::TooManyLinks(_) | Self::Invalid(_) => ErrorKind::Invalid,
            Self::ReadOnly(_) | Self::ReadOnlyRoot | Self::ReadOnlyMount => ErrorKind::Forbidden,
            Self::Archive(ArchiveError::OverDirectory { .. } | ArchiveError::OverNonDirectory { .. }) => {
                ErrorKind::Invalid
            }
            Self::Owner(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::System { .. } | Self::Output(_) => ErrorKind::Internal,
        }
    }

    pub(super) fn of(act: &'static str, path: &str) -> impl FnOnce(rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        let path = path.to_owned();
        move |errno| match errno {
            Errno::NOENT => Self::NotFound(path),
            Errno::NOTDIR => Self::NotADirectory(path),
            Errno::LOOP => Self::TooManyLinks(path),
            Errno::INVAL | Errno::NAMETOOLONG => Self::Invalid(path),
            Errno::ROFS => Self::ReadOnly(path),
            errno => Self::System { act, path, source: errno.into() },
        }
    }
}
