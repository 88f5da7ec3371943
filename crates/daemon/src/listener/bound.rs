//! A bound socket, and why one cannot be had.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::tls::TlsError;

/// A place to listen at cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// Another daemon answers at this socket.
    #[error("a daemon is already listening at {}", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket is in the way.
    #[error("{} exists and is no socket", .0.display())]
    NoSocket(PathBuf),
    /// The socket cannot be made.
    #[error("cannot listen at {}", path.display())]
    Unix { path: PathBuf, source: io::Error },
    /// The group does not exist.
    #[error("cannot give the socket to the group {0:?}: it is not in /etc/group")]
    Group(String),
    /// The address cannot be bound.
    #[error("cannot listen at tcp://{address}")]
    Tcp { address: String, source: io::Error },
    /// systemd passed nothing that fits.
    #[error("systemd passed no socket{0}: fd:// needs socket activation")]
    NotPassed(String),
    /// A passed descriptor cannot be used.
    #[error("cannot use the socket that systemd passed: {0}")]
    Passed(io::Error),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// One bound socket.
pub(crate) enum Listener {
    /// A unix socket, and its path when it is ours to remove.
    Unix(UnixListener, Option<PathBuf>),
    /// TCP, with TLS if configured.
    Tcp(TcpListener, Option<Arc<TlsAcceptor>>),
}

impl Listener {
    /// The unix socket's path, whether the daemon or a service manager made it.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        match self {
            Self::Unix(listener, _) => listener.local_addr().ok()?.as_pathname().map(PathBuf::from),
            Self::Tcp(..) => None,
        }
    }
}
