//! Why the first image cannot be made.

use std::io;
use std::path::PathBuf;

/// The image could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FirstImageError {
    /// The program cannot be used.
    #[error("cannot use {program}: {source} (Debian's package busybox-static has it)")]
    Program { program: PathBuf, source: io::Error },
    /// A file or directory is at fault.
    #[error("cannot {act} {path}: {source}")]
    File { act: &'static str, path: PathBuf, source: io::Error },
    /// A mounted directory would become part of the image.
    #[error("cannot make an image of {directory}: {mounted} is mounted in it; unmount it first")]
    Mounted { directory: PathBuf, mounted: PathBuf },
    /// In the layer of an image such a name marks a file as removed.
    #[error("cannot make an image of a directory with {0}: no name in an image begins with .wh.")]
    Whiteout(PathBuf),
    /// The files cannot be read.
    #[error("cannot pack {directory}: {source}")]
    Pack { directory: PathBuf, source: engine::images::Error },
    /// The daemon's address is malformed.
    #[error("invalid host {0:?}: want unix://PATH or tcp://ADDRESS:PORT")]
    Host(String),
    /// There is no daemon.
    #[error("cannot reach the daemon at {host}: {source}")]
    Connect { host: String, source: io::Error },
    /// The conversation broke off.
    #[error("the daemon at {host} went away: {source}")]
    Talk { host: String, source: io::Error },
    /// The daemon refused.
    #[error("the daemon refused the image: {0}")]
    Refused(String),
}
