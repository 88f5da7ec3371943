//! The byte stream under a connection: a unix socket, TCP, or TLS over TCP, read and written through `&self`.
//!
//! Reading and writing need no `&mut`, so that a handler can read a request's body while it writes the answer.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// Bytes that one read of a TLS stream takes at most: a record's size.
const TLS_PIECE: usize = 16 * 1024;
/// The size of one read for a head. Bytes behind the head belong to the body or the next request.
const LITTLE: usize = 8 * 1024;
/// How often a half-closed unix connection is checked for its full end.
const HALF_CLOSED_CHECK: Duration = Duration::from_millis(250);

/// A client's connection.
#[derive(Debug)]
pub enum Transport {
    /// A unix socket.
    Unix(UnixStream),
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP; its state machine needs exclusive access for each step.
    Tls(Box<Mutex<TlsStream<TcpStream>>>),
}

impl Transport {
    /// A connection whose handshake is done.
    pub fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(Mutex::new(stream)))
    }

    /// Whether the client is authenticated: by the permissions of a unix socket, or its certificate.
    pub(super) fn is_client_known(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(_) => false,
            Self::Tls(stream) => lock(stream).get_ref().1.peer_certificates().is_some(),
        }
    }

    /// Waits until a read would give something, holding no buffer meanwhile.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.readable().await,
            Self::Tcp(stream) => stream.readable().await,
            Self::Tls(_) => Ok(()),
        }
    }

    /// Reads into the buffer's spare room (at least `room` bytes of it); 0 is the end.
    pub(super) async fn read(&self, buffer: &mut BytesMut, room: usize) -> io::Result<usize> {
        loop {
            let result = match self {
                Self::Unix(stream) => {
                    stream.readable().await?;
                    buffer.reserve(room);
                    stream.try_read_buf(buffer)
                }
                Self::Tcp(stream) => {
                    stream.readable().await?;
                    buffer.reserve(room);
                    stream.try_read_buf(buffer)
                }
                Self::Tls(stream) => return poll_fn(|context| read_tls(stream, context, buffer)).await,
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Reads a little, by way of the stack: the buffer grows by what came and no more, so that many
    /// connections that are idle after a request leave no holes in the heap.
    pub(super) async fn read_little(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        loop {
            let result = match self {
                Self::Unix(stream) => {
                    stream.readable().await?;
                    read_piece(|piece| stream.try_read(piece), buffer)
                }
                Self::Tcp(stream) => {
                    stream.readable().await?;
                    read_piece(|piece| stream.try_read(piece), buffer)
                }
                Self::Tls(stream) => return poll_fn(|context| read_tls(stream, context, buffer)).await,
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Writes all of these slices, in order.
    pub(super) async fn write_all(&self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut rest = slices;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = poll_fn(|context| self.poll_write(context, rest)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, written);
        }
        self.flush().await
    }

    async fn flush(&self) -> io::Result<()> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => Ok(()),
            Self::Tls(stream) => poll_fn(|context| Pin::new(&mut *lock(stream)).poll_flush(context)).await,
        }
    }

    /// Shuts down the sending direction.
    pub(super) async fn close_write(&self) -> io::Result<()> {
        poll_fn(|context| self.poll_close_write(context)).await
    }

    fn poll_close_write(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Unix(stream) => {
                Poll::Ready(rustix::net::shutdown(stream, rustix::net::Shutdown::Write).map_err(Into::into))
            }
            Self::Tcp(stream) => {
                Poll::Ready(rustix::net::shutdown(stream, rustix::net::Shutdown::Write).map_err(Into::into))
            }
            Self::Tls(stream) => Pin::new(&mut *lock(stream)).poll_shutdown(context),
        }
    }

    /// Waits until the client is gone.
    ///
    /// Over TCP a client that only closed its sending side cannot be distinguished from a gone one; over a
    /// unix socket the two are distinguished, so that `printf … | nc -U` gets its response.
    pub async fn closed(&self) {
        match self {
            Self::Unix(stream) => {
                let _ = stream.ready(Interest::PRIORITY).await;
                while !fully_closed(stream).await {
                    tokio::time::sleep(HALF_CLOSED_CHECK).await;
                }
            }
            Self::Tcp(stream) => drop(stream.ready(Interest::PRIORITY).await),
            Self::Tls(stream) => {
                while !tls_closed(stream) {
                    tokio::time::sleep(HALF_CLOSED_CHECK).await;
                }
            }
        }
    }

    /// Waits until a client that closed its direction is gone altogether, as far as the kernel reports: over a network
    /// that shows only when something is sent to it, or when it does not answer the kernel's probes.
    pub(super) async fn vanished(&self) {
        match self {
            Self::Unix(_) => self.closed().await,
            Self::Tcp(stream) => drop(stream.ready(Interest::ERROR).await),
            Self::Tls(_) => std::future::pending().await,
        }
    }

    /// Writes bytes that no read with room for them takes together with what follows; only a unix socket can do that.
    pub(super) async fn write_apart(&self, bytes: &[u8]) -> io::Result<()> {
        let Self::Unix(stream) = self else { return self.write_all(&mut [IoSlice::new(bytes)]).await };
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = stream.async_io(Interest::WRITABLE, || sys::barrier::send_apart(stream, rest)).await?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// A further descriptor of the plain socket; `None` for TLS, whose bytes must be ciphered here.
    pub(super) fn descriptor(&self) -> io::Result<Option<OwnedFd>> {
        match self {
            Self::Unix(stream) => stream.as_fd().try_clone_to_owned().map(Some),
            Self::Tcp(stream) => stream.as_fd().try_clone_to_owned().map(Some),
            Self::Tls(_) => Ok(None),
        }
    }

    fn poll_read(&self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let result = match self {
                Self::Unix(stream) => {
                    ready!(stream.poll_read_ready(context))?;
                    stream.try_read(buffer.initialize_unfilled())
                }
                Self::Tcp(stream) => {
                    ready!(stream.poll_read_ready(context))?;
                    stream.try_read(buffer.initialize_unfilled())
                }
                Self::Tls(stream) => return Pin::new(&mut *lock(stream)).poll_read(context, buffer),
            };
            match result {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write(&self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let result = match self {
                Self::Unix(stream) => {
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_write_vectored(slices)
                }
                Self::Tcp(stream) => {
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_write_vectored(slices)
                }
                Self::Tls(stream) => {
                    return Pin::new(&mut *lock(stream)).poll_write_vectored(context, slices);
                }
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_piece(read: impl FnOnce(&mut [u8]) -> io::Result<usize>, buffer: &mut BytesMut) -> io::Result<usize> {
    let mut piece = [0; LITTLE];
    let count = read(&mut piece)?;
    buffer.extend_from_slice(&piece[..count]);
    Ok(count)
}

fn read_tls(
    stream: &Mutex<TlsStream<TcpStream>>,
    context: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let mut piece = [0; TLS_PIECE];
    let mut piece = ReadBuf::new(&mut piece);
    match ready!(Pin::new(&mut *lock(stream)).poll_read(context, &mut piece)) {
        Ok(()) => {
            buffer.extend_from_slice(piece.filled());
            Poll::Ready(Ok(piece.filled().len()))
        }
        // A peer that leaves without close_notify ends the stream as one that sends it.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
        Err(error) => Poll::Ready(Err(error)),
    }
}

/// Whether the TCP connection under a TLS stream has ended, checked without waiting.
fn tls_closed(stream: &Mutex<TlsStream<TcpStream>>) -> bool {
    let guard = lock(stream);
    let readiness = std::pin::pin!(guard.get_ref().0.ready(Interest::PRIORITY));
    readiness.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Whether both directions of a unix connection are over.
async fn fully_closed(stream: &UnixStream) -> bool {
    match stream.ready(Interest::WRITABLE).await {
        Ok(ready) => ready.is_write_closed(),
        Err(_) => true,
    }
}

/// A transport as one object that reads (what was read too far first) and writes.
#[derive(Debug)]
pub struct TransportStream {
    transport: Arc<Transport>,
    early: Bytes,
}

impl TransportStream {
    pub(super) const fn new(transport: Arc<Transport>, early: Bytes) -> Self {
        Self { transport, early }
    }

    /// A further descriptor of a unix socket, with what was read too far, for whoever reads it from now on in the place of
    /// this stream, which is to be dropped; `None` for anything else.
    ///
    /// # Errors
    /// When there can be no further descriptor.
    pub fn unix_socket(&self) -> io::Result<Option<(std::os::unix::net::UnixStream, Bytes)>> {
        let Transport::Unix(stream) = &*self.transport else { return Ok(None) };
        let socket = stream.as_fd().try_clone_to_owned()?;
        Ok(Some((socket.into(), self.early.clone())))
    }
}

impl AsyncRead for TransportStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return self.transport.poll_read(context, buffer);
        }
        let length = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early[..length]);
        self.early.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TransportStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.transport.poll_write(context, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.transport {
            Transport::Unix(_) | Transport::Tcp(_) => Poll::Ready(Ok(())),
            Transport::Tls(stream) => Pin::new(&mut *lock(stream)).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_close_write(context)
    }
}
