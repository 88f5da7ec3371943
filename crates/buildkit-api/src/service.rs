//! The entry point: connections that are no longer HTTP, and the dispatch of their calls.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use engine::Engine;
use engine::builder::{BuildError, CacheRecord};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::builds::Builds;
use crate::cache::Pruning;
use crate::grpc::{self, Answer, Call, Handler, Status};
use crate::image_build::{self, ImageBuild, ImageBuildFailure, RunningImageBuild};
use crate::parts::Parts;
use crate::received::Received;
use crate::session::{Fields, Pace, PacedStream, Sessions};
use crate::uploads::Uploads;
use crate::{cache, content, control, gateway, leftovers};

/// Where what clients have sent is kept.
const RECEIVED: &str = "received";

/// Serves BuildKit's protocol.
#[derive(Clone)]
pub struct BuildKit(Arc<Parts>);

/// A request for a session has no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has no id: X-Docker-Expose-Session-Uuid is missing or longer than 256 bytes")]
pub struct SessionRefusal;

/// A session that a client requests.
#[derive(Debug)]
pub struct NewSession(Fields);

impl BuildKit {
    /// Makes the service; what clients send is kept in `directory`, which is made, or emptied. It should be on the
    /// image store's file system. The cache of builds takes up to `cache_limit` bytes, any number where that is 0; by
    /// itself a tenth of the file system.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn new(
        engine: Arc<Engine>,
        directory: PathBuf,
        version: impl Into<String>,
        cache_limit: Option<u64>,
    ) -> io::Result<Self> {
        leftovers::remove(&directory, Some(RECEIVED))?;
        let received = Received::open(directory.join(RECEIVED))?;
        let limit = cache_limit.map_or_else(|| cache::default_limit(&directory), Ok)?;
        let parts = Arc::new(Parts {
            engine,
            sessions: Sessions::default(),
            builds: Builds::new(),
            received,
            uploads: Uploads::default(),
            directory,
            version: version.into(),
        });
        cache::keep_within(limit, &parts);
        Ok(Self(parts))
    }

    /// Serves a control connection until it ends. Builds that were requested on it end with it.
    pub async fn serve_control(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
        let service = Arc::new(Service(Arc::clone(&self.0)));
        if let Err(error) = grpc::serve(stream, service).await {
            tracing::debug!("a control connection failed: {error}");
        }
    }

    /// A name for a build whose client gave none.
    #[must_use]
    pub fn new_build_name(&self) -> String {
        self.0.builds.new_reference()
    }

    /// Starts a build by a request; it ends when the returned value is dropped.
    #[must_use]
    pub fn start_image_build(&self, build: ImageBuild) -> RunningImageBuild {
        image_build::start(&self.0, build)
    }

    /// Offers a context to the build of this name until that has read it.
    ///
    /// # Errors
    /// [`ImageBuildFailure`] when no build takes it.
    pub async fn offer_context(
        &self,
        build: &str,
        context: Box<dyn Read + Send>,
    ) -> Result<(), ImageBuildFailure> {
        Ok(self.0.uploads.offer(build, context).await?)
    }

    /// Cancels the build of this name, if it runs.
    pub fn cancel_build(&self, build: &str) {
        self.0.builds.cancel(build);
    }

    /// The build cache's records, the longest unused first.
    ///
    /// # Errors
    /// `Internal` when it cannot be read.
    pub async fn cache_records(&self) -> Result<Vec<CacheRecord>, BuildError> {
        cache::records(&self.0).await
    }

    /// Removes what is kept of builds, is meant and is not used; returns the records of what is gone.
    ///
    /// # Errors
    /// `Internal` when something cannot be removed.
    pub async fn prune_cache(&self, pruning: Pruning) -> Result<Vec<CacheRecord>, BuildError> {
        cache::prune(&self.0, pruning).await
    }

    /// Reads the fields of a request about the session that it opens.
    ///
    /// # Errors
    /// [`SessionRefusal`] without an id.
    pub fn read_session(&self, fields: &HeaderMap) -> Result<NewSession, SessionRefusal> {
        Fields::read(fields).map(NewSession).ok_or(SessionRefusal)
    }

    /// Runs a client's session until its connection ends. Builds that use it end with it.
    pub async fn run_session(&self, session: NewSession, stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
        self.run_session_at(session, stream, Pace::default()).await;
    }

    /// Runs a client's session on a socket that nobody else watches, so that it can be read less often while much comes,
    /// until the connection ends. `early` was read of it already. Builds that use it end with it.
    pub async fn run_socket_session(&self, session: NewSession, socket: UnixStream, early: Bytes) {
        let pace = Pace::default();
        match PacedStream::new(socket, early, pace.clone()) {
            Ok(stream) => self.run_session_at(session, stream, pace).await,
            Err(error) => tracing::debug!("session {} failed: {error}", session.0.id),
        }
    }

    async fn run_session_at(
        &self,
        NewSession(fields): NewSession,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        pace: Pace,
    ) {
        let id = fields.id.clone();
        if let Err(error) = self.0.sessions.run(fields, stream, pace).await {
            tracing::debug!("session {id} failed: {error}");
        }
    }
}

/// Answers the calls of control connections.
struct Service(Arc<Parts>);

impl Handler for Service {
    fn handle(self: Arc<Self>, call: Call) -> Answer {
        let parts = Arc::clone(&self.0);
        let Some((service, method)) = call.path.trim_start_matches('/').split_once('/') else {
            return unknown(&call.path);
        };
        match (service, method) {
            ("moby.buildkit.v1.Control", "Info") => Box::pin(control::info(parts, call)),
            ("moby.buildkit.v1.Control", "ListWorkers") => Box::pin(control::list_workers(parts, call)),
            ("moby.buildkit.v1.Control", "Solve") => Box::pin(control::solve(parts, call)),
            ("moby.buildkit.v1.Control", "Status") => Box::pin(control::status(parts, call)),
            ("moby.buildkit.v1.Control", "Session") => Box::pin(control::session(parts, call)),
            ("moby.buildkit.v1.Control", "DiskUsage") => Box::pin(control::disk_usage(parts, call)),
            ("moby.buildkit.v1.Control", "Prune") => Box::pin(control::prune(parts, call)),
            ("moby.buildkit.v1.Control", "ListenBuildHistory") => {
                Box::pin(control::listen_history(parts, call))
            }
            ("moby.buildkit.v1.Control", "UpdateBuildHistory") => {
                Box::pin(control::update_history(parts, call))
            }
            ("moby.buildkit.v1.frontend.LLBBridge", "Ping") => Box::pin(gateway::ping(parts, call)),
            ("moby.buildkit.v1.frontend.LLBBridge", "Solve") => Box::pin(gateway::solve(parts, call)),
            ("moby.buildkit.v1.frontend.LLBBridge", "Return") => Box::pin(gateway::take_return(parts, call)),
            ("moby.buildkit.v1.frontend.LLBBridge", "Inputs") => Box::pin(gateway::inputs(parts, call)),
            ("moby.buildkit.v1.frontend.LLBBridge", "Evaluate") => Box::pin(gateway::evaluate(parts, call)),
            ("moby.buildkit.v1.frontend.LLBBridge", "StatFile") => Box::pin(gateway::stat_file(parts, call)),
            ("moby.buildkit.v1.frontend.LLBBridge", "ReadFile") => Box::pin(gateway::read_file(parts, call)),
            ("containerd.services.content.v1.Content", "Info") => Box::pin(content::info(parts, call)),
            ("containerd.services.content.v1.Content", "Read") => Box::pin(content::read(parts, call)),
            ("grpc.health.v1.Health", "Check") => Box::pin(control::health(call)),
            _ => unknown(&call.path),
        }
    }
}

fn unknown(path: &str) -> Answer {
    let status = Status::unimplemented(format!("this engine has no method {path}"));
    Box::pin(async move { Err(status) })
}
