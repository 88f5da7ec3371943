//! A connection of SPDY in the binary messages of a websocket, `SPDY/3.1+portforward.k8s.io`: clients whose proxies know
//! websockets alone forward ports so.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::websocket::MAXIMUM_MESSAGE;

/// The bytes of all messages in a row.
pub(super) struct Tunnel<C> {
    socket: WebSocketStream<C>,
    /// What is left of the last message.
    unread: Bytes,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Tunnel<C> {
    /// Takes a connection that was upgraded to a websocket.
    pub(super) async fn new(connection: C) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAXIMUM_MESSAGE))
            .max_frame_size(Some(MAXIMUM_MESSAGE));
        let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        Self { socket, unread: Bytes::new() }
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
                Some(Message::Binary(bytes)) => self.unread = bytes,
                Some(Message::Close(_)) | None => return Poll::Ready(Ok(())),
                Some(Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
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
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
}
