//! Where clients come in: unix sockets, TCP with and without TLS, sockets that systemd passes.

mod accept;
mod activation;
mod tls;
mod unix;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

pub(crate) use accept::{Accepting, Connections};
pub(crate) use tls::TlsError;

use crate::config::{ListenAddress, TlsFiles};

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
    /// No such group.
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
    /// TCP, with TLS where it was asked for.
    Tcp(TcpListener, Option<Arc<TlsAcceptor>>),
}

impl Listener {
    /// The unix socket's place in the file system, whoever made it.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        match self {
            Self::Unix(listener, _) => listener.local_addr().ok()?.as_pathname().map(PathBuf::from),
            Self::Tcp(..) => None,
        }
    }
}

/// Binds all places; the first failure closes those already bound.
pub(crate) async fn bind(
    addresses: &[ListenAddress],
    group: Option<&str>,
    files: Option<&TlsFiles>,
) -> Result<Vec<Listener>, ListenError> {
    let acceptor = files.map(tls::acceptor).transpose()?.map(Arc::new);
    let verified = files.is_some_and(|files| files.client_ca.is_some());
    let mut passed = activation::passed_sockets();
    let mut listeners = Vec::new();
    for address in addresses {
        match address {
            ListenAddress::Unix(path) => {
                listeners.push(Listener::Unix(unix::bind(path, group).await?, Some(path.clone())));
            }
            ListenAddress::Tcp(address) => {
                warn_about(address, acceptor.is_some(), verified);
                let error = |source| ListenError::Tcp { address: address.clone(), source };
                let listener = TcpListener::bind(address).await.map_err(error)?;
                listeners.push(Listener::Tcp(listener, acceptor.clone()));
            }
            ListenAddress::Passed(name) => {
                for socket in activation::take(&mut passed, name.as_deref())? {
                    listeners.push(activation::listener(socket, acceptor.clone())?);
                }
            }
        }
    }
    Ok(listeners)
}

/// Whoever reaches this port is root on this host: say so where nothing keeps strangers out.
fn warn_about(address: &str, encrypted: bool, verified: bool) {
    if verified {
        return;
    }
    let how = if encrypted { "WITHOUT CLIENT CERTIFICATES" } else { "WITHOUT TLS" };
    tracing::warn!("LISTENING AT tcp://{address} {how}: EVERYONE WHO CAN REACH IT HAS ROOT ON THIS HOST");
    tracing::warn!("use --tlsverify with certificates, or a unix socket over ssh");
}
