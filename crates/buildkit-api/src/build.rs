//! One build under way: what its calls share, and its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::made::MadeImage;
use engine::images::registry::Cancellation;
use tokio::sync::{oneshot, watch};

use crate::grpc::{Code, Status};
use crate::progress::Progress;
use crate::statement::Statement;
use buildkit_messages::control::{Exporter, SolveRequest};
use buildkit_messages::gateway::BuildResult;
use buildkit_messages::google::Timestamp;

/// An entitlement that a client may grant a build: RUN steps in the network of the host.
pub(crate) const HOST_NETWORK: &str = "network.host";

/// The options that have a client's caches, with all that opens them.
pub(crate) const CACHE_OPTIONS: [&str; 2] = ["cache-from", "cache-imports"];

/// The most results of one build.
const RESULT_LIMIT: usize = 256;

/// A build.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) reference: String,
    pub(crate) session: String,
    /// The session that judges the sources; empty where none does.
    pub(crate) policy_session: String,
    pub(crate) frontend: String,
    pub(crate) exporters: Vec<Exporter>,
    /// Whether the client allows steps the network of the host.
    pub(crate) allows_host_network: bool,
    /// Whether it is a client's own probe, of which no record is kept.
    pub(crate) is_internal: bool,
    pub(crate) created: Timestamp,
    pub(crate) progress: Arc<Progress>,
    cancellation: Cancellation,
    /// True once the build is cancelled.
    cancelled: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The images that frontends have made, with their ids for clients.
    results: Vec<(String, MadeImage)>,
    /// Takes what the client returns as the build's result, where the client drives the build.
    returned: Option<oneshot::Sender<Result<BuildResult, Status>>>,
    /// Receives it, possibly sent before there is a waiter.
    awaited: Option<oneshot::Receiver<Result<BuildResult, Status>>>,
    attributes: HashMap<String, String>,
    /// Statements about its results.
    statements: Vec<Statement>,
    /// How many frontends were called.
    frontends: usize,
}

impl Build {
    pub(crate) fn new(request: &SolveRequest) -> Arc<Self> {
        let has_graph = request.definition.as_ref().is_some_and(|graph| !graph.operations.is_empty());
        let is_driven = request.frontend.is_empty() && !has_graph;
        let (returned, awaited) = is_driven.then(oneshot::channel).unzip();
        let attributes = request.frontend_attributes.clone();
        Arc::new(Self {
            reference: request.reference.clone(),
            session: request.session.clone(),
            policy_session: request.source_policy_session.clone(),
            frontend: request.frontend.clone(),
            exporters: exporters(request),
            allows_host_network: request.entitlements.iter().any(|name| name == HOST_NETWORK),
            is_internal: request.internal,
            created: Timestamp::now(),
            progress: Progress::new(&request.reference),
            cancellation: Cancellation::new(),
            cancelled: watch::Sender::new(false),
            state: Mutex::new(State { attributes, returned, awaited, ..State::default() }),
        })
    }

    /// The cancellation, for blocking work that polls it.
    pub(crate) const fn cancellation(&self) -> &Cancellation {
        &self.cancellation
    }

    /// Stops the build.
    pub(crate) fn cancel(&self) {
        self.cancellation.cancel();
        self.cancelled.send_replace(true);
    }

    /// Waits until the build is stopped.
    pub(crate) async fn cancelled(&self) {
        // The sender exists as long as the build.
        let _ = self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await;
    }

    /// Waits for what the client that drives this build returns.
    ///
    /// # Errors
    /// [`Status`] that it returns instead.
    pub(crate) async fn result_of_client(&self) -> Result<BuildResult, Status> {
        let awaited = self.lock().awaited.take().ok_or_else(Status::cancelled)?;
        awaited.await.unwrap_or_else(|_| Err(Status::cancelled()))
    }

    /// Takes the client's result.
    ///
    /// # Errors
    /// `FailedPrecondition` without a waiter: the build is over, or does not let clients drive it.
    pub(crate) fn take_return(&self, result: Result<BuildResult, Status>) -> Result<(), Status> {
        let sender = self.lock().returned.take();
        let over = || Status::new(Code::FailedPrecondition, "the build does not wait for a result");
        sender.ok_or_else(over)?.send(result).map_err(|_| over())
    }

    /// Records an image that a frontend has made, and returns its id for the client.
    ///
    /// # Errors
    /// `ResourceExhausted` when the client makes too many.
    pub(crate) fn add_result(&self, image: MadeImage) -> Result<String, Status> {
        let mut state = self.lock();
        if state.results.len() >= RESULT_LIMIT {
            return Err(Status::new(Code::ResourceExhausted, "the build has too many results"));
        }
        let id = format!("{}-{}", self.reference, state.results.len());
        state.results.push((id.clone(), image));
        Ok(id)
    }

    /// The images that a client means, in the order in which they were made.
    ///
    /// # Errors
    /// `NotFound` for an id that no frontend of this build gave.
    pub(crate) fn results(&self, ids: &[&str]) -> Result<Vec<MadeImage>, Status> {
        let state = self.lock();
        let is_missing = |id: &&&str| !state.results.iter().any(|(known, _)| known == **id);
        if let Some(id) = ids.iter().find(is_missing) {
            return Err(Status::new(Code::NotFound, format!("the build has no result {id:?}")));
        }
        let meant = state.results.iter().filter(|(known, _)| ids.contains(&known.as_str()));
        Ok(meant.map(|(_, image)| image.clone()).collect())
    }

    /// Sets the statements about its results.
    pub(crate) fn set_statements(&self, statements: Vec<Statement>) {
        self.lock().statements = statements;
    }

    /// The statements about its results.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        self.lock().statements.clone()
    }

    /// The number of a frontend's call: it distinguishes its steps from those of others.
    pub(crate) fn next_number(&self) -> usize {
        let mut state = self.lock();
        state.frontends += 1;
        state.frontends
    }

    /// Notes the options that the client that drives the build gave to its frontend.
    pub(crate) fn add_attributes(&self, attributes: &HashMap<String, String>) {
        self.lock().attributes.extend(attributes.clone());
    }

    /// The options of the build.
    pub(crate) fn attributes(&self) -> HashMap<String, String> {
        self.lock().attributes.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The exporters of a request, of an old client's too.
fn exporters(request: &SolveRequest) -> Vec<Exporter> {
    if !request.exporters.is_empty() || request.exporter.is_empty() {
        return request.exporters.clone();
    }
    vec![Exporter { kind: request.exporter.clone(), attributes: request.exporter_attributes.clone() }]
}
