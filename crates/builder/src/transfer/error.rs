//! The errors of COPY and ADD, with the texts that users expect.

use std::path::PathBuf;

use images::tar::ArchiveError;
use model::{ErrorKind, without_credentials};

use crate::context::FetchError;
use crate::tree::TreeError;

/// A failure of a COPY or ADD step.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A source is not in the context.
    #[error("{0}: no such file or directory")]
    NoSuchSource(String),
    /// A source is a symbolic link that leads out of the context.
    #[error("Forbidden path outside the build context: {written} ({target})", target = target.display())]
    Outside {
        /// The source as written.
        written: String,
        /// Where the link leads.
        target: PathBuf,
    },
    /// The patterns match nothing.
    #[error("No source files were specified")]
    NoSources,
    /// Several sources need a directory.
    #[error(
        "When using {0} with more than one source file, the destination must be a directory and end with a /"
    )]
    DestinationNotDirectory(&'static str),
    /// A download has no name of its own, and the destination is a directory.
    #[error("cannot determine filename from url: {}", without_credentials(.0))]
    NamelessAddress(String),
    /// A download has another digest than that of `--checksum`.
    #[error("digest mismatch of {}: {actual}, expected: {wanted}", without_credentials(address))]
    Checksum {
        /// Its address.
        address: String,
        /// The checksum of the download.
        actual: String,
        /// The requested checksum.
        wanted: String,
    },
    /// The patterns of `--exclude` compare too much.
    #[error("the patterns of --exclude are compared too often")]
    ExcludeTooSlow,
    /// A download failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The file system failed.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// An archive that ADD unpacks is malformed.
    #[error("cannot unpack {name}: {source}")]
    Unpack {
        /// The archive, as written.
        name: String,
        /// Its fault.
        source: ArchiveError,
    },
}

impl TransferError {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Fetch(source) => source.kind(),
            Self::Tree(source) => source.kind(),
            Self::NoSuchSource(_)
            | Self::Outside { .. }
            | Self::NoSources
            | Self::DestinationNotDirectory(_)
            | Self::NamelessAddress(_)
            | Self::Checksum { .. }
            | Self::ExcludeTooSlow
            | Self::Unpack { .. } => ErrorKind::Invalid,
        }
    }
}
