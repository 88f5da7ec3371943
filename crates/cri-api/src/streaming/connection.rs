//! A client's connection, and a watch of it that notices the client's leave while nothing is read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use engine::sys::tcp_peer::{has_closed, ipv4_pair};
use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::stream::LAST_WORDS;

/// How often the connection of a client whose data is not read is polled for its end.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A connection.
#[derive(Debug)]
pub(super) struct ClientConnection(Arc<TcpStream>);

/// Watches a connection.
#[derive(Debug, Clone)]
pub(super) struct ClientWatch(Arc<TcpStream>);

impl ClientConnection {
    /// Takes a connection.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    /// A watch of it.
    pub(super) fn watch(&self) -> ClientWatch {
        ClientWatch(Arc::clone(&self.0))
    }
}

impl ClientWatch {
    /// Waits until the client has left and the container had time to take what it sent.
    pub(super) async fn gone(self) {
        // Alone of all interests it ends at the client's end and not when there is something to read.
        let arrived = async { drop(self.0.ready(Interest::PRIORITY).await) };
        tokio::select! {
            () = arrived => {}
            () = self.closed_behind_window() => {}
        }
        tokio::time::sleep(LAST_WORDS).await;
    }

    /// Waits for an end that does not arrive, because the client's earlier data is not read. The client is on this host:
    /// the server listens on the loopback interface.
    async fn closed_behind_window(&self) {
        let addresses = (self.0.local_addr(), self.0.peer_addr());
        let (Ok(local), Ok(peer)) = addresses else { return };
        let Some((local, peer)) = ipv4_pair(local, peer) else { return std::future::pending().await };
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            match has_closed(local, peer) {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!("the client of a stream cannot be checked: {error}");
                    return std::future::pending().await;
                }
            }
        }
    }
}

impl AsyncRead for ClientConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for ClientConnection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&self.0, Shutdown::Write).map_err(io::Error::from))
    }
}
