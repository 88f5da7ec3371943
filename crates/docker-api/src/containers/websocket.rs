//! `GET /containers/(id)/attach/ws`: the same as attach, in messages of RFC 6455 and without frame headers.
//!
//! Any named origin may connect, as with the reference engine, where the listener authenticates its clients;
//! elsewhere [`crate::OriginPolicy`] refuses foreign pages.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::attach::read_query;
use crate::{Call, Handled, Reply};
use berth_http::{Gone, Meter, Metered, RequestHead, Response, TransportStream};
use engine::sys::memory_budget::Exhausted;

/// One read of the container's output becomes one message.
const PIECE: usize = 32 * 1024;
/// Largest message and frame that a client may send.
const MAXIMUM_MESSAGE: usize = 4 << 20;
/// How long a client may take to answer the goodbye.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a container may take what a client sent that has left.
const LAST_WORDS: Duration = Duration::from_secs(5);

pub(super) async fn attach(call: Call<'_>) -> Handled {
    let mut request = read_query(&call, true)?;
    let container = call.engine.containers.find(&call.name)?;
    let fields = match handshake(&call.exchange.head) {
        Ok(fields) => fields,
        Err(refusal) => return Ok(Reply::Whole(refusal)),
    };
    if request.stream && !request.stdout && !request.stderr && !request.stdin {
        request.stream = request.logs;
    }
    let session = call.engine.streams.prepare_attach(container.id().as_str(), request)?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let (hijacked, head) = call.exchange.hijack_as("101 Switching Protocols", &fields);
    let mut client = hijacked.into_stream();
    let (socket, greeting) = (theirs.into_std()?.into(), head.clone());
    let joining =
        tokio::spawn(async move { session.greet_and_join(socket, Vec::new(), greeting.as_bytes()).await });
    // The greeting comes back through the pair once the container has taken the client.
    let mut greeting = head.into_bytes();
    ours.read_exact(&mut greeting).await?;
    client.write_all(&greeting).await?;
    client.flush().await?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAXIMUM_MESSAGE))
        .max_frame_size(Some(MAXIMUM_MESSAGE));
    let (departure, stopping) = (call.exchange.departure(), call.exchange.stopping());
    let (client, meter) = Metered::new(client);
    let socket = WebSocketStream::from_raw_socket(client, Role::Server, Some(config)).await;
    let form = if call.version.websockets_are_binary() { MessageForm::Binary } else { MessageForm::Text };
    proxy((socket, meter), (ours, form), departure, stopping).await;
    match joining.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::info!("attach by websocket: {error}"),
        Err(error) => tracing::error!("attach by websocket: {error}"),
    }
    Ok(Reply::Sent)
}

/// Checks the request and returns the answer's fields.
fn handshake(head: &RequestHead) -> Result<String, Response> {
    let bad = |text: &'static str| Err(Response::text(StatusCode::BAD_REQUEST, text));
    if !head.has_word(&header::UPGRADE, "websocket") || !head.has_word(&header::CONNECTION, "upgrade") {
        return bad("not websocket protocol");
    }
    let key = head.header(&header::SEC_WEBSOCKET_KEY);
    if key.is_empty() {
        return bad("mismatch challenge/response");
    }
    if head.header(&header::SEC_WEBSOCKET_VERSION) != "13" {
        return bad("missing or bad WebSocket Version");
    }
    if matches!(head.header(&header::ORIGIN), "" | "null") {
        return Err(Response::empty(StatusCode::FORBIDDEN));
    }
    let mut fields = format!(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key.as_bytes())
    );
    if let Some(protocol) =
        head.header(&header::SEC_WEBSOCKET_PROTOCOL).split(',').map(str::trim).find(|name| !name.is_empty())
    {
        fields.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    Ok(fields)
}

/// How output is put into messages.
#[derive(Debug, Clone, Copy)]
enum MessageForm {
    /// Text where it is text, so that pages can show it; else binary, byte for byte.
    Text,
    /// Byte for byte.
    Binary,
}

/// Carries messages to the container's stdin and its output back, until either side ends or the daemon does.
async fn proxy(
    (socket, meter): (Socket, Meter),
    (local, form): (UnixStream, MessageForm),
    departure: impl Future<Output = Gone>,
    stopping: impl Future<Output = ()>,
) {
    let (mut sink, mut messages) = socket.split();
    let (read, write) = local.into_split();
    let reason = {
        let outgoing = send_output(&mut sink, read, form);
        let incoming = take_input((&mut messages, &meter), write, departure);
        tokio::pin!(outgoing, incoming);
        tokio::select! {
            // The container's side is over, or the client reads nothing any more.
            sent = &mut outgoing => sent.is_ok().then_some(CloseCode::Normal),
            reason = &mut incoming => reason,
            () = stopping => Some(CloseCode::Away),
        }
    };
    let farewell = async {
        if let Some(code) = reason {
            sink.send(Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() }))).await?;
        }
        sink.close().await?;
        // Until it sends its close frame too: closing with unread messages could destroy what is on its way to it.
        while messages.next().await.is_some_and(|message| message.is_ok()) {}
        Ok::<(), Error>(())
    };
    // A client that is gone receives nothing.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

type Socket = WebSocketStream<Metered<TransportStream>>;
type Sink = futures_util::stream::SplitSink<Socket, Message>;
type Messages = futures_util::stream::SplitStream<Socket>;

async fn send_output(sink: &mut Sink, mut output: OwnedReadHalf, form: MessageForm) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut held = 0;
    loop {
        let count = output.read(&mut buffer[held..]).await?;
        if count == 0 && held == 0 {
            return Ok(());
        }
        let end = held + count;
        let length = match form {
            // A character that is cut off at the end waits for its rest.
            MessageForm::Text if count > 0 => whole_characters(&buffer[..end]),
            MessageForm::Text | MessageForm::Binary => end,
        };
        let message = form.message(&buffer[..length]);
        sink.send(message).await.map_err(io::Error::other)?;
        buffer.copy_within(length..end, 0);
        held = end - length;
    }
}

impl MessageForm {
    fn message(self, piece: &[u8]) -> Message {
        let piece = Bytes::copy_from_slice(piece);
        match (self, Utf8Bytes::try_from(piece.clone())) {
            (Self::Text, Ok(text)) => Message::Text(text),
            (Self::Text, Err(_)) | (Self::Binary, _) => Message::Binary(piece),
        }
    }
}

/// The length without a UTF-8 sequence that the end cuts off; all of it when that would leave nothing.
fn whole_characters(piece: &[u8]) -> usize {
    match std::str::from_utf8(piece) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => piece.len(),
    }
}

/// Gives the container what the client sends until it leaves; what the container does not take any more is
/// thrown away, so that the client's pings and its close frame are still read. Gives what to close with.
async fn take_input(
    (messages, meter): (&mut Messages, &Meter),
    mut input: OwnedWriteHalf,
    departure: impl Future<Output = Gone>,
) -> Option<CloseCode> {
    let gone = async {
        departure.await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::pin!(gone);
    let mut is_taken = true;
    while let Some(message) = messages.next().await {
        let data = match message {
            Ok(Message::Text(text)) => Bytes::from(text),
            Ok(Message::Binary(data)) => data,
            Ok(Message::Close(_)) => return None,
            // Pings are answered by the library.
            Ok(Message::Ping(payload) | Message::Pong(payload)) => {
                meter.finish_control(payload.len());
                continue;
            }
            Ok(Message::Frame(_)) => continue,
            Err(error) => return close_code(&error),
        };
        meter.finish();
        if is_taken {
            is_taken = tokio::select! {
                written = input.write_all(&data) => written.is_ok(),
                () = &mut gone => return None,
            };
        }
    }
    None
}

/// The close frame for a client that broke the protocol, or for whose message there is no memory now.
fn close_code(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Io(error) if error.get_ref().is_some_and(|cause| cause.is::<Exhausted>()) => {
            Some(CloseCode::Again)
        }
        Error::Capacity(_) => Some(CloseCode::Size),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Protocol(_) => Some(CloseCode::Protocol),
        // The connection is over.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut() {
        assert_eq!(whole_characters("aä".as_bytes()), 3);
        assert_eq!(whole_characters(&"aä".as_bytes()[..2]), 1);
        assert_eq!(whole_characters(&[0xff, 0xfe]), 2);
        assert_eq!(whole_characters(&"ä".as_bytes()[..1]), 1);
        assert!(matches!(MessageForm::Text.message(b"abc"), Message::Text(_)));
        assert!(matches!(MessageForm::Text.message(&[0xff]), Message::Binary(_)));
        assert!(matches!(MessageForm::Binary.message(b"abc"), Message::Binary(_)));
    }
}
