//! Streams in the messages of a websocket, `v4.channel.k8s.io` and `v5.channel.k8s.io`: the first byte of a message is its
//! channel.
//!
//! ```text
//! 0 stdin ─▶    1 stdout ◀─    2 stderr ◀─    3 error ◀─    4 resize ─▶    v5: 255 N ─▶ the end of channel N
//! ```

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use berth_http::{Meter, Metered};
use engine::sys::memory_budget::Exhausted;

use super::stream::{Accepted, End, Intake, Queue, WAITING_PIECES};

/// The channels by their numbers.
const CHANNELS: [&str; 5] = ["stdin", "stdout", "stderr", "error", "resize"];
/// The channel of ends.
const CLOSE: u8 = 255;
/// Largest message and frame that a client may send.
pub(super) const MAXIMUM_MESSAGE: usize = 4 << 20;
/// How long a client may take to take the goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// The protocols that are spoken, best first.
pub(super) const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// Serves a connection; returns the channels of these kinds: a client need not open them. `gone` ends when the client has
/// left and what it sent is not waited for any more.
pub(super) fn accept<C>(
    connection: C,
    gone: impl Future<Output = ()> + Send + 'static,
    kinds: &[&str],
) -> Accepted
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (outgoing, frames) = mpsc::channel(WAITING_PIECES);
    let (accepted, streams) = mpsc::channel(CHANNELS.len());
    let (intake, mut open) = (Intake::new(), HashMap::new());
    for (number, kind) in (0..).zip(CHANNELS).filter(|(_, kind)| kinds.contains(kind)) {
        let headers = [("streamtype".to_owned(), kind.to_owned())].into();
        let (queue, stream) = intake.open((u32::from(number), headers), (outgoing.clone(), encode));
        open.insert(number, queue);
        // There is room for every channel.
        let _ = accepted.try_send(stream);
    }
    tokio::spawn(async move {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAXIMUM_MESSAGE))
            .max_frame_size(Some(MAXIMUM_MESSAGE));
        let (connection, meter) = Metered::new(connection);
        let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        let (sink, messages) = socket.split();
        let (ended, end) = oneshot::channel();
        tokio::spawn(write_all(sink, frames, end));
        if let Err(error) = read_all((messages, meter), &intake, open, gone).await {
            tracing::debug!("a websocket of streams ended: {error}");
            // A finished writer sends nothing more.
            let _ = ended.send(close_code(&error));
        }
        // This wakes waiters for the client's leave.
        drop((accepted, intake));
    });
    streams
}

/// A message: the channel and the bytes. Channels of the server have no end of their own.
fn encode(number: u32, bytes: &[u8], end: End) -> Option<Vec<u8>> {
    let channel = u8::try_from(number).ok()?;
    (end == End::Open).then(|| [&[channel][..], bytes].concat())
}

async fn read_all<C>(
    (mut messages, meter): (SplitStream<WebSocketStream<Metered<C>>>, Meter),
    intake: &Intake,
    mut open: HashMap<u8, Queue>,
    gone: impl Future<Output = ()>,
) -> Result<(), Error>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let mut gone = std::pin::pin!(gone);
    while let Some(message) = messages.next().await {
        let bytes = match message? {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return Ok(()),
            Message::Ping(payload) | Message::Pong(payload) => {
                meter.finish_control(payload.len());
                continue;
            }
            Message::Text(_) => {
                meter.finish();
                continue;
            }
            Message::Frame(_) => continue,
        };
        meter.finish();
        match *bytes {
            [CLOSE, channel] => drop(open.remove(&channel)),
            [channel, ref rest @ ..] => {
                if let Some(queue) = open.get(&channel) {
                    intake.pass(queue, rest, &mut gone).await?;
                }
            }
            [] => {}
        }
    }
    Ok(())
}

/// The close code for a client that broke the rules.
fn close_code(error: &Error) -> CloseCode {
    match error {
        Error::Io(error) if error.get_ref().is_some_and(|cause| cause.is::<Exhausted>()) => CloseCode::Again,
        Error::Capacity(_) => CloseCode::Size,
        _ => CloseCode::Protocol,
    }
}

/// Writes messages until all senders are gone or reading has ended, then closes the connection.
async fn write_all<C>(
    mut sink: SplitSink<WebSocketStream<C>, Message>,
    mut frames: mpsc::Receiver<Vec<u8>>,
    end: oneshot::Receiver<CloseCode>,
) where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let writing = async {
        while let Some(frame) = frames.recv().await {
            if sink.send(Message::Binary(Bytes::from(frame))).await.is_err() {
                return;
            }
        }
    };
    // A reader that ends well leaves the writer to its frames.
    let broken = async {
        match end.await {
            Ok(code) => code,
            Err(_) => std::future::pending().await,
        }
    };
    // Clients take a goodbye without this code for a failure.
    let code = tokio::select! {
        () = writing => CloseCode::Normal,
        code = broken => code,
    };
    let goodbye = CloseFrame { code, reason: Utf8Bytes::default() };
    // A client that is gone or takes nothing needs none.
    let _ = tokio::time::timeout(FAREWELL, sink.send(Message::Close(Some(goodbye)))).await;
}
