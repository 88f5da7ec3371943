//! `POST /grpc` and `POST /session`: the connection becomes HTTP/2, on which BuildKit's protocol is spoken.

use http::header;
use tokio::io::AsyncWriteExt;

use crate::{ApiError, Call, Handled, Reply};
use berth_http::TransportStream;

/// `POST /grpc`: the engine serves.
pub(super) async fn control(call: Call<'_>) -> Handled {
    require_upgrade(&call)?;
    let (build_kit, stopping) = (call.build_kit.clone(), call.exchange.stopping());
    let stream = upgrade(call).await?;
    tokio::select! {
        () = build_kit.serve_control(stream) => {}
        () = stopping => {}
    }
    Ok(Reply::Sent)
}

/// `POST /session`: the client serves, and the engine calls.
pub(super) async fn session(call: Call<'_>) -> Handled {
    require_upgrade(&call)?;
    let session = match call.build_kit.read_session(&call.exchange.head.headers) {
        Ok(session) => session,
        Err(refusal) => return Err(ApiError::bad_request(refusal.to_string())),
    };
    let (build_kit, stopping) = (call.build_kit.clone(), call.exchange.stopping());
    let stream = upgrade(call).await?;
    let Some((socket, early)) = stream.unix_socket()? else {
        tokio::select! {
            () = build_kit.run_session(session, stream) => {}
            () = stopping => {}
        }
        return Ok(Reply::Sent);
    };
    // Without this connection's own descriptor nobody watches the socket but the session.
    tokio::spawn(async move {
        tokio::select! {
            () = build_kit.run_socket_session(session, socket, early) => {}
            () = stopping => {}
        }
    });
    Ok(Reply::Sent)
}

/// Refuses a request without an upgrade, or with another one.
fn require_upgrade(call: &Call<'_>) -> Result<(), ApiError> {
    if call.exchange.head.has_word(&header::UPGRADE, "h2c") {
        return Ok(());
    }
    let wanted = call.exchange.head.header(&header::UPGRADE);
    Err(ApiError::bad_request(match wanted {
        "" => "the request does not ask for an upgrade to h2c".to_owned(),
        other => format!("the protocol {other:?} is not supported here: only h2c is"),
    }))
}

/// Ends HTTP/1.1 on the connection.
async fn upgrade(call: Call<'_>) -> Result<TransportStream, ApiError> {
    let fields = "Connection: Upgrade\r\nUpgrade: h2c\r\n";
    let (hijacked, head) = call.exchange.hijack_as("101 Switching Protocols", fields);
    let mut stream = hijacked.into_stream();
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    Ok(stream)
}
