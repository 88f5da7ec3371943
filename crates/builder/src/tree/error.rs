//! Errors of a file tree.

use std::io;
use std::path::{Path, PathBuf};

use model::ErrorKind;

/// A failure while a file tree is read or written.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The kernel refused something.
    #[error("cannot {act} {path}: {source}", path = path.display())]
    File {
        /// The attempted operation.
        act: &'static str,
        /// On what, as the image or the context names it.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// A directory is wanted where something else is.
    #[error("mkdir {path}: not a directory", path = .0.display())]
    NotDirectory(PathBuf),
    /// A directory is wanted beneath something else.
    #[error("lstat {path}: not a directory", path = .0.display())]
    BelowNoDirectory(PathBuf),
    /// A directory is copied over a file.
    #[error("cannot copy to non-directory: {path}", path = .0.display())]
    FileInPlaceOfDirectory(PathBuf),
    /// A file is copied over a directory.
    #[error("cannot replace directory {path} with a file", path = .0.display())]
    DirectoryInPlaceOfFile(PathBuf),
    /// There is nothing of a name.
    #[error("{path}: no such file or directory", path = .0.display())]
    Missing(PathBuf),
    /// A name is taken.
    #[error("{path}: file exists", path = .0.display())]
    Exists(PathBuf),
    /// A path has more symbolic links than the kernel would follow.
    #[error("{path}: too many levels of symbolic links", path = .0.display())]
    SymlinkLoop(PathBuf),
    /// `--chown` names an account that the image does not have.
    #[error("can't find {kind} for {text}")]
    UnknownAccount {
        /// `uid` or `gid`.
        kind: &'static str,
        /// The name as written.
        text: String,
    },
    /// The build was cancelled meanwhile.
    #[error("the build was cancelled")]
    Cancelled,
}

impl TreeError {
    /// The kind of failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::File { .. } => ErrorKind::Internal,
            Self::NotDirectory(_)
            | Self::BelowNoDirectory(_)
            | Self::FileInPlaceOfDirectory(_)
            | Self::DirectoryInPlaceOfFile(_)
            | Self::SymlinkLoop(_)
            | Self::Missing(_)
            | Self::Exists(_)
            | Self::UnknownAccount { .. }
            | Self::Cancelled => ErrorKind::Invalid,
        }
    }

    /// The same failure in a graph, whose directories are checked as a whole before they are made.
    pub(crate) fn in_graph(self, wanted: &Path) -> Self {
        match self {
            Self::NotDirectory(path) if path != wanted => {
                Self::BelowNoDirectory(wanted.components().collect())
            }
            other => other,
        }
    }

    /// Makes the wrapper of an I/O error.
    pub(crate) fn file(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { act, path, source }
    }
}
