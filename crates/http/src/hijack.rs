//! A connection that is no longer HTTP: its descriptor for the shim, or a proxied pair where it must be ciphered.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{Transport, TransportStream};

/// Bytes read behind the head that are passed on as a value; more goes through a proxied pair.
const EARLY_BYTES: usize = 16 * 1024;
/// One read of the proxy.
const PROXY_PIECE: usize = 64 * 1024;

/// The connection and what was read beyond the request.
#[derive(Debug)]
pub struct Hijacked {
    transport: Arc<Transport>,
    early: Bytes,
}

impl Hijacked {
    pub(super) const fn new(transport: Arc<Transport>, early: Bytes) -> Self {
        Self { transport, early }
    }

    /// A descriptor that carries the client's bytes both ways, and the bytes that precede them.
    ///
    /// For plain sockets it is the client's own connection; for TLS one end of a socket pair whose
    /// other end this process copies to and from the client until the container's side ends or the client is gone.
    pub fn into_descriptor(self) -> io::Result<(OwnedFd, Vec<u8>)> {
        if self.early.len() <= EARLY_BYTES
            && let Some(descriptor) = self.transport.descriptor()?
        {
            return Ok((descriptor, self.early.to_vec()));
        }
        let (ours, theirs) = UnixStream::pair()?;
        let transport = Arc::clone(&self.transport);
        let client = self.into_stream();
        tokio::spawn(async move {
            let (read, write) = tokio::io::split(client);
            let (local_read, local_write) = ours.into_split();
            let inward = async {
                if copy(read, local_write).await.is_ok() {
                    // It only closed its direction and still listens.
                    transport.vanished().await;
                }
            };
            tokio::select! {
                // The container's side ends the session, and so does a client that is gone.
                _ = copy(local_read, write) => {}
                () = inward => {}
            }
        });
        Ok((theirs.into_std()?.into(), Vec::new()))
    }

    /// The connection as a stream of this process.
    pub fn into_stream(self) -> TransportStream {
        TransportStream::new(self.transport, self.early)
    }
}

/// Copies until the end, which it passes on. An error means that the side that is read is broken.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut piece = vec![0; PROXY_PIECE];
    loop {
        let count = from.read(&mut piece).await?;
        if count == 0 || to.write_all(&piece[..count]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    // A peer that does not read needs no end of the stream either.
    let _ = to.shutdown().await;
    Ok(())
}
