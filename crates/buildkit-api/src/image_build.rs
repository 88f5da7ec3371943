//! Builds of BuildKit by `POST /build`: its parameters in, the messages of the progress and the image's id out.

use std::collections::HashMap;
use std::sync::Arc;

use buildkit_messages::control::{Exporter, SolveRequest};
use engine::builder::BuildRequest;
use engine::images::registry::CredentialMap;
use model::ErrorKind;
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::build::Build;
use crate::control::merge;
use crate::export;
use crate::frontend;
use crate::grpc::Status;
use crate::parts::Parts;

/// Messages of the progress on the way.
const MESSAGES: usize = 16;
/// The key of an image's id in an exporter's response.
const IMAGE: &str = "containerimage.config.digest";

/// Where a result goes: the kind of an exporter, and its attributes.
pub type ImageExporter = (String, HashMap<String, String>);

/// A build by a request.
#[derive(Debug)]
pub struct ImageBuild {
    /// The client's name of the build, or one of [`BuildKit::new_build_name`](crate::BuildKit::new_build_name).
    pub reference: String,
    /// The client's session; empty where it has opened none.
    pub session: String,
    /// The parameters. The context `client-session` is offered by the session, `upload-request` comes with a request of
    /// its own.
    pub request: BuildRequest,
    /// Where the result goes.
    pub exporters: Vec<ImageExporter>,
    /// The credentials for registries, where its session does not provide them.
    pub credentials: CredentialMap,
}

/// A build that failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ImageBuildFailure {
    /// The kind of failure.
    pub kind: ErrorKind,
    message: String,
}

impl From<Status> for ImageBuildFailure {
    fn from(status: Status) -> Self {
        Self { kind: status.kind(), message: status.message }
    }
}

/// A build under way; it is cancelled when this is dropped.
#[derive(Debug)]
pub struct RunningImageBuild {
    messages: mpsc::Receiver<Vec<u8>>,
    task: JoinHandle<Result<Option<String>, ImageBuildFailure>>,
}

impl Drop for RunningImageBuild {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RunningImageBuild {
    /// The next message of the progress, encoded; `None` once nothing more comes.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.messages.recv().await
    }

    /// The id of the image, where the result has one.
    ///
    /// # Errors
    /// [`ImageBuildFailure`] with the text for the client.
    pub async fn outcome(mut self) -> Result<Option<String>, ImageBuildFailure> {
        let failed = |error| ImageBuildFailure {
            kind: ErrorKind::Internal,
            message: format!("the build failed: {error}"),
        };
        (&mut self.task).await.map_err(failed)?
    }
}

/// Starts a build.
pub(crate) fn start(parts: &Arc<Parts>, image_build: ImageBuild) -> RunningImageBuild {
    let (sender, messages) = mpsc::channel(MESSAGES);
    let parts = Arc::clone(parts);
    let task =
        tokio::spawn(async move { run(&parts, image_build, sender).await.map_err(ImageBuildFailure::from) });
    RunningImageBuild { messages, task }
}

async fn run(
    parts: &Arc<Parts>,
    image_build: ImageBuild,
    sender: mpsc::Sender<Vec<u8>>,
) -> Result<Option<String>, Status> {
    let ImageBuild { reference, session, request, exporters, credentials } = image_build;
    let exporters = exporters.into_iter().map(|(kind, attributes)| Exporter { kind, attributes });
    let build = Build::new(&SolveRequest {
        reference,
        session,
        exporters: exporters.collect(),
        ..SolveRequest::default()
    });
    let mut running = parts.builds.begin(Arc::clone(&build))?;
    let progress = Arc::clone(&build.progress);
    let work = async {
        let outcome = tokio::select! {
            outcome = solve(parts, &build, request, credentials) => outcome,
            () = build.cancelled() => Err(Status::cancelled()),
        };
        running.conclude(&outcome);
        drop(running);
        outcome
    };
    let report = async {
        let mut seen = 0;
        while let Some(messages) = progress.beyond(seen).await {
            seen += messages.len();
            for merged in merge(&messages) {
                if sender.send(merged.encode_to_vec()).await.is_err() {
                    return;
                }
            }
        }
    };
    let (outcome, ()) = tokio::join!(work, report);
    outcome.map(|mut response| response.remove(IMAGE))
}

async fn solve(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    request: BuildRequest,
    credentials: CredentialMap,
) -> Result<HashMap<String, String>, Status> {
    let warnings = export::check(&build.exporters)?;
    build.progress.warn_of_options(warnings);
    let images = frontend::run_request(parts, build, request, credentials).await?.images()?;
    export::run(parts, build, images).await
}
