//! The builder's needs of the engine: containers of RUN steps, and images that are not here.

use std::path::PathBuf;

use images::document::Config;
use images::registry::{Cancellation, Platform, Progress};
use model::{ContainerId, Digest, ErrorKind, HostSettings, ImageReference};

/// Why the engine could not do what a step needs.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct StepError {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// The failure itself; its text is what the client sees.
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// What a process of a step could not begin with, where it is that.
    pub start: Option<StartFailure>,
}

/// Why a process of a step did not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartFailure {
    /// Its program cannot be run: the cause.
    Program(String),
    /// What it is to run as or in is not there, or cannot be made: the cause.
    Surroundings(String),
}

impl StepError {
    /// Wraps a failure of the engine.
    pub fn new(kind: ErrorKind, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into(), start: None }
    }
}

/// The container that a RUN step needs.
#[derive(Debug, Clone)]
pub struct RunStep {
    /// The id that the container gets.
    pub id: ContainerId,
    /// The image to start from; `None` in a stage `FROM scratch` before its first layer.
    pub image: Option<Digest>,
    /// The whole configuration: the step's command in `cmd` without an entrypoint, the
    /// environment (build arguments included), user, working directory, volumes, labels.
    /// `hostname` is empty: the container's short id is meant.
    pub config: Config,
    /// The limits and the network of the build.
    pub host: HostSettings,
    /// The environment of the command.
    pub kind: StepKind,
}

/// The environment of a step's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// That of any container of the image: volumes, whose files are not the step's, and checks of its health.
    Container,
    /// Neither: what it writes into the place of a volume stays.
    Sandbox,
}

/// The container that was made for a RUN step.
#[derive(Debug)]
pub struct MadeContainer {
    /// The build's limits that the host does not support.
    pub warnings: Vec<String>,
}

/// The stream of a part of a step's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Runs the containers of RUN steps: ordinary containers, listed and inspected as any other.
///
/// The calls of one step come in this order: [`create`](Self::create), [`run`](Self::run),
/// [`changes`](Self::changes) when it ended with 0, [`remove`](Self::remove) unless it is kept.
pub trait StepRunner: Sync {
    /// Makes the container without starting it.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client.
    fn create(&self, step: &RunStep) -> Result<MadeContainer, StepError>;

    /// Starts the container, passes its output on as it comes, and waits for its end.
    ///
    /// On cancellation the container is killed and the call returns within a second, with any
    /// result. The exit code of a process killed by a signal is 128 and the signal's number.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client when the container cannot be started.
    fn run(
        &self,
        container: &ContainerId,
        output: &mut dyn FnMut(OutputStream, &[u8]),
        cancellation: &Cancellation,
    ) -> Result<i64, StepError>;

    /// The ended container's upper directory: exactly what the step changed, in overlay form,
    /// without the mount points that the runtime made for itself.
    ///
    /// Unless the container is kept (`rm=0`) the directory is renamed into the image store right
    /// after, and the container is removed.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client.
    fn changes(&self, container: &ContainerId) -> Result<PathBuf, StepError>;

    /// Removes the container with its anonymous volumes, killing it where it still runs.
    ///
    /// # Errors
    /// [`StepError`] when something of it is left.
    fn remove(&self, container: &ContainerId) -> Result<(), StepError>;

    /// No other step comes: removes what was kept for the next ones. Called once, behind all other calls.
    fn finish(&self);

    /// [`Self::finish`] of a build that has succeeded: it may continue in the background, as long as containers that are not removed
    /// yet are not shown. `end` is called when all are removed: until then its records let the next process find what is left.
    fn finish_behind(&self, end: Box<dyn FnOnce() + Send>) {
        self.finish();
        end();
    }
}

/// Pulls the images that FROM and `COPY --from` name and that are not there.
pub trait ImagePuller: Sync {
    /// Pulls an image with the credentials of the request, for a platform or the host's, and returns its id.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client.
    fn pull(
        &self,
        image: &ImageReference,
        platform: Option<&Platform>,
        progress: &dyn Progress,
        cancellation: &Cancellation,
    ) -> Result<Digest, StepError>;
}
