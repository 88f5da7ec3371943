//! Serves calls on a connection: each runs as a task that ends with its stream, and all with the connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use model::Timestamp;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::frame::{self, Messages};
use super::status::{Code, Status};

/// The window of one stream: the bytes that may be sent before they are read.
const STREAM_WINDOW: u32 = 1 << 20;
/// The window of all streams of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The memory limit of waiting frames beyond their data: a full window of messages of a few bytes, as the entries of a
/// directory are.
const FRAMING_LIMIT: usize = 64 << 20;
/// Calls at once on a connection.
const CALL_LIMIT: u32 = 256;
/// The fields of one call.
const FIELDS_LIMIT: u32 = 64 << 10;
/// Messages that wait for the peer to take them.
const WAITING: usize = 8;

/// The current time here, from which clients compute how long a build has been running.
const NOW: HeaderName = HeaderName::from_static("buildkit-current-timestamp");

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    /// `/package.Service/Method`.
    pub(crate) path: String,
    pub(crate) metadata: HeaderMap,
    pub(crate) requests: Messages,
    pub(crate) replies: Replies,
}

impl Call {
    /// A text of the metadata.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.metadata.get(name)?.to_str().ok()
    }
}

/// The way back of a call.
#[derive(Debug, Clone)]
pub(crate) struct Replies(mpsc::Sender<Bytes>);

impl Replies {
    /// Sends a message; waits while the peer does not take the earlier ones.
    ///
    /// # Errors
    /// [`Status`] when the call is over.
    pub(crate) async fn send(&self, message: &impl Message) -> Result<(), Status> {
        self.0.send(frame::encode(message)).await.map_err(|_| Status::cancelled())
    }
}

/// How a handler answers.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// Answers calls. What it gives is dropped where the peer cancels the call or is gone.
pub(crate) trait Handler: Send + Sync + 'static {
    fn handle(self: Arc<Self>, call: Call) -> Answer;
}

/// Serves a connection until its end.
///
/// # Errors
/// What the peer violates of the protocol.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Arc<dyn Handler>,
) -> Result<(), h2::Error> {
    let mut settings = h2::server::Builder::new();
    settings
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(FRAMING_LIMIT)
        .max_concurrent_streams(CALL_LIMIT)
        .max_header_list_size(FIELDS_LIMIT);
    let mut connection = settings.handshake::<_, Bytes>(stream).await?;
    // Leaving this function ends all calls.
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, respond) = accepted?;
                calls.spawn(answer(request, respond, Arc::clone(&handler)));
            }
            Some(_) = calls.join_next() => {}
        }
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, handler: Arc<dyn Handler>) {
    let (head, body) = request.into_parts();
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Ok(now) = HeaderValue::from_str(&Timestamp::now().to_string()) {
        response.headers_mut().insert(NOW, now);
    }
    let Ok(mut stream) = respond.send_response(response, false) else { return };
    let (sender, mut frames) = mpsc::channel(WAITING);
    let call = Call {
        path: head.uri.path().to_owned(),
        metadata: head.headers,
        requests: Messages::new(body),
        replies: Replies(sender),
    };
    let mut work = Arc::clone(&handler).handle(call);
    let result = loop {
        tokio::select! {
            biased;
            // The peer has cancelled the call: the work is dropped.
            _ = poll_fn(|context| stream.poll_reset(context)) => return,
            Some(bytes) = frames.recv() => {
                if frame::send(&mut stream, bytes).await.is_err() {
                    return;
                }
            }
            result = &mut work => break result,
        }
    };
    drop(work);
    while let Some(bytes) = frames.recv().await {
        if frame::send(&mut stream, bytes).await.is_err() {
            return;
        }
    }
    match &result {
        Ok(()) => tracing::debug!("{}: done", head.uri.path()),
        Err(status) if status.code == Code::Internal => tracing::error!("{}: {status}", head.uri.path()),
        Err(status) => tracing::debug!("{}: {status}", head.uri.path()),
    }
    // A peer that is gone needs no end.
    let _ = stream.send_trailers(Status::trailers(result));
}
