//! Messages in the body of a call: five bytes of head, then the message; and the flow control under them.

use std::future::poll_fn;
use std::sync::{Arc, LazyLock};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use engine::sys::memory_budget::{Budget, Reservation};
use h2::{RecvStream, SendStream};
use prost::Message;

use super::status::{Code, Status};

/// The longest message that is taken: the limit that BuildKit's own peers agree on.
pub(super) const MESSAGE_LIMIT: usize = 16 << 20;
/// The memory limit of all incomplete messages together.
const ALL_LIMIT: usize = 64 << 20;
/// Bytes of each that are not counted, so that small messages are taken however many large ones are unfinished.
const UNCOUNTED: usize = 64 << 10;
/// Whether it is compressed, and four bytes of length.
const HEAD: usize = 5;

static UNFINISHED: LazyLock<Arc<Budget>> = LazyLock::new(|| Arc::new(Budget::new(ALL_LIMIT, UNCOUNTED)));

/// Puts a message into a frame.
pub(super) fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(HEAD + length);
    frame.put_u8(0);
    // What is sent is pieced by its senders, far below this.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put(message.encode_to_vec().as_slice());
    frame.freeze()
}

/// Sends bytes as fast as the peer takes them.
///
/// # Errors
/// [`Status`] when the peer has reset the stream or is gone.
pub(super) async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), Status> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let gone = || Status::new(Code::Unavailable, "the peer has closed the stream");
        let room = poll_fn(|context| stream.poll_capacity(context)).await.ok_or_else(gone)??;
        stream.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    Ok(())
}

/// The messages that come in on a stream.
#[derive(Debug)]
pub(crate) struct Messages {
    body: RecvStream,
    buffer: BytesMut,
    /// For the buffer.
    share: Reservation,
}

impl Messages {
    pub(super) fn new(body: RecvStream) -> Self {
        Self { body, buffer: BytesMut::new(), share: Reservation::new(Arc::clone(&UNFINISHED)) }
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// [`Status`] when it is longer than [`MESSAGE_LIMIT`], cut off, compressed or malformed, the peer is gone, or too much of
    /// other messages waits for its end.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        let Some(bytes) = self.next_bytes().await? else { return Ok(None) };
        let malformed = |error| Status::invalid(format!("malformed message: {error}"));
        M::decode(bytes).map(Some).map_err(malformed)
    }

    /// The only message of a call that has one.
    ///
    /// # Errors
    /// [`Status`] as for [`Self::next`], and when there is no message.
    pub(crate) async fn only<M: Message + Default>(&mut self) -> Result<M, Status> {
        self.next().await?.ok_or_else(|| Status::invalid("the call has no message"))
    }

    /// The fields behind the last message.
    pub(super) async fn trailers(&mut self) -> Result<Option<http::HeaderMap>, Status> {
        Ok(self.body.trailers().await?)
    }

    async fn next_bytes(&mut self) -> Result<Option<Bytes>, Status> {
        if !self.fill(HEAD).await? {
            return match self.buffer.is_empty() {
                true => Ok(None),
                false => Err(Status::invalid("the stream ends within the head of a message")),
            };
        }
        let mut head = self.buffer.split_to(HEAD);
        if head.get_u8() != 0 {
            return Err(Status::unimplemented("compressed messages are not supported"));
        }
        let length = head.get_u32() as usize;
        if length > MESSAGE_LIMIT {
            let text = format!("a message of {length} bytes is longer than {MESSAGE_LIMIT}");
            return Err(Status::new(Code::ResourceExhausted, text));
        }
        if !self.fill(length).await? {
            return Err(Status::invalid("the stream ends within a message"));
        }
        let message = self.buffer.split_to(length).freeze();
        self.share.release();
        Ok(Some(message))
    }

    /// Reads until so many bytes are there; whether they came.
    async fn fill(&mut self, length: usize) -> Result<bool, Status> {
        while self.buffer.len() < length {
            let Some(piece) = self.body.data().await else { return Ok(false) };
            let piece = piece?;
            let exhausted = |_| {
                let text = "too many messages are unfinished, try again";
                Status::new(Code::ResourceExhausted, text)
            };
            self.share.raise_to(self.buffer.len() + piece.len()).map_err(exhausted)?;
            self.body.flow_control().release_capacity(piece.len())?;
            self.buffer.extend_from_slice(&piece);
        }
        Ok(true)
    }
}
