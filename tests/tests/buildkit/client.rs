//! The control connection of a client, and whole builds by it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use buildkit_messages::control::{
    Exporter, ListWorkersRequest, ListWorkersResponse, SolveRequest, SolveResponse, StatusRequest,
    StatusResponse,
};
use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderValue, Request};
use prost::Message;
use tokio::task::JoinHandle;

use crate::offers::Offers;
use crate::session::{self, Received};
use crate::streams::{Failure, Messages, frame, send, upgraded};

/// Runs an asynchronous test.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
}

/// A control connection; dropping it closes it.
pub(crate) struct Control {
    sender: SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Control {
    pub(crate) async fn open(socket: &Path) -> Self {
        let stream = upgraded(socket, "/grpc", "").await;
        let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let connection = tokio::spawn(async move { drop(connection.await) });
        Self { sender, connection }
    }

    /// Begins a call with bytes that are not all; gives the way to its end, or nothing where the peer took them not.
    pub(crate) async fn begin(
        &self,
        method: &str,
        body: Bytes,
    ) -> Option<(ResponseFuture, SendStream<Bytes>)> {
        let mut sender = self.sender.clone().ready().await.expect("a connection");
        let mut request = Request::post(format!("http://localhost{method}")).body(()).expect("a request");
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        let (response, mut stream) = sender.send_request(request, false).expect("a call");
        send(&mut stream, body).await.then_some((response, stream))
    }

    /// Calls a method with the bytes of a message; gives all answers.
    pub(crate) async fn raw<A: Message + Default>(
        &self,
        method: &str,
        metadata: HeaderMap,
        body: Bytes,
    ) -> Result<Vec<A>, Failure> {
        let mut sender = self.sender.clone().ready().await.map_err(|error| (-1, error.to_string()))?;
        let mut request = Request::post(format!("http://localhost{method}")).body(()).expect("a request");
        *request.headers_mut() = metadata;
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        let (response, mut stream) =
            sender.send_request(request, false).map_err(|error| (-1, error.to_string()))?;
        send(&mut stream, body).await;
        let _ = stream.send_data(Bytes::new(), true);
        let response = response.await.map_err(|error| (-1, error.to_string()))?;
        let mut messages = Messages::new(response.into_body());
        let mut answers = Vec::new();
        while let Some(answer) = messages.next().await {
            answers.push(answer);
        }
        messages.end().await.map(|()| answers)
    }

    /// The fields that the answer to a call begins with.
    pub(crate) async fn answer_fields(&self, method: &str, message: &impl Message) -> HeaderMap {
        let mut sender = self.sender.clone().ready().await.expect("a connection");
        let mut request = Request::post(format!("http://localhost{method}")).body(()).expect("a request");
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        let (response, mut stream) = sender.send_request(request, false).expect("sent");
        send(&mut stream, frame(message)).await;
        let _ = stream.send_data(Bytes::new(), true);
        response.await.expect("an answer").headers().clone()
    }

    pub(crate) async fn call<A: Message + Default>(
        &self,
        method: &str,
        message: &impl Message,
    ) -> Result<A, Failure> {
        let answers = self.raw(method, HeaderMap::new(), frame(message)).await?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    pub(crate) async fn solve(&self, request: &SolveRequest) -> Result<SolveResponse, Failure> {
        self.call("/moby.buildkit.v1.Control/Solve", request).await
    }

    /// All progress of a build.
    pub(crate) async fn status(&self, reference: &str) -> Result<Vec<StatusResponse>, Failure> {
        let request = StatusRequest { reference: reference.to_owned() };
        self.raw("/moby.buildkit.v1.Control/Status", HeaderMap::new(), frame(&request)).await
    }

    /// A call of the gateway for a build.
    pub(crate) async fn gateway<A: Message + Default>(
        &self,
        reference: &str,
        method: &str,
        message: &impl Message,
    ) -> Result<A, Failure> {
        let mut metadata = HeaderMap::new();
        let value = HeaderValue::from_str(reference).expect("a reference");
        metadata.insert("buildkit-controlapi-buildid", value);
        let method = format!("/moby.buildkit.v1.frontend.LLBBridge/{method}");
        let answers = self.raw(&method, metadata, frame(message)).await?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }
}

/// The result of a build.
pub(crate) struct Outcome {
    pub(crate) result: Result<HashMap<String, String>, Failure>,
    pub(crate) progress: Vec<StatusResponse>,
    /// What exporters sent to the client.
    pub(crate) received: Received,
}

impl Outcome {
    /// What the last state of each step is, by its name: `done`, `cached`, or its error.
    pub(crate) fn steps(&self) -> Vec<(String, String)> {
        let mut order: Vec<String> = Vec::new();
        let mut states = HashMap::new();
        for vertex in self.progress.iter().flat_map(|status| &status.vertices) {
            if !states.contains_key(&vertex.digest) {
                order.push(vertex.digest.clone());
            }
            let state = match vertex {
                vertex if !vertex.error.is_empty() => vertex.error.clone(),
                vertex if vertex.cached => "cached".to_owned(),
                vertex if vertex.completed.is_some() => "done".to_owned(),
                _ => "running".to_owned(),
            };
            states.insert(vertex.digest.clone(), (vertex.name.clone(), state));
        }
        order.into_iter().map(|digest| states[&digest].clone()).collect()
    }

    /// The state of a step.
    pub(crate) fn step(&self, name: &str) -> String {
        let steps = self.steps();
        let found = steps.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no step {name:?} in {steps:?}")).1.clone()
    }

    /// The first lines of all warnings.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warnings = self.progress.iter().flat_map(|status| &status.warnings);
        warnings.map(|warning| String::from_utf8_lossy(&warning.short).into_owned()).collect()
    }

    /// All output.
    pub(crate) fn output(&self) -> String {
        let logs = self.progress.iter().flat_map(|status| &status.logs);
        logs.map(|log| String::from_utf8_lossy(&log.message).into_owned()).collect()
    }

    pub(crate) fn image(&self) -> String {
        let response = self.result.as_ref().expect("a build");
        response["containerimage.config.digest"].clone()
    }

    pub(crate) fn failure(&self) -> &Failure {
        self.result.as_ref().expect_err("a failed build")
    }
}

/// A build: the client's offers, and its request.
pub(crate) struct Order {
    /// Whether the session of the build judges its sources.
    pub(crate) judges_sources: bool,
    pub(crate) offers: Arc<Offers>,
    pub(crate) request: SolveRequest,
}

impl Order {
    /// A build of the frontend for Dockerfiles, to be kept under a name.
    pub(crate) fn of(offers: Offers, name: &str) -> Self {
        let attributes = HashMap::from([("name".to_owned(), name.to_owned())]);
        let request = SolveRequest {
            frontend: "dockerfile.v0".to_owned(),
            exporters: vec![Exporter { kind: "moby".to_owned(), attributes }],
            ..SolveRequest::default()
        };
        Self { judges_sources: false, offers: Arc::new(offers), request }
    }

    pub(crate) fn option(mut self, name: &str, value: &str) -> Self {
        self.request.frontend_attributes.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn exporters(mut self, exporters: &[(&str, &[(&str, &str)])]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let exporter = |(kind, attributes): &(&str, &[(&str, &str)])| Exporter {
            kind: (*kind).to_owned(),
            attributes: attributes.iter().map(owned).collect(),
        };
        self.request.exporters = exporters.iter().map(exporter).collect();
        self
    }

    /// Builds, with a session, a control connection and the progress on another one.
    pub(crate) async fn run(self, socket: PathBuf) -> Outcome {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let session = session::Session::open(&socket, &format!("session-{number}"), self.offers).await;
        let (control, watching) = (Control::open(&socket).await, Control::open(&socket).await);
        let mut request = self.request;
        request.session = format!("session-{number}");
        request.reference = format!("build-{number}");
        if self.judges_sources {
            request.source_policy_session.clone_from(&request.session);
        }
        let (result, progress) = tokio::join!(control.solve(&request), watching.status(&request.reference));
        Outcome {
            result: result.map(|response| response.exporter_response),
            progress: progress.unwrap_or_default(),
            received: session.received().await,
        }
    }
}

/// Requests the engine's information, to check that it still serves.
pub(crate) async fn still_serves(socket: &Path) {
    let control = Control::open(socket).await;
    let workers: ListWorkersResponse = control
        .call("/moby.buildkit.v1.Control/ListWorkers", &ListWorkersRequest::default())
        .await
        .expect("workers");
    assert_eq!(workers.records.len(), 1);
}
