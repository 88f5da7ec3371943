//! The agreement of a client and the server before a connection is upgraded: the carrier of the streams, and their
//! protocol.

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::websocket;

/// The protocol of connections.
const SPDY: &str = "SPDY/3.1";
/// The protocol of the streams of commands and attachments.
const COMMANDS: &str = "v4.channel.k8s.io";
/// The protocol of the streams of ports.
const PORTS: &str = "portforward.k8s.io";
/// The protocol of ports with a connection of SPDY in a websocket's messages.
const TUNNELLED_PORTS: &str = "SPDY/3.1+portforward.k8s.io";
/// The protocols of streams that a client offers over SPDY, and the selected one.
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// The carrier of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Spdy,
    Websocket,
    /// SPDY in the messages of a websocket.
    Tunnel,
}

/// Agrees on a carrier and a protocol; returns the answer that upgrades, or the status of the refusal.
pub(super) fn agree<B>(request: &Request<B>) -> Result<(Carrier, Response<()>), StatusCode> {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    match upgrade {
        Some(name) if name.eq_ignore_ascii_case(SPDY) => spdy(request).map(|answer| (Carrier::Spdy, answer)),
        Some(name) if name.eq_ignore_ascii_case("websocket") => {
            let carrier = if are_ports(request) { Carrier::Tunnel } else { Carrier::Websocket };
            websocket(request).map(|answer| (carrier, answer))
        }
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// Why a request is refused with a status, in words.
pub(super) fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => "streams are opened with GET, over SPDY/3.1 also with POST",
        StatusCode::FORBIDDEN => "the client names no protocol of streams that is spoken here",
        _ => "the request asks for no upgrade to SPDY/3.1 or to a websocket",
    }
}

fn are_ports<B>(request: &Request<B>) -> bool {
    request.uri().path().starts_with("/portforward/")
}

fn spdy<B>(request: &Request<B>) -> Result<Response<()>, StatusCode> {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let wanted = if are_ports(request) { PORTS } else { COMMANDS };
    if !names(request, &STREAM_PROTOCOL).any(|name| name == wanted) {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(switching(SPDY, [(STREAM_PROTOCOL, HeaderValue::from_static(wanted))]))
}

fn websocket<B>(request: &Request<B>) -> Result<Response<()>, StatusCode> {
    if *request.method() != Method::GET {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).ok_or(StatusCode::BAD_REQUEST)?;
    let known = |protocol: &str| names(request, &header::SEC_WEBSOCKET_PROTOCOL).any(|name| name == protocol);
    let spoken: &[&str] = if are_ports(request) { &[TUNNELLED_PORTS] } else { &websocket::PROTOCOLS };
    let protocol = *spoken.iter().find(|protocol| known(protocol)).ok_or(StatusCode::FORBIDDEN)?;
    let accepted = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let accepted = accepted.map_err(|_| StatusCode::BAD_REQUEST)?;
    let headers = [
        (header::SEC_WEBSOCKET_ACCEPT, accepted),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol)),
    ];
    Ok(switching("websocket", headers))
}

fn switching<const N: usize>(protocol: &'static str, more: [(HeaderName, HeaderValue); N]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
    headers.extend(more.into_iter().map(|(name, value)| (Some(name), value)).collect::<Vec<_>>());
    response
}

/// The names in a header that may come several times, each with several names.
fn names<'a, B>(request: &'a Request<B>, header: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = request.headers().get_all(header).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, headers: &[(&str, &str)]) -> Result<(Carrier, Response<()>), StatusCode> {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        agree(&request.body(()).expect("a request"))
    }

    #[test]
    fn a_carrier_and_a_protocol_are_agreed_on() {
        let spdy = ("Upgrade", "SPDY/3.1");
        let (carrier, answer) =
            ask("/exec/x", &[spdy, ("X-Stream-Protocol-Version", "v9.channel.k8s.io, v4.channel.k8s.io")])
                .expect("an upgrade");
        assert_eq!(
            (carrier, &answer.headers()["x-stream-protocol-version"]),
            (Carrier::Spdy, &HeaderValue::from_static(COMMANDS))
        );
        let key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let both = ("Sec-WebSocket-Protocol", "v4.channel.k8s.io, v5.channel.k8s.io");
        let (carrier, answer) = ask("/exec/x", &[("Upgrade", "websocket"), key, both]).expect("an upgrade");
        assert_eq!(carrier, Carrier::Websocket);
        assert_eq!(answer.headers()["sec-websocket-protocol"], "v5.channel.k8s.io");
        let tunnelled = ("Sec-WebSocket-Protocol", TUNNELLED_PORTS);
        let (carrier, answer) =
            ask("/portforward/x", &[("Upgrade", "websocket"), key, tunnelled]).expect("an upgrade");
        assert_eq!(carrier, Carrier::Tunnel);
        assert_eq!(answer.headers()["sec-websocket-protocol"], TUNNELLED_PORTS);
        assert!(ask("/exec/x", &[("Upgrade", "websocket"), key, tunnelled]).is_err());
        assert!(ask("/portforward/x", &[("Upgrade", "websocket"), key, both]).is_err());
        let (_, answer) = ask("/exec/x", &[("Upgrade", "websocket"), key, both]).expect("an upgrade");
        // RFC 6455, 1.3.
        assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_not_spoken_is_refused() {
        let refused = |path: &str, headers: &[(&str, &str)]| ask(path, headers).expect_err("a refusal");
        assert_eq!(refused("/exec/x", &[]), StatusCode::BAD_REQUEST);
        assert_eq!(refused("/exec/x", &[("Upgrade", "SPDY/3.1")]), StatusCode::FORBIDDEN);
        let ports = [("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", COMMANDS)];
        assert_eq!(refused("/portforward/x", &ports), StatusCode::FORBIDDEN);
        let websocket = ("Upgrade", "websocket");
        assert_eq!(refused("/exec/x", &[websocket]), StatusCode::BAD_REQUEST);
        let old = [websocket, ("Sec-WebSocket-Key", "k"), ("Sec-WebSocket-Protocol", "channel.k8s.io")];
        assert_eq!(refused("/exec/x", &old), StatusCode::FORBIDDEN);
    }
}
