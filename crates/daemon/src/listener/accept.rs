//! Accepts connections and gives each a task, until the daemon stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Listener;
use berth_http::{Service, Settings, Transport, serve};

/// A TLS handshake must be over so soon.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A network client that sends nothing is probed after so long, then every [`PROBE_PAUSE`]; after [`PROBES`]
/// probes without an answer it is gone. An attached client may be silent for days.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_PAUSE: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;
/// The pause after accepting failed, most likely for lack of descriptors.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The shared parts of connections.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) settings: Settings,
}

/// The tasks that accept, and the connections' tasks within them.
pub(crate) struct Accepting {
    loops: JoinSet<()>,
}

impl Accepting {
    /// Starts to accept on all listeners.
    pub(crate) fn start(listeners: Vec<Listener>, connections: &Connections) -> Self {
        let mut loops = JoinSet::new();
        for listener in listeners {
            loops.spawn(accept_all(listener, connections.clone()));
        }
        Self { loops }
    }

    /// Waits until every connection has ended, which they do once the settings mark the daemon as stopping.
    pub(crate) async fn finish(mut self, timeout: Duration) {
        let ended = tokio::time::timeout(timeout, async { while self.loops.join_next().await.is_some() {} });
        if ended.await.is_err() {
            tracing::warn!("some requests were still being answered after {} s", timeout.as_secs());
        }
    }
}

async fn accept_all(listener: Listener, connections: Connections) {
    let mut stopping: watch::Receiver<bool> = connections.settings.stopping.clone();
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            Some(_) = tasks.join_next() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        match accepted {
            Ok(accepted) => accepted.spawn(&mut tasks, connections.clone()),
            Err(error) => {
                tracing::error!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if let Listener::Unix(_, Some(path)) = &listener {
        // Gone already when the directory was cleared: as intended.
        let _ = std::fs::remove_file(path);
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// A connection before its first byte.
enum Accepted {
    Plain(Transport),
    Tls(TcpStream, SocketAddr, Arc<TlsAcceptor>),
}

async fn accept(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Unix(listener, _) => Ok(Accepted::Plain(Transport::Unix(listener.accept().await?.0))),
        Listener::Tcp(listener, acceptor) => {
            let (stream, peer) = listener.accept().await?;
            prepare(&stream);
            Ok(match acceptor {
                None => Accepted::Plain(Transport::Tcp(stream)),
                Some(acceptor) => Accepted::Tls(stream, peer, Arc::clone(acceptor)),
            })
        }
    }
}

impl Accepted {
    /// Gives the connection a task, of no more than its kind needs.
    fn spawn(self, tasks: &mut JoinSet<()>, connections: Connections) {
        let Connections { service, settings } = connections;
        match self {
            Self::Plain(transport) => tasks.spawn(serve(transport, service, settings)),
            Self::Tls(stream, peer, acceptor) => tasks.spawn(async move {
                match Box::pin(shake_hands(&acceptor, stream)).await {
                    Ok(transport) => Box::pin(serve(transport, service, settings)).await,
                    Err(error) => tracing::info!("TLS handshake with {peer} failed: {error}"),
                }
            }),
        };
    }
}

async fn shake_hands(acceptor: &TlsAcceptor, stream: TcpStream) -> io::Result<Transport> {
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
    Ok(Transport::tls(stream))
}

/// Small answers go out at once, and a peer that vanished is noticed in the end.
fn prepare(stream: &TcpStream) {
    // Failures leave a working connection.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_socket_keepalive(stream, true);
    let _ = rustix::net::sockopt::set_tcp_keepidle(stream, PROBE_AFTER);
    let _ = rustix::net::sockopt::set_tcp_keepintvl(stream, PROBE_PAUSE);
    let _ = rustix::net::sockopt::set_tcp_keepcnt(stream, PROBES);
}
