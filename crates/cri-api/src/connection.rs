//! One connection: HTTP/2 without TLS, each call a task of its own.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tonic::body::Body;

use crate::Api;

/// Serves a connection until the client leaves, or the calls under way have ended after `stopping` became true.
pub async fn serve(stream: UnixStream, api: Arc<Api>, mut stopping: watch::Receiver<bool>) {
    let serving = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), Calls { api, stopping: stopping.clone() });
    tokio::pin!(serving);
    // The channel's lock is not kept.
    let stop = async { drop(stopping.wait_for(|stopping| *stopping).await) };
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection of the container runtime interface ended: {error}");
    }
}

/// The calls as hyper makes them.
struct Calls {
    api: Arc<Api>,
    stopping: watch::Receiver<bool>,
}

impl hyper::service::Service<http::Request<Incoming>> for Calls {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let (api, stopping) = (Arc::clone(&self.api), self.stopping.clone());
        Box::pin(async move { Ok(api.answer(request, stopping).await) })
    }
}
