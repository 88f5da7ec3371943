//! Where clients come in: unix sockets, TCP with and without TLS, sockets that systemd passes.

mod accept;
mod activation;
mod bound;
mod cri;
mod tls;
mod unix;

use std::sync::Arc;

use tokio::net::TcpListener;

pub(crate) use accept::{Accepting, Connections};
pub(crate) use bound::{ListenError, Listener};
pub(crate) use cri::CriListener;

use crate::config::{ListenAddress, TlsFiles};

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

/// Warns that clients of this port are root on this host, if they are not authenticated.
fn warn_about(address: &str, encrypted: bool, verified: bool) {
    if verified {
        return;
    }
    let how = if encrypted { "WITHOUT CLIENT CERTIFICATES" } else { "WITHOUT TLS" };
    tracing::warn!("LISTENING AT tcp://{address} {how}: EVERYONE WHO CAN REACH IT HAS ROOT ON THIS HOST");
    tracing::warn!("use --tlsverify with certificates, or a unix socket over ssh");
}
