//! Why a shim could not begin its work.

use std::io;
use std::path::PathBuf;

/// A step of the shim's birth failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShimError {
    /// The run directory is missing in the arguments.
    #[error("usage: berth-shim <run-directory>|--parked[=network]")]
    Usage,
    /// Making itself a background process failed.
    #[error("cannot become a background process")]
    Background(#[source] io::Error),
    /// A file of the run directory failed.
    #[error("cannot {act} {path}")]
    File {
        /// The attempted operation.
        act: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The sockets or the poller failed.
    #[error("cannot listen for the daemon")]
    Listen(#[source] io::Error),
    /// Waiting for events failed.
    #[error("cannot wait for events")]
    Wait(#[source] io::Error),
}
