//! Errors of plugins.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A pod could not be connected to a network, or disconnected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read or written.
    #[error("cannot {act} {path}")]
    File {
        /// The attempted operation.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("cannot use {path}: {reason}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// No directory of plugins has this one.
    #[error("the CNI plugin {plugin:?} is in none of {directories:?}")]
    NoPlugin {
        /// Its name.
        plugin: String,
        /// The searched directories.
        directories: Vec<PathBuf>,
    },
    /// A plugin cannot be run.
    #[error("cannot run the CNI plugin {plugin:?}")]
    Run {
        /// Its name.
        plugin: String,
        /// Why.
        source: io::Error,
    },
    /// A plugin took too long and was killed.
    #[error("the CNI plugin {plugin:?} did not finish {command} within {} s and was killed", limit.as_secs())]
    TooLong {
        /// Its name.
        plugin: String,
        /// The command.
        command: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The call was cancelled: the plugin was killed, or not run at all.
    #[error("the CNI plugin {plugin:?} was broken off at {command}")]
    Cancelled {
        /// Its name.
        plugin: String,
        /// The command.
        command: &'static str,
    },
    /// A plugin reported a failure.
    #[error("the CNI plugin {plugin:?} failed at {command}: {reason}")]
    Refused {
        /// Its name.
        plugin: String,
        /// The command.
        command: &'static str,
        /// Its message.
        reason: String,
    },
    /// A plugin ended well, but its result is invalid.
    #[error("the CNI plugin {plugin:?} returned an invalid result of {command}: {reason}")]
    NoResult {
        /// Its name.
        plugin: String,
        /// The command.
        command: &'static str,
        /// The fault.
        reason: String,
    },
}

/// Names a failed operation on a file.
pub(crate) fn file_error(act: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { act, path, source }
}
