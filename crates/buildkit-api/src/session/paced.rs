//! Reads a connection less often while its client lists a directory: each entry is a message that the client writes by
//! itself, and to be woken for every one takes both sides longer than to read many at once.
//!
//! Meanwhile the kernel is not asked to say when something comes: the client's writes then wake nobody.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as PlainStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Sleep, sleep};

/// The time between two reads: the runtime's shortest.
const PAUSE: Duration = Duration::from_millis(1);
/// Where more than this has come in between there is no pause: the client might have to wait for room in the socket, which
/// takes some two hundred messages.
const MUCH: usize = 16 * 1024;

/// How a connection is read: at once, unless somebody holds a [`Relaxed`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace(Arc<AtomicUsize>);

/// While it is there nobody waits for the next message, only for the many that come.
#[derive(Debug)]
pub(crate) struct Relaxed(Arc<AtomicUsize>);

impl Pace {
    pub(crate) fn relax(&self) -> Relaxed {
        self.0.fetch_add(1, Ordering::Relaxed);
        Relaxed(Arc::clone(&self.0))
    }

    fn is_relaxed(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Relaxed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client's socket.
#[derive(Debug)]
pub(crate) struct PacedStream {
    socket: Socket,
    /// What was read of it before.
    early: Bytes,
    pace: Pace,
    /// What is waited for before the next read.
    pause: Option<Pin<Box<Sleep>>>,
    /// Bytes that have come since the last pause.
    come: usize,
    /// Whether a write waits for room.
    is_writing: bool,
}

#[derive(Debug)]
enum Socket {
    /// The runtime says when something can be read or written.
    Watched(UnixStream),
    Unwatched(PlainStream),
    /// Between the two, or neither could be had.
    Gone,
}

impl Socket {
    /// The socket, watched from now on.
    fn watched(&mut self) -> io::Result<&UnixStream> {
        if let Self::Unwatched(_) = self
            && let Self::Unwatched(stream) = std::mem::replace(self, Self::Gone)
        {
            *self = Self::Watched(UnixStream::from_std(stream)?);
        }
        match self {
            Self::Watched(watched) => Ok(watched),
            Self::Unwatched(_) | Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The socket, not watched from now on.
    fn unwatched(&mut self) -> io::Result<&PlainStream> {
        if let Self::Watched(_) = self
            && let Self::Watched(watched) = std::mem::replace(self, Self::Gone)
        {
            *self = Self::Unwatched(watched.into_std()?);
        }
        match self {
            Self::Unwatched(stream) => Ok(stream),
            Self::Watched(_) | Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl PacedStream {
    /// Takes a socket, and what was read of it already.
    ///
    /// # Errors
    /// When it cannot be made one that never blocks.
    pub(crate) fn new(socket: PlainStream, early: Bytes, pace: Pace) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = Socket::Unwatched(socket);
        Ok(Self { socket, early, pace, pause: None, come: 0, is_writing: false })
    }

    /// Reads without being told that there is something.
    fn poll_read_unwatched(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.socket.unwatched()?.read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    self.come += count;
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.come == 0 || self.come > MUCH {
                        return self.poll_read_watched(context, buffer);
                    }
                    ready!(self.pause.insert(Box::pin(sleep(PAUSE))).as_mut().poll(context));
                    self.end_pause();
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn end_pause(&mut self) {
        self.pause = None;
        self.come = 0;
    }

    fn poll_read_watched(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.socket.watched()?;
        loop {
            ready!(socket.poll_read_ready(context))?;
            match socket.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    self.come = count;
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write_slices(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Socket::Unwatched(socket) = &self.socket {
                let mut socket: &PlainStream = socket;
                match socket.write_vectored(slices) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return Poll::Ready(result),
                }
            }
            // Whoever reads leaves it watched until there is room.
            self.is_writing = true;
            let socket = self.socket.watched()?;
            ready!(socket.poll_write_ready(context))?;
            match socket.try_write_vectored(slices) {
                Err(error) if is_passing(&error) => {}
                result => {
                    self.is_writing = false;
                    return Poll::Ready(result);
                }
            }
        }
    }
}

/// Whether it is to be tried again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl AsyncRead for PacedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early[..length]);
            self.early.advance(length);
            return Poll::Ready(Ok(()));
        }
        let was_paused = match &mut self.pause {
            None => false,
            Some(pause) => {
                ready!(pause.as_mut().poll(context));
                self.end_pause();
                true
            }
        };
        // A client that sends without a pause is read through the runtime, whose budget other tasks have their share of.
        let is_worth_it = was_paused || (self.come > 0 && self.come <= MUCH);
        if is_worth_it && self.pace.is_relaxed() && !self.is_writing {
            return self.poll_read_unwatched(context, buffer);
        }
        self.poll_read_watched(context, buffer)
    }
}

impl AsyncWrite for PacedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_slices(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_slices(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Watched(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Unwatched(socket) => Poll::Ready(socket.shutdown(Shutdown::Write)),
            Socket::Gone => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair(early: &'static [u8]) -> (PacedStream, UnixStream, Pace) {
        let (own, other) = PlainStream::pair().expect("sockets");
        other.set_nonblocking(true).expect("a socket that does not block");
        let pace = Pace::default();
        let paced = PacedStream::new(own, Bytes::from_static(early), pace.clone()).expect("a stream");
        (paced, UnixStream::from_std(other).expect("a stream"), pace)
    }

    #[tokio::test]
    async fn whatever_the_pace_everything_comes_in_order_and_so_does_the_end() {
        let (mut paced, mut other, pace) = pair(b"early ");
        let writer = tokio::spawn(async move {
            for number in 0..2_000_u32 {
                other.write_all(format!("{number} ").as_bytes()).await.expect("written");
                if number % 50 == 0 {
                    tokio::task::yield_now().await;
                }
                if number % 700 == 0 {
                    // Nothing comes for some time.
                    sleep(2 * PAUSE).await;
                }
            }
        });
        let (mut read, mut piece, mut rounds) = (Vec::new(), [0; 64], 0_u32);
        let mut relaxed = None;
        loop {
            rounds += 1;
            if rounds % 40 == 0 {
                relaxed = if relaxed.is_some() { None } else { Some(pace.relax()) };
            }
            let count = paced.read(&mut piece).await.expect("read");
            if count == 0 {
                break;
            }
            read.extend_from_slice(&piece[..count]);
        }
        writer.await.expect("all was written");
        let want: String = (0..2_000_u32).map(|number| format!("{number} ")).collect();
        assert_eq!(String::from_utf8(read).expect("text"), format!("early {want}"));
    }

    #[tokio::test]
    async fn a_write_that_waits_for_room_goes_on_while_little_is_read() {
        let (paced, other, pace) = pair(b"");
        let _relaxed = pace.relax();
        let much: Vec<u8> = (0..=250).cycle().take(2 << 20).collect();
        let (mut paced_read, mut paced_write) = tokio::io::split(paced);
        let (mut other_read, mut other_write) = tokio::io::split(other);
        let (sent, expected) = (much.clone(), much.clone());
        let writing = tokio::spawn(async move {
            paced_write.write_all(&sent).await.expect("written");
            paced_write.shutdown().await.expect("the end");
        });
        let answering = tokio::spawn(async move {
            let (mut received, mut piece) = (Vec::new(), [0; 4096]);
            loop {
                let count = other_read.read(&mut piece).await.expect("read");
                if count == 0 {
                    break;
                }
                received.extend_from_slice(&piece[..count]);
                // A few bytes back for each piece.
                other_write.write_all(b"some").await.expect("written");
            }
            other_write.shutdown().await.expect("the end");
            received
        });
        let mut back = Vec::new();
        paced_read.read_to_end(&mut back).await.expect("all that came back");
        writing.await.expect("all was written");
        assert!(answering.await.expect("all was read") == expected);
        assert!(!back.is_empty() && back.len() % 4 == 0);
    }

    #[tokio::test]
    async fn nobody_is_told_of_what_comes_while_there_is_a_pause() {
        let (mut paced, mut other, pace) = pair(b"");
        let mut piece = [0; 64];
        other.write_all(b"first").await.expect("written");
        assert_eq!(paced.read(&mut piece).await.expect("read"), 5);
        assert!(matches!(paced.socket, Socket::Watched(_)), "one that is not relaxed is watched");
        let relaxed = pace.relax();
        other.write_all(b"second").await.expect("written");
        assert_eq!(paced.read(&mut piece).await.expect("read"), 6);
        assert!(matches!(paced.socket, Socket::Unwatched(_)));
        drop(relaxed);
        other.write_all(b"third").await.expect("written");
        assert_eq!(paced.read(&mut piece).await.expect("read"), 5);
        assert!(matches!(paced.socket, Socket::Watched(_)));
    }
}
