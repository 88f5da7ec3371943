//! Calls what the peer of a connection serves.

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};

use super::frame::{self, Messages};
use super::status::{Code, Status};

/// The window of one stream: the bytes that may be sent before they are read.
const STREAM_WINDOW: u32 = 1 << 20;
/// The window of all streams of the connection.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The memory limit of waiting frames beyond their data: a full window of messages of a few bytes, as the entries of a
/// directory are.
const FRAMING_LIMIT: usize = 64 << 20;
/// The fields of one answer.
const FIELDS_LIMIT: u32 = 64 << 10;

/// A connection to a peer that serves.
#[derive(Debug, Clone)]
pub(crate) struct Channel(SendRequest<Bytes>);

impl Channel {
    /// Starts a connection; the future that is returned with the channel is the connection, to be run until
    /// its end.
    ///
    /// # Errors
    /// A violation of the protocol by the peer.
    pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
        stream: S,
    ) -> Result<(Self, h2::client::Connection<S, Bytes>), h2::Error> {
        let mut settings = h2::client::Builder::new();
        settings
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .data_frame_budget(FRAMING_LIMIT)
            .max_header_list_size(FIELDS_LIMIT);
        let (sender, connection) = settings.handshake(stream).await?;
        Ok((Self(sender), connection))
    }

    /// Begins a call of `/package.Service/Method`.
    ///
    /// # Errors
    /// [`Status`] when the peer is gone.
    pub(crate) async fn call(&self, path: &str, metadata: HeaderMap) -> Result<(Requests, Answers), Status> {
        let mut sender = self.0.clone().ready().await?;
        let uri: Uri = format!("http://localhost{path}")
            .parse()
            .map_err(|_| Status::invalid(format!("{path:?} is no method's path")))?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = metadata;
        let fields = request.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
        let (response, stream) = sender.send_request(request, false)?;
        Ok((Requests(stream), Answers(State::Waiting(response))))
    }

    /// Calls a method that takes a message and gives one.
    ///
    /// # Errors
    /// [`Status`] that the peer answers, or of the connection.
    pub(crate) async fn unary<M: Message + Default>(
        &self,
        path: &str,
        message: &impl Message,
    ) -> Result<M, Status> {
        let (mut requests, mut answers) = self.call(path, HeaderMap::new()).await?;
        // A server that refuses the call may do so before it has read: the response has the reason.
        let _ = requests.send(message).await;
        requests.finish();
        let missing = || Status::new(Code::Internal, format!("{path} ended without an answer"));
        let answer = answers.next().await?.ok_or_else(missing)?;
        match answers.next::<M>().await? {
            None => Ok(answer),
            Some(_) => Err(Status::new(Code::Internal, format!("{path} answered twice"))),
        }
    }
}

/// The way out of a call; dropping it unfinished cancels the call.
#[derive(Debug)]
pub(crate) struct Requests(SendStream<Bytes>);

impl Requests {
    /// Sends a message as fast as the peer takes it.
    ///
    /// # Errors
    /// [`Status`] when the call is over.
    pub(crate) async fn send(&mut self, message: &impl Message) -> Result<(), Status> {
        frame::send(&mut self.0, frame::encode(message)).await
    }

    /// Ends the stream of requests.
    pub(crate) fn finish(&mut self) {
        // A call that is over needs no end.
        let _ = self.0.send_data(Bytes::new(), true);
    }
}

#[derive(Debug)]
enum State {
    Waiting(ResponseFuture),
    Open(Messages),
    Over,
}

/// The way in of a call.
#[derive(Debug)]
pub(crate) struct Answers(State);

impl Answers {
    /// The next message; `None` once the call has ended well.
    ///
    /// # Errors
    /// [`Status`] that the call ended with.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        if let State::Waiting(response) = &mut self.0 {
            let (head, body) = response.await?.into_parts();
            if let Some(result) = Status::of_trailers(&head.headers) {
                self.0 = State::Over;
                return result.map(|()| None);
            }
            if !head.status.is_success() {
                self.0 = State::Over;
                return Err(Status::new(Code::Unavailable, format!("the peer answered {}", head.status)));
            }
            self.0 = State::Open(Messages::new(body));
        }
        let State::Open(messages) = &mut self.0 else { return Ok(None) };
        if let Some(message) = messages.next().await? {
            return Ok(Some(message));
        }
        let trailers = messages.trailers().await?.unwrap_or_default();
        self.0 = State::Over;
        let unsaid = || Err(Status::new(Code::Unavailable, "the call ended without a status"));
        Status::of_trailers(&trailers).unwrap_or_else(unsaid).map(|()| None)
    }
}
