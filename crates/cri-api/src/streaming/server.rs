//! The server of sessions: HTTP/1.1 on the loopback interface, upgraded to SPDY/3.1 or to a websocket.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tonic::Status;
use tonic::body::Body;

use super::connection::{ClientConnection, ClientWatch};
use super::exchange::Wanted;
use super::offers::{Offers, Session};
use super::stream::Accepted;
use super::tunnel::Tunnel;
use super::upgrade::{self, Carrier};
use super::{command, port_forward, spdy, websocket};

/// How long the server waits when it cannot accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The server's listener; `None` while no URL is valid.
type Listening = Arc<Mutex<Option<SocketAddr>>>;

/// Offers sessions by URLs and serves them.
pub(crate) struct StreamingServer {
    engine: Arc<Engine>,
    offers: Arc<Offers>,
    listening: Listening,
}

impl StreamingServer {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::clone(engine), offers: Arc::default(), listening: Listening::default() }
    }

    /// Offers a session; returns the URL that leads to it once.
    pub(crate) async fn offer(&self, session: Session) -> Result<String, Status> {
        let mut listening = self.listening.lock().await;
        let address = match *listening {
            Some(address) => address,
            None => self.listen().await.map_err(|error| {
                Status::internal(format!("cannot listen for connections of streams: {error}"))
            })?,
        };
        *listening = Some(address);
        let kind = session.kind();
        let token = self.offers.add(session);
        let token = token.ok_or_else(|| Status::resource_exhausted("too many sessions wait to be taken"))?;
        Ok(format!("http://{address}/{kind}/{token}"))
    }

    /// Listens on the loopback interface, on a port of the kernel's choice.
    async fn listen(&self) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (engine, offers) = (Arc::clone(&self.engine), Arc::clone(&self.offers));
        tokio::spawn(accept(listener, engine, offers, Arc::clone(&self.listening)));
        Ok(address)
    }
}

/// Accepts connections until no offer waits any more.
async fn accept(listener: TcpListener, engine: Arc<Engine>, offers: Arc<Offers>, listening: Listening) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&engine), Arc::clone(&offers)))),
                Err(error) => {
                    tracing::error!("cannot accept a connection of streams: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = offers.change() => {
                // An offer holds this lock: none comes in between.
                let mut listening = listening.lock().await;
                if offers.are_none() {
                    *listening = None;
                    return;
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, engine: Arc<Engine>, offers: Arc<Offers>) {
    let _ = stream.set_nodelay(true);
    let client = ClientConnection::new(stream);
    let watch = client.watch();
    let answer = service_fn(move |request| {
        let answer = answer(request, &watch, &engine, &offers);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), answer);
    if let Err(error) = connection.with_upgrades().await {
        tracing::debug!("a request for streams failed: {error}");
    }
}

/// Answers a request for a session, and serves it when the connection is upgraded.
fn answer(
    mut request: Request<Incoming>,
    watch: &ClientWatch,
    engine: &Arc<Engine>,
    offers: &Offers,
) -> Response<Body> {
    let unknown = || refusal(StatusCode::NOT_FOUND, "the URL is not known, was used already or is too old");
    if !offers.has(request.uri().path()) {
        return unknown();
    }
    let (carrier, response) = match upgrade::agree(&request) {
        Ok(agreed) => agreed,
        Err(status) => return refusal(status, upgrade::reason(status)),
    };
    // Only now: a request that cannot be served does not use the offer up.
    let Some(session) = offers.take(request.uri().path()) else { return unknown() };
    let (upgraded, engine) = (hyper::upgrade::on(&mut request), Arc::clone(engine));
    let gone = watch.clone().gone();
    tokio::spawn(async move {
        match upgraded.await {
            Ok(connection) => {
                let streams = match carrier {
                    Carrier::Spdy => spdy::accept(TokioIo::new(connection), gone),
                    Carrier::Websocket => websocket::accept(TokioIo::new(connection), gone, &kinds(&session)),
                    Carrier::Tunnel => spdy::accept(Tunnel::new(TokioIo::new(connection)).await, gone),
                };
                run(session, engine, streams).await;
            }
            Err(error) => tracing::debug!("a connection of streams was not upgraded: {error}"),
        }
    });
    response.map(|()| Body::empty())
}

/// The kinds of streams that a session has.
fn kinds(session: &Session) -> Vec<&'static str> {
    match session {
        Session::Exec(asked) => Wanted::of_exec(asked).kinds(),
        Session::Attach(asked) => Wanted::of_attach(asked).kinds(),
        // Ports come over SPDY, also within a websocket.
        Session::PortForward(_) => Vec::new(),
    }
}

async fn run(session: Session, engine: Arc<Engine>, streams: Accepted) {
    match session {
        Session::Exec(asked) => command::exec(&engine, asked, streams).await,
        Session::Attach(asked) => command::attach(&engine, asked, streams).await,
        Session::PortForward(asked) => port_forward::serve(engine, asked, streams).await,
    }
}

/// An answer to a request that is not served, with the reason.
fn refusal(status: StatusCode, reason: &str) -> Response<Body> {
    let mut response = Response::new(Body::new(format!("{reason}\n")));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    *response.status_mut() = status;
    response
}
