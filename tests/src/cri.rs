//! A client of Kubernetes' container runtime interface.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::{Engine, wait};

/// The flag with which a daemon serves the interface.
pub const FLAG: &str = "--cri";

/// A connection to the interface.
#[derive(Debug)]
pub struct Cri {
    runtime: Runtime,
    sender: SendRequest<Body>,
}

impl Cri {
    /// Connects to an engine that was started with [`FLAG`].
    #[must_use]
    pub fn of(engine: &Engine) -> Self {
        Self::connect(&socket(engine))
    }

    /// Connects to a socket.
    ///
    /// # Panics
    /// When it has no listener.
    #[must_use]
    pub fn connect(socket: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let sender = runtime.block_on(async {
            let stream = UnixStream::connect(socket).await.expect("a listener");
            let made = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
            let (sender, connection) = made.expect("HTTP/2");
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    /// Makes a call: `RuntimeService/Version`.
    ///
    /// # Errors
    /// The status that the runtime answers with.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub fn call<Q, A>(&self, method: &str, request: Q) -> Result<A, Status>
    where
        Q: Message + Default + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let path = format!("/runtime.v1.{method}").parse().expect("a path");
        let sender = self.sender.clone();
        self.runtime.block_on(async {
            let mut client = Grpc::new(Sender(sender)).max_decoding_message_size(64 << 20);
            let codec = ProstCodec::<Q, A>::default();
            let answer = client.unary(Request::new(request), path, codec);
            let answer = tokio::time::timeout(wait::TIMEOUT, answer).await;
            answer.unwrap_or_else(|_| panic!("no answer to {method}")).map(tonic::Response::into_inner)
        })
    }
}

impl Cri {
    /// Makes a call and gives it up when `until` has returned.
    ///
    /// # Panics
    /// When the call is answered before.
    pub fn leave<Q, T>(&self, method: &str, request: Q, until: impl FnOnce() -> T) -> T
    where
        Q: Message + Default + Send + Sync + 'static,
    {
        let path = format!("/runtime.v1.{method}").parse().expect("a path");
        let sender = self.sender.clone();
        let call = self.runtime.spawn(async move {
            let mut client = Grpc::new(Sender(sender));
            client.unary(Request::new(request), path, ProstCodec::<Q, ()>::default()).await.map(drop)
        });
        let seen = until();
        assert!(!call.is_finished(), "{method} was answered");
        call.abort();
        seen
    }

    /// Makes a call with a stream as response; its messages come until the stream ends, its failure last.
    ///
    /// # Panics
    /// When the path is invalid.
    pub fn stream<Q, A>(&self, method: &str, request: Q) -> mpsc::Receiver<Result<A, Status>>
    where
        Q: Message + Default + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let path = format!("/runtime.v1.{method}").parse().expect("a path");
        let (sender, (answers, received)) = (self.sender.clone(), mpsc::channel());
        let (opened, is_open) = mpsc::channel();
        self.runtime.spawn(async move {
            let mut client = Grpc::new(Sender(sender));
            let stream = client.server_streaming(Request::new(request), path, ProstCodec::<Q, A>::default());
            let stream = stream.await;
            let _ = opened.send(());
            let mut stream = match stream {
                Ok(stream) => stream.into_inner(),
                Err(status) => return drop(answers.send(Err(status))),
            };
            while let Some(answer) = stream.message().await.transpose() {
                if answers.send(answer).is_err() {
                    return;
                }
            }
        });
        is_open.recv_timeout(wait::TIMEOUT).unwrap_or_else(|_| panic!("no answer to {method}"));
        received
    }
}

/// Where an engine's socket of the interface is.
#[must_use]
pub fn socket(engine: &Engine) -> PathBuf {
    engine.exec_root().join("cri.sock")
}

/// The connection as tonic's client uses it.
struct Sender(SendRequest<Body>);

impl tower_service::Service<http::Request<Body>> for Sender {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        // HTTP/2 wants a scheme and an authority; a unix socket has neither.
        let path = request.uri().path().to_owned();
        *request.uri_mut() = format!("http://localhost{path}").parse().expect("an address");
        Box::pin(self.0.send_request(request))
    }
}
