//! Messages on the streams of an HTTP/2 connection, and how connections begin.

use std::future::poll_fn;
use std::path::Path;

use bytes::{BufMut, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How a call ended that failed: code and text.
pub(crate) type Failure = (i32, String);

/// Requests a connection that is no longer HTTP/1.1.
pub(crate) async fn upgraded(socket: &Path, path: &str, fields: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).await.expect("the engine's socket");
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains("Upgrade: h2c\r\n"), "{answer}");
    stream
}

pub(crate) fn frame(message: &impl Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(bytes.len()).expect("a length"));
    frame.put_slice(&bytes);
    frame.freeze()
}

/// Sends bytes; false once the peer takes no more.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> bool {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(Ok(room)) => {
                if stream.send_data(bytes.split_to(room.min(bytes.len())), false).is_err() {
                    return false;
                }
            }
            _ => return false,
        }
    }
    true
}

/// The messages of a stream.
pub(crate) struct Messages {
    body: RecvStream,
    buffer: BytesMut,
}

impl Messages {
    pub(crate) fn new(body: RecvStream) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// The next message; `None` at the end, or once the peer has gone.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Option<M> {
        self.next_bytes().await.map(|bytes| M::decode(bytes).expect("a message"))
    }

    /// The same as it came.
    pub(crate) async fn next_bytes(&mut self) -> Option<Bytes> {
        self.fill(5).await?;
        let length = u32::from_be_bytes(self.buffer[1..5].try_into().expect("four bytes")) as usize;
        self.fill(5 + length).await?;
        Some(self.buffer.split_to(5 + length).freeze().slice(5..))
    }

    async fn fill(&mut self, length: usize) -> Option<()> {
        while self.buffer.len() < length {
            let piece = self.body.data().await?.ok()?;
            self.body.flow_control().release_capacity(piece.len()).expect("capacity");
            self.buffer.extend_from_slice(&piece);
        }
        Some(())
    }

    /// How the call ended.
    pub(crate) async fn end(&mut self) -> Result<(), Failure> {
        let trailers = match self.body.trailers().await {
            Ok(trailers) => trailers.unwrap_or_default(),
            Err(error) => return Err((-1, error.to_string())),
        };
        let text = |name: &str| trailers.get(name).and_then(|text| text.to_str().ok()).unwrap_or_default();
        match text("grpc-status").parse() {
            Ok(0) => Ok(()),
            Ok(code) => Err((code, text("grpc-message").to_owned())),
            Err(_) => Err((-1, "no status".to_owned())),
        }
    }
}
