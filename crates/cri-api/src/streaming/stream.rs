//! Streams of a client, whatever carries them: bytes in, bytes out, each side with its own end.

use std::collections::BTreeMap;
use std::io;

use tokio::sync::mpsc;

/// Frames that wait in each queue before those who fill it wait.
pub(super) const WAITING_FRAMES: usize = 16;
/// Bytes of one frame that is sent.
const PIECE: usize = 32 << 10;

/// What a client says of a stream, by names in small letters.
pub(super) type Headers = BTreeMap<String, String>;

/// The streams that a client opens, in order. It ends when the client leaves.
pub(super) type Accepted = mpsc::Receiver<Stream>;

/// Makes a frame of bytes for the stream of this number, or of its end; nothing where the carrier has no such frame.
pub(super) type Encode = fn(u32, &[u8], End) -> Option<Vec<u8>>;

/// Whether a frame is a stream's last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// More may follow.
    Open,
    /// Nothing follows.
    Last,
}

/// A stream that a client has opened.
pub(super) struct Stream {
    pub(super) number: u32,
    pub(super) headers: Headers,
    pub(super) incoming: mpsc::Receiver<Vec<u8>>,
    /// Frames on their way to the client, of all streams.
    pub(super) outgoing: mpsc::Sender<Vec<u8>>,
    pub(super) encode: Encode,
}

impl Stream {
    /// The value of a header; empty where it has none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Sends bytes; an error when the connection has ended.
    pub(super) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE) {
            self.queue((self.encode)(self.number, piece, End::Open)).await?;
        }
        Ok(())
    }

    /// Sends nothing more on this stream.
    pub(super) async fn finish(&self) -> io::Result<()> {
        self.queue((self.encode)(self.number, &[], End::Last)).await
    }

    /// The two directions apart: the bytes of the client, and the way to it.
    pub(super) fn split(self) -> (mpsc::Receiver<Vec<u8>>, Self) {
        let (_, nothing) = mpsc::channel(1);
        let Self { number, headers, incoming, outgoing, encode } = self;
        (incoming, Self { number, headers, incoming: nothing, outgoing, encode })
    }

    async fn queue(&self, frame: Option<Vec<u8>>) -> io::Result<()> {
        match frame {
            Some(frame) => self.outgoing.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe.into()),
            None => Ok(()),
        }
    }
}
