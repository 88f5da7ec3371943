//! Calls with one request and one answer or a stream of them, from HTTP to a handler and back.

use std::future::Future;
use std::pin::Pin;

use futures_util::Stream;
use hyper::body::Incoming;
use prost::Message;
use tonic::body::Body;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// The largest request: the kubelet's own limit of messages.
const MAXIMUM_REQUEST: usize = 16 << 20;

/// Answers a call with what a handler makes of its request.
pub(crate) async fn unary<Q, A, F>(
    request: http::Request<Incoming>,
    handler: impl FnOnce(Q) -> F + Send + 'static,
) -> http::Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    Grpc::new(ProstCodec::<A, Q>::default())
        .max_decoding_message_size(MAXIMUM_REQUEST)
        .unary(Once(Some(handler)), request)
        .await
}

/// Answers a call with a stream.
pub(crate) async fn streamed<Q, A, F, S>(
    request: http::Request<Incoming>,
    handler: impl FnOnce(Q) -> F + Send + 'static,
) -> http::Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
    F: Future<Output = Result<S, Status>> + Send + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
{
    Grpc::new(ProstCodec::<A, Q>::default())
        .max_decoding_message_size(MAXIMUM_REQUEST)
        .server_streaming(Once(Some(handler)), request)
        .await
}

/// A handler that is called once.
struct Once<H>(Option<H>);

impl<H> Once<H> {
    fn answer<Q, A, F>(&mut self, request: Request<Q>) -> Answer<A>
    where
        H: FnOnce(Q) -> F + Send + 'static,
        F: Future<Output = Result<A, Status>> + Send + 'static,
    {
        let answer = self.0.take().map(|handler| handler(request.into_inner()));
        Box::pin(async move {
            let answer = answer.ok_or_else(|| Status::internal("a call was answered twice"))?;
            answer.await.map(Response::new)
        })
    }
}

/// The future response of a handler.
type Answer<A> = Pin<Box<dyn Future<Output = Result<Response<A>, Status>> + Send>>;

impl<H, Q, A, F> UnaryService<Q> for Once<H>
where
    H: FnOnce(Q) -> F + Send + 'static,
    A: Message,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    type Response = A;
    type Future = Answer<A>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        self.answer(request)
    }
}

impl<H, Q, A, F, S> ServerStreamingService<Q> for Once<H>
where
    H: FnOnce(Q) -> F + Send + 'static,
    A: Message,
    F: Future<Output = Result<S, Status>> + Send + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
{
    type Response = A;
    type ResponseStream = S;
    type Future = Answer<S>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        self.answer(request)
    }
}

/// Answers that a call is not served.
pub(crate) fn unimplemented(path: &str) -> http::Response<Body> {
    Status::unimplemented(format!("berth does not serve {path}")).into_http()
}
