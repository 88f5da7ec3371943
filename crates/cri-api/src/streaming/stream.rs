//! Streams of a client, whatever carries them: bytes in, bytes out, each side with its own end.

use std::collections::BTreeMap;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// Chunks in each queue before its writers wait.
pub(super) const WAITING_PIECES: usize = 16;
/// Bytes of one chunk, either way.
pub(super) const PIECE: usize = 32 << 10;
/// Bytes of a client that wait in all queues of one connection together.
const WAITING_BYTES: usize = 1 << 20;
/// How long a container may take what a client sent that has left.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);

/// The header fields of a stream, by names in small letters.
pub(super) type Headers = BTreeMap<String, String>;

/// The streams that a client opens, in order. It ends when the client leaves.
pub(super) type Accepted = mpsc::Receiver<Stream>;

/// Encodes bytes for the stream of this number, or its end, as a frame; `None` where the carrier has no such frame.
pub(super) type Encode = fn(u32, &[u8], End) -> Option<Vec<u8>>;

/// Whether a frame is a stream's last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// More may follow.
    Open,
    /// Nothing follows.
    Last,
}

/// Bytes of a client, with their share of what its connection may hold until they are dropped.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    _share: OwnedSemaphorePermit,
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Where a connection's reader puts the bytes of one stream.
pub(super) type Queue = mpsc::Sender<Piece>;

/// The state that the reader of a connection shares with the connection's streams.
pub(super) struct Intake {
    room: Arc<Semaphore>,
    /// Dropped with the reader, which its watchers see.
    presence: watch::Sender<()>,
}

impl Intake {
    /// Holds nothing yet.
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(WAITING_BYTES)), presence: watch::channel(()).0 }
    }

    /// A stream with the queue of its outgoing frames, and that of its input.
    pub(super) fn open(
        &self,
        (number, headers): (u32, Headers),
        (outgoing, encode): (mpsc::Sender<Vec<u8>>, Encode),
    ) -> (Queue, Stream) {
        let (queue, incoming) = mpsc::channel(WAITING_PIECES);
        let departure = Departure(self.presence.subscribe());
        (queue, Stream { number, headers, incoming, outgoing, encode, departure })
    }

    /// Puts bytes into a queue in chunks, as there is room. Once the receiver is gone they are thrown away.
    ///
    /// # Errors
    /// The client has left (`gone`) and what it sent is not taken.
    pub(super) async fn pass(
        &self,
        queue: &Queue,
        bytes: &[u8],
        gone: &mut (impl Future<Output = ()> + Unpin),
    ) -> io::Result<()> {
        for piece in bytes.chunks(PIECE) {
            let passing = async {
                let size = u32::try_from(piece.len()).unwrap_or(u32::MAX);
                if let Ok(share) = Arc::clone(&self.room).acquire_many_owned(size).await {
                    let _ = queue.send(Piece { bytes: piece.to_vec(), _share: share }).await;
                }
            };
            tokio::select! {
                biased;
                () = passing => {}
                () = &mut *gone => return Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
        Ok(())
    }
}

/// A watch that ends when the client has left.
#[derive(Debug, Clone)]
pub(super) struct Departure(watch::Receiver<()>);

impl Departure {
    /// Waits until the client has left.
    pub(super) async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }

    /// Waits until the client has left and the container had time to take what it sent.
    pub(super) async fn wait_for_last_words(self) {
        self.wait().await;
        tokio::time::sleep(LAST_WORDS).await;
    }
}

/// A stream that a client has opened.
pub(super) struct Stream {
    number: u32,
    headers: Headers,
    incoming: mpsc::Receiver<Piece>,
    /// Frames on their way to the client, of all streams.
    outgoing: mpsc::Sender<Vec<u8>>,
    encode: Encode,
    departure: Departure,
}

impl Stream {
    /// The value of a header; empty where it has none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A watch of the client.
    pub(super) fn departure(&self) -> Departure {
        self.departure.clone()
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
    pub(super) fn split(self) -> (mpsc::Receiver<Piece>, Self) {
        let (_, nothing) = mpsc::channel(1);
        let incoming = self.incoming;
        (incoming, Self { incoming: nothing, ..self })
    }

    async fn queue(&self, frame: Option<Vec<u8>>) -> io::Result<()> {
        match frame {
            Some(frame) => self.outgoing.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe.into()),
            None => Ok(()),
        }
    }
}
