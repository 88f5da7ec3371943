//! A connection of SPDY in the binary messages of a websocket, `SPDY/3.1+portforward.k8s.io`, for clients whose proxies
//! support websockets only.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use berth_http::{Meter, Metered};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::websocket::MAXIMUM_MESSAGE;

/// The bytes of all messages in a row.
pub(super) struct Tunnel<C> {
    socket: WebSocketStream<Metered<C>>,
    meter: Meter,
    /// The rest of the last message.
    unread: Bytes,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Tunnel<C> {
    /// Takes a connection that was upgraded to a websocket.
    pub(super) async fn new(connection: C) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAXIMUM_MESSAGE))
            .max_frame_size(Some(MAXIMUM_MESSAGE));
        let (connection, meter) = Metered::new(connection);
        let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        Self { socket, meter, unread: Bytes::new() }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(context)).transpose().map_err(failure)? {
                Some(Message::Binary(bytes)) => {
                    self.meter.finish();
                    self.unread = bytes;
                }
                Some(Message::Close(_)) | None => return Poll::Ready(Ok(())),
                Some(Message::Ping(payload) | Message::Pong(payload)) => {
                    self.meter.finish_control(payload.len());
                }
                Some(Message::Text(_)) => self.meter.finish(),
                Some(Message::Frame(_)) => {}
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut socket = Pin::new(&mut self.socket);
        ready!(socket.as_mut().poll_ready(context)).map_err(failure)?;
        socket.start_send(Message::Binary(Bytes::copy_from_slice(bytes))).map_err(failure)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(failure)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context).map_err(failure)
    }
}

fn failure(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use engine::sys::memory_budget::Exhausted;
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn messages_are_the_pieces_of_one_stream() {
        let (client, server) = tokio::io::duplex(1 << 16);
        let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        let mut tunnel = Tunnel::new(server).await;
        for part in ["he", "", "llo"] {
            client.send(Message::Binary(part.into())).await.expect("sent");
        }
        let mut read = [0; 5];
        let _ = tunnel.read_exact(&mut read).await.expect("read");
        assert_eq!(&read, b"hello");
        tunnel.write_all(b"answer").await.expect("written");
        tunnel.flush().await.expect("flushed");
        let answer = client.next().await.expect("a message").expect("a message");
        assert_eq!(answer, Message::Binary("answer".into()));
        client.close(None).await.expect("closed");
        assert_eq!(tunnel.read(&mut read).await.expect("the end"), 0);
    }

    #[tokio::test]
    async fn messages_that_never_end_share_a_budget() {
        // A masked message in one frame, RFC 6455, section 5.2, without its last byte.
        let mut unfinished = vec![0x82, 0x80 | 127];
        unfinished.extend_from_slice(&(MAXIMUM_MESSAGE as u64).to_be_bytes());
        unfinished.resize(unfinished.len() + 4 + MAXIMUM_MESSAGE - 1, 0);
        let unfinished = Bytes::from(unfinished);
        let (mut reads, mut clients) = (JoinSet::new(), JoinSet::new());
        for _ in 0..20 {
            let (mut client, server) = tokio::io::duplex(1 << 16);
            let unfinished = unfinished.clone();
            clients.spawn(async move {
                let _ = client.write_all(&unfinished).await;
                client
            });
            reads.spawn(async move { Tunnel::new(server).await.read(&mut [0; 5]).await });
        }
        let first = tokio::time::timeout(std::time::Duration::from_secs(60), reads.join_next());
        let refused = first.await.expect("more than there is").expect("a read").expect("a task");
        let refused = refused.expect_err("no message is whole");
        assert!(refused.get_ref().is_some_and(|cause| cause.is::<Exhausted>()), "{refused}");
    }
}
