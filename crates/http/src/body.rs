//! A request's body, read as it arrives and no faster than it is taken.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sys::memory_budget::Reservation;

use super::Transport;
use super::chunked::{ChunkError, ChunkedDecoder, Decoded};
use super::head::Framing;

/// Room for one read of a body.
const READ_SIZE: usize = 128 * 1024;
/// Longest wait for the next part of a body that is collected in memory.
const GATHER_TIMEOUT: Duration = Duration::from_secs(60);

/// A body that could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client left or its connection broke.
    #[error("the client left before the request body was complete")]
    Disconnected,
    /// The connection failed.
    #[error("cannot read the request body: {0}")]
    Read(#[from] io::Error),
    /// The chunked coding is broken.
    #[error("cannot read the request body: {0}")]
    Chunked(#[from] ChunkError),
    /// It is larger than the endpoint takes.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    /// All connections together hold too much of unfinished requests.
    #[error("too many requests are unfinished, try again")]
    Busy,
    /// It stalled.
    #[error("the request body did not arrive in time")]
    Timeout,
}

#[derive(Debug)]
enum State {
    Length(u64),
    Chunked(ChunkedDecoder),
    End,
    Broken,
}

/// The body of one request. It must be read to its end before the connection can serve another.
#[derive(Debug)]
pub struct Body {
    transport: Arc<Transport>,
    buffer: BytesMut,
    state: State,
    declared: Framing,
    expects_continue: bool,
    reservation: Reservation,
}

impl Body {
    pub(super) fn new(
        transport: Arc<Transport>,
        (buffer, reservation): (BytesMut, Reservation),
        framing: Framing,
        expects_continue: bool,
    ) -> Self {
        let state = match framing {
            Framing::None => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(ChunkedDecoder::new()),
        };
        Self { transport, buffer, state, declared: framing, expects_continue, reservation }
    }

    /// Whether the head announced a body, be it an empty chunked one.
    pub fn is_announced(&self) -> bool {
        self.declared != Framing::None
    }

    /// The next part, never empty; `None` at the end.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            match self.take_buffered() {
                Ok(Decoded::Data(data)) => return Ok(Some(data)),
                Ok(Decoded::End) => return Ok(None),
                Ok(Decoded::NeedMore) => {}
                Err(error) => {
                    self.state = State::Broken;
                    return Err(error);
                }
            }
            self.invite().await?;
            if self.transport.read(&mut self.buffer, READ_SIZE).await? == 0 {
                self.state = State::Broken;
                return Err(BodyError::Disconnected);
            }
        }
    }

    /// The whole body, when it is no larger than `maximum` and keeps arriving.
    pub async fn gather(&mut self, maximum: usize) -> Result<Bytes, BodyError> {
        let mut gathered = BytesMut::new();
        let before = self.reservation.size();
        loop {
            let next = tokio::time::timeout(GATHER_TIMEOUT, self.next()).await;
            let Some(piece) = next.map_err(|_| BodyError::Timeout)?? else { return Ok(gathered.freeze()) };
            let length = gathered.len() + piece.len();
            if length > maximum {
                return Err(BodyError::TooLarge(maximum));
            }
            if length > gathered.capacity() {
                // Doubled each time, and counted before it is taken.
                let capacity = length.max(gathered.capacity() * 2).min(maximum);
                self.reservation.raise_to(before + capacity).map_err(|_| BodyError::Busy)?;
                gathered.reserve(capacity - gathered.len());
            }
            gathered.extend_from_slice(&piece);
        }
    }

    fn take_buffered(&mut self) -> Result<Decoded, BodyError> {
        match &mut self.state {
            State::End | State::Length(0) => Ok(Decoded::End),
            State::Broken => Err(BodyError::Disconnected),
            State::Length(_) if self.buffer.is_empty() => Ok(Decoded::NeedMore),
            State::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                *left -= length as u64;
                Ok(Decoded::Data(self.buffer.split_to(length).freeze()))
            }
            State::Chunked(decoder) => Ok(decoder.decode(&mut self.buffer)?),
        }
    }

    /// Sends `100 Continue` to a client that waits for it.
    async fn invite(&mut self) -> io::Result<()> {
        if self.expects_continue {
            self.expects_continue = false;
            let line = IoSlice::new(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.transport.write_all(&mut [line]).await?;
        }
        Ok(())
    }

    /// Notes that the final answer has begun: from now on no `100 Continue` may be sent.
    pub(super) const fn answer_has_begun(&mut self) {
        if self.expects_continue {
            // It is unknown whether the client sends the body now.
            self.expects_continue = false;
            self.state = State::Broken;
        }
    }

    /// Skips the part of the body that has arrived; false when more is to come or it is malformed.
    ///
    /// A response never waits for a body that the handler does not read.
    pub(super) async fn skip_arrived(&mut self, maximum: usize) -> bool {
        tokio::time::timeout(Duration::ZERO, self.skip(maximum)).await.unwrap_or(false)
    }

    async fn skip(&mut self, maximum: usize) -> bool {
        let mut skipped = 0;
        while skipped <= maximum {
            match self.next().await {
                Ok(None) => return true,
                Ok(Some(piece)) => skipped += piece.len(),
                Err(_) => return false,
            }
        }
        false
    }

    /// Takes what was read beyond the request, for a connection that is no longer HTTP.
    pub(super) fn take_rest(&mut self) -> Bytes {
        self.state = State::Broken;
        std::mem::take(&mut self.buffer).freeze()
    }

    /// The bytes that were read beyond the body.
    pub(super) fn into_rest(self) -> BytesMut {
        self.buffer
    }
}
