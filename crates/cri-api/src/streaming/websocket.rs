//! Streams in the messages of a websocket, `v4.channel.k8s.io` and `v5.channel.k8s.io`: the first byte of a message is its
//! channel.
//!
//! ```text
//! 0 stdin ─▶    1 stdout ◀─    2 stderr ◀─    3 error ◀─    4 resize ─▶    v5: 255 N ─▶ the end of channel N
//! ```

use std::collections::HashMap;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use super::stream::{Accepted, End, Stream, WAITING_FRAMES};

/// The channels by their numbers.
const CHANNELS: [&str; 5] = ["stdin", "stdout", "stderr", "error", "resize"];
/// The channel of ends.
const CLOSE: u8 = 255;
/// Largest message and frame that a client may send.
const MAXIMUM_MESSAGE: usize = 16 << 20;

/// The protocols that are spoken, best first.
pub(super) const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// Serves a connection; gives the channels of these kinds: a client need not open them.
pub(super) fn accept<C>(connection: C, kinds: &[&str]) -> Accepted
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (outgoing, frames) = mpsc::channel(WAITING_FRAMES);
    let (accepted, streams) = mpsc::channel(CHANNELS.len());
    let mut open = HashMap::new();
    for (number, kind) in (0..).zip(CHANNELS).filter(|(_, kind)| kinds.contains(kind)) {
        let (queue, incoming) = mpsc::channel(WAITING_FRAMES);
        open.insert(number, queue);
        let headers = [("streamtype".to_owned(), kind.to_owned())].into();
        let stream =
            Stream { number: u32::from(number), headers, incoming, outgoing: outgoing.clone(), encode };
        // There is room for every channel.
        let _ = accepted.try_send(stream);
    }
    tokio::spawn(async move {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAXIMUM_MESSAGE))
            .max_frame_size(Some(MAXIMUM_MESSAGE));
        let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        let (sink, messages) = socket.split();
        tokio::spawn(write_all(sink, frames));
        if let Err(error) = read_all(messages, open).await {
            tracing::debug!("a websocket of streams ended: {error}");
        }
        // Whoever waits for the client's leave is woken by this.
        drop(accepted);
    });
    streams
}

/// A message: the channel and the bytes. Channels of the server have no end of their own.
fn encode(number: u32, bytes: &[u8], end: End) -> Option<Vec<u8>> {
    let channel = u8::try_from(number).ok()?;
    (end == End::Open).then(|| [&[channel][..], bytes].concat())
}

async fn read_all<C>(
    mut messages: SplitStream<WebSocketStream<C>>,
    mut open: HashMap<u8, mpsc::Sender<Vec<u8>>>,
) -> Result<(), Error>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = messages.next().await {
        let bytes = match message? {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return Ok(()),
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        match *bytes {
            [CLOSE, channel] => drop(open.remove(&channel)),
            [channel, ref rest @ ..] if !rest.is_empty() => {
                if let Some(queue) = open.get(&channel) {
                    // Whoever had it takes no more: what comes is thrown away.
                    let _ = queue.send(rest.to_vec()).await;
                }
            }
            [] | [_, ..] => {}
        }
    }
    Ok(())
}

/// Writes messages until nobody sends any more, then says goodbye.
async fn write_all<C>(mut sink: SplitSink<WebSocketStream<C>, Message>, mut frames: mpsc::Receiver<Vec<u8>>)
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(frame) = frames.recv().await {
        if sink.send(Message::Binary(Bytes::from(frame))).await.is_err() {
            return;
        }
    }
    // Clients take a goodbye without this code for a failure.
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    let _ = sink.send(Message::Close(Some(goodbye))).await;
}
