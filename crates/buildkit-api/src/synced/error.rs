//! Why a client's directory could not be received.

use std::io;

use model::ErrorKind;

use crate::grpc::Status;

/// A failed transfer; the text is what the client sees.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// The client's session failed.
    #[error("cannot receive files from the client: {0}")]
    Session(#[from] Status),
    /// The client reports that it has failed.
    #[error("the client cannot send its files: {0}")]
    Client(String),
    /// A path leads elsewhere than to a place below the root.
    #[error("the client sent {0:?}, which is no path within a directory")]
    Path(String),
    /// Entries come in another order than that of a walk, or twice.
    #[error("the client sent {0:?} out of order")]
    Order(String),
    /// An entry lies in something that is no directory.
    #[error("the client sent {0:?}, but what it is in is no directory")]
    Parent(String),
    /// A further name of a file that is not there.
    #[error("the client sent {path:?} as a further name of {target:?}, which is no file before it")]
    Link {
        /// The name.
        path: String,
        /// The first name.
        target: String,
    },
    /// A kind of entry that no build context can hold.
    #[error("the client sent {path:?} with the mode {mode:#o}, which is no kind of file")]
    Kind {
        /// The entry.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// An invalid size, or one that differs from the bytes that came.
    #[error("the client announced {announced} bytes of {path:?} and sent {sent}")]
    Size {
        /// The file.
        path: String,
        /// The announced size.
        announced: i64,
        /// The received size.
        sent: u64,
    },
    /// A file that is read as a whole is too long.
    #[error("{path} has more than {limit} bytes")]
    Long {
        /// The file.
        path: String,
        /// Its limit.
        limit: u64,
    },
    /// A packet that answers nothing.
    #[error("the client sent {0} that nothing asked for")]
    Unexpected(&'static str),
    /// The client stopped before all was there.
    #[error("the client stopped sending before all files were there")]
    Ended,
    /// There is too much.
    #[error("the client's directory has more than {limit} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How much may be.
        limit: usize,
    },
    /// All directories that are being received are too much together.
    #[error("too much is being received at once")]
    Busy,
    /// The contents cannot be kept.
    #[error("cannot keep the client's files: {0}")]
    Keep(#[source] io::Error),
}

impl SyncError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Session(status) => status.kind(),
            Self::Busy => ErrorKind::Busy,
            Self::Keep(_) => ErrorKind::Internal,
            Self::Client(_)
            | Self::Path(_)
            | Self::Order(_)
            | Self::Parent(_)
            | Self::Link { .. }
            | Self::Kind { .. }
            | Self::Size { .. }
            | Self::Long { .. }
            | Self::Unexpected(_)
            | Self::Ended
            | Self::Limit { .. } => ErrorKind::Invalid,
        }
    }
}
