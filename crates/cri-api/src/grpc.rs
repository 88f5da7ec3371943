//! Calls with one request and one answer, from HTTP to a handler and back.

use std::future::Future;
use std::pin::Pin;

use hyper::body::Incoming;
use prost::Message;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
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

/// A handler that is called once.
struct Once<H>(Option<H>);

impl<H, Q, A, F> UnaryService<Q> for Once<H>
where
    H: FnOnce(Q) -> F + Send + 'static,
    A: Message,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    type Response = A;
    type Future = Pin<Box<dyn Future<Output = Result<Response<A>, Status>> + Send>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let answer = self.0.take().map(|handler| handler(request.into_inner()));
        Box::pin(async move {
            let answer = answer.ok_or_else(|| Status::internal("a call was answered twice"))?;
            answer.await.map(Response::new)
        })
    }
}

/// Answers that a call is not served.
pub(crate) fn unimplemented(path: &str) -> http::Response<Body> {
    Status::unimplemented(format!("berth does not serve {path}")).into_http()
}
