//! A connection that is no longer HTTP: its descriptor for the shim, or a proxied pair where it must be ciphered.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{Transport, TransportStream};

/// Bytes read behind the head that are handed on as a value; more goes through a proxied pair.
const EARLY_BYTES: usize = 16 * 1024;
/// One read of the proxy.
const PROXY_PIECE: usize = 64 * 1024;

/// The connection and what was read beyond the request.
#[derive(Debug)]
pub(crate) struct Hijacked {
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
    /// other end this process copies to and from the client until both directions have ended.
    pub(crate) fn into_descriptor(self) -> io::Result<(OwnedFd, Vec<u8>)> {
        if self.early.len() <= EARLY_BYTES
            && let Some(descriptor) = self.transport.descriptor()?
        {
            return Ok((descriptor, self.early.to_vec()));
        }
        let (ours, theirs) = UnixStream::pair()?;
        let client = self.into_stream();
        tokio::spawn(async move {
            let (read, write) = tokio::io::split(client);
            let (local_read, local_write) = ours.into_split();
            tokio::join!(copy(read, local_write), copy(local_read, write));
        });
        Ok((theirs.into_std()?.into(), Vec::new()))
    }

    /// The connection as a stream of this process.
    pub(crate) fn into_stream(self) -> TransportStream {
        TransportStream::new(self.transport, self.early)
    }
}

/// Copies until the end, which it passes on; a broken side ends the direction.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut piece = vec![0; PROXY_PIECE];
    loop {
        match from.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                if to.write_all(&piece[..count]).await.is_err() || to.flush().await.is_err() {
                    break;
                }
            }
        }
    }
    let _ = to.shutdown().await;
}
