//! The server of sessions: HTTP/1.1 on the loopback interface, upgraded to SPDY/3.1.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tonic::Status;
use tonic::body::Body;

use super::offers::{Offers, Session};
use super::{command, port_forward, spdy};

/// The protocol of connections.
const SPDY: &str = "SPDY/3.1";
/// The protocol of the streams of commands and attachments.
const COMMANDS: &str = "v4.channel.k8s.io";
/// The protocol of the streams of ports.
const PORTS: &str = "portforward.k8s.io";
/// Which protocols of streams a client speaks, and which one is spoken.
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// How long the server waits when it cannot accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Offers sessions by URLs and serves them.
pub(crate) struct StreamingServer {
    offers: Arc<Offers>,
    address: SocketAddr,
}

impl StreamingServer {
    /// Listens on the loopback interface, on a port of the kernel's choice.
    pub(crate) async fn listen(engine: &Arc<Engine>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = Self { offers: Arc::default(), address: listener.local_addr()? };
        tokio::spawn(accept(listener, Arc::clone(engine), Arc::clone(&server.offers)));
        Ok(server)
    }

    /// Offers a session; gives the URL that leads to it once.
    pub(crate) fn offer(&self, session: Session) -> Result<String, Status> {
        let kind = session.kind();
        let token = self.offers.add(session);
        let token = token.ok_or_else(|| Status::resource_exhausted("too many sessions wait to be taken"))?;
        Ok(format!("http://{}/{kind}/{token}", self.address))
    }
}

/// Accepts connections for as long as the daemon runs.
async fn accept(listener: TcpListener, engine: Arc<Engine>, offers: Arc<Offers>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&engine), Arc::clone(&offers)))),
            Err(error) => {
                tracing::error!("cannot accept a connection of streams: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, engine: Arc<Engine>, offers: Arc<Offers>) {
    let answer = service_fn(move |request| {
        let answer = answer(request, &engine, &offers);
        async move { Ok::<_, Infallible>(answer) }
    });
    let _ = stream.set_nodelay(true);
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = connection.with_upgrades().await {
        tracing::debug!("a request for streams failed: {error}");
    }
}

/// Answers a request for a session, and serves it when the connection is upgraded.
fn answer(mut request: Request<Incoming>, engine: &Arc<Engine>, offers: &Offers) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return refusal(StatusCode::METHOD_NOT_ALLOWED);
    }
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(SPDY)) {
        return refusal(StatusCode::BAD_REQUEST);
    }
    let wanted = if request.uri().path().starts_with("/portforward/") { PORTS } else { COMMANDS };
    if !speaks(&request, wanted) {
        return refusal(StatusCode::FORBIDDEN);
    }
    // Only now: a request that cannot be served does not use the offer up.
    let Some(session) = offers.take(request.uri().path()) else { return refusal(StatusCode::NOT_FOUND) };
    let (upgraded, engine) = (hyper::upgrade::on(&mut request), Arc::clone(engine));
    tokio::spawn(async move {
        match upgraded.await {
            Ok(connection) => run(session, engine, spdy::accept(TokioIo::new(connection))).await,
            Err(error) => tracing::debug!("a connection of streams was not upgraded: {error}"),
        }
    });
    let mut response = refusal(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(SPDY));
    headers.insert(STREAM_PROTOCOL, HeaderValue::from_static(wanted));
    response
}

/// Whether a client speaks a protocol of streams.
fn speaks(request: &Request<Incoming>, wanted: &str) -> bool {
    let named = request.headers().get_all(STREAM_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|protocol| protocol.trim() == wanted)
}

async fn run(session: Session, engine: Arc<Engine>, streams: spdy::Accepted) {
    match session {
        Session::Exec(asked) => command::exec(&engine, asked, streams).await,
        Session::Attach(asked) => command::attach(&engine, asked, streams).await,
        Session::PortForward(asked) => port_forward::serve(engine, asked, streams).await,
    }
}

/// An answer without a body.
fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
