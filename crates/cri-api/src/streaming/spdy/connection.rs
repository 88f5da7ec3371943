//! One connection: the client opens streams, both sides write to them.
//!
//! ```text
//! reader ──frames──▶ each stream's queue ──▶ the receiver of Stream::split
//! writer ◀─────────── one queue of frames ◀─ Stream::send, Stream::finish
//! ```

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::frame::{self, Frame, Frames};
use super::headers::{Reader, Writer};
use crate::streaming::stream::{Accepted, End, Headers, Intake, Queue, Stream, WAITING_PIECES};

/// Streams that a client may have open at once.
const STREAM_LIMIT: usize = 1024;

/// Serves a connection; returns the streams that the client opens. It ends when the client leaves, or when the receiver
/// of streams and all of them are dropped; `gone` ends when the client has left and its data is not waited for any more.
pub(crate) fn accept<C>(connection: C, gone: impl Future<Output = ()> + Send + 'static) -> Accepted
where
    C: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(connection);
    let (outgoing, frames) = mpsc::channel(WAITING_PIECES);
    let (accepted, streams) = mpsc::channel(WAITING_PIECES);
    tokio::spawn(write_all(write, frames));
    tokio::spawn(async move {
        let (open, intake, names) = (HashMap::new(), Intake::new(), Reader::new());
        let reader = Connection { accepted, outgoing, open, intake, names };
        if let Err(error) = reader.read_all(read, gone).await {
            tracing::debug!("a connection of streams ended: {error}");
        }
    });
    streams
}

/// A frame of data.
fn encode(number: u32, bytes: &[u8], end: End) -> Option<Vec<u8>> {
    Some(frame::data(number, bytes, end == End::Last))
}

/// Writes frames until all senders are gone, then sends the end of the session.
async fn write_all<C: AsyncWrite>(mut connection: WriteHalf<C>, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if connection.write_all(&frame).await.is_err() || connection.flush().await.is_err() {
            return;
        }
    }
    let _ = connection.shutdown().await;
}

/// The reader of a connection.
struct Connection {
    accepted: mpsc::Sender<Stream>,
    outgoing: mpsc::Sender<Vec<u8>>,
    /// The open streams whose client still sends.
    open: HashMap<u32, Queue>,
    intake: Intake,
    names: Reader,
}

impl Connection {
    async fn read_all<C: AsyncRead>(
        mut self,
        connection: ReadHalf<C>,
        gone: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let (mut replies, mut frames) = (Writer::new()?, Frames::new(connection));
        let mut gone = std::pin::pin!(gone);
        while let Some(frame) = frames.next().await? {
            match frame {
                Frame::Open { stream, block, ends } => {
                    let headers = self.names.read(&block)?;
                    if self.open.len() >= STREAM_LIMIT {
                        self.send(frame::refusal(stream)).await?;
                        continue;
                    }
                    let reply = frame::reply(stream, &replies.write(&Headers::new())?);
                    self.send(reply).await?;
                    self.open_stream(stream, headers, ends).await?;
                }
                Frame::Data { stream, bytes, ends } => {
                    if let Some(queue) = self.open.get(&stream) {
                        self.intake.pass(queue, &bytes, &mut gone).await?;
                    }
                    if ends {
                        self.open.remove(&stream);
                    }
                }
                Frame::Reset { stream } => drop(self.open.remove(&stream)),
                Frame::Ping(number) => self.send(frame::pong(number)).await?,
                Frame::Headers { block } => drop(self.names.read(&block)?),
                Frame::GoAway | Frame::Other => {}
            }
        }
        Ok(())
    }

    async fn open_stream(&mut self, number: u32, headers: Headers, ends: bool) -> io::Result<()> {
        let (queue, stream) = self.intake.open((number, headers), (self.outgoing.clone(), encode));
        if !ends {
            self.open.insert(number, queue);
        }
        self.accepted.send(stream).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    async fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        self.outgoing.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn streams_are_opened_written_to_and_closed() {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let mut accepted = accept(server, std::future::pending());
        let mut names = Writer::new().expect("a writer");
        let headers = Headers::from([("streamtype".to_owned(), "stdin".to_owned())]);
        let block = names.write(&headers).expect("a block");
        let content = [&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &block].concat();
        let mut open = vec![0x80, 3, 0, 1, 0, 0, 0, u8::try_from(content.len()).expect("short")];
        open.extend_from_slice(&content);
        client.write_all(&open).await.expect("sent");
        client.write_all(&frame::data(1, b"typed", false)).await.expect("sent");
        client.write_all(&frame::data(1, b"", true)).await.expect("sent");
        client.write_all(&frame::pong(7)).await.expect("sent");
        let stream = accepted.recv().await.expect("a stream");
        assert_eq!((stream.header("streamtype"), stream.header("other")), ("stdin", ""));
        let (mut incoming, stream) = stream.split();
        assert_eq!(incoming.recv().await.as_deref(), Some(&b"typed"[..]));
        assert!(incoming.recv().await.is_none());
        stream.send(b"answer").await.expect("sent");
        stream.finish().await.expect("sent");
        let (mut frames, mut seen) = (Frames::new(client), Vec::new());
        while seen.len() < 4 {
            seen.extend(frames.next().await.expect("a frame"));
        }
        // The reply to the stream is a control frame of no kind that clients send.
        assert_eq!(seen[0], Frame::Other);
        assert_eq!(seen[1], Frame::Ping(7));
        assert_eq!(seen[2], Frame::Data { stream: 1, bytes: b"answer".to_vec(), ends: false });
        assert_eq!(seen[3], Frame::Data { stream: 1, bytes: Vec::new(), ends: true });
    }
}
