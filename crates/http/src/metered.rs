//! Streams of messages that arrive in parts: the parts of incomplete messages share one memory budget.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};

use sys::memory_budget::{Budget, Reservation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The memory limit of all incomplete messages together.
const ALL_LIMIT: usize = 64 << 20;
/// Bytes of each stream that are not counted: what is read ahead, and short messages however many long ones are unfinished.
const UNCOUNTED: usize = 256 << 10;

/// The length of a client's control frame without its payload: its kind, its length, its mask, RFC 6455,
/// section 5.2.
const CONTROL_HEAD: usize = 6;

static UNFINISHED: LazyLock<Arc<Budget>> = LazyLock::new(|| Arc::new(Budget::new(ALL_LIMIT, UNCOUNTED)));

/// A stream of which is counted what is read. Reading fails while the unfinished messages of all streams hold too much.
#[derive(Debug)]
pub struct Metered<S> {
    stream: S,
    meter: Meter,
}

/// Counts unfinished bytes of a stream; the reader of messages reports each complete one to it.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Mutex<Share>>);

#[derive(Debug)]
struct Share {
    unfinished: usize,
    reservation: Reservation,
}

impl<S> Metered<S> {
    /// Counts a stream; returns its meter.
    #[must_use]
    pub fn new(stream: S) -> (Self, Meter) {
        let share = Share { unfinished: 0, reservation: Reservation::new(Arc::clone(&UNFINISHED)) };
        let meter = Meter(Arc::new(Mutex::new(share)));
        (Self { stream, meter: meter.clone() }, meter)
    }
}

impl Meter {
    /// A message has been taken: what was read is not unfinished any more.
    pub fn finish(&self) {
        self.with(|share| {
            share.unfinished = 0;
            share.reservation.release();
        });
    }

    /// A websocket's control frame with so many bytes was taken, which may come between the parts of a message.
    pub fn finish_control(&self, payload: usize) {
        self.with(|share| share.unfinished = share.unfinished.saturating_sub(CONTROL_HEAD + payload));
    }

    fn add(&self, bytes: usize) -> io::Result<()> {
        self.with(|share| {
            share.unfinished = share.unfinished.saturating_add(bytes);
            share.reservation.raise_to(share.unfinished).map_err(io::Error::other)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Share) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(self.meter.add(buffer.filled().len() - before)),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use sys::memory_budget::Exhausted;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Reads so many bytes of a stream; the bytes that were not read when reading failed.
    async fn read(stream: &mut Metered<tokio::io::Repeat>, bytes: usize) -> Result<(), usize> {
        let mut piece = vec![0; 64 << 10];
        let mut left = bytes;
        while left > 0 {
            let length = left.min(piece.len());
            match stream.read(&mut piece[..length]).await {
                Ok(count) => left -= count,
                Err(error) => {
                    assert!(error.get_ref().is_some_and(|cause| cause.is::<Exhausted>()), "{error}");
                    return Err(left);
                }
            }
        }
        Ok(())
    }

    #[tokio::test]
    async fn unfinished_messages_share_a_budget() {
        let new = || Metered::new(tokio::io::repeat(0));
        let ((mut first, meter), (mut second, other)) = (new(), new());
        read(&mut first, ALL_LIMIT / 2).await.expect("half");
        meter.finish_control(125);
        let left = read(&mut second, ALL_LIMIT).await.expect_err("more than there is");
        assert!(left > 0 && left < ALL_LIMIT, "{left}");
        other.finish();
        meter.finish();
        read(&mut second, ALL_LIMIT).await.expect("all");
        let (mut short, _) = new();
        read(&mut short, UNCOUNTED).await.expect("what is not counted");
        drop((first, second, meter, other));
        read(&mut short, ALL_LIMIT).await.expect("what the others held");
    }
}
