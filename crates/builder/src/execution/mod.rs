//! A build: the steps of a Dockerfile, one by one.
//!
//! ```text
//! load context → parse and check → for every instruction:
//!   "Step n : …" → cached? "Using cache" : do it, commit → "---> id" → containers removed
//! → tag → the image's id
//! ```
//!
//! A [`Build`] is one request under way; its [`Stage`] is what the instructions since the last
//! FROM have made of the image so far.

mod arguments;
mod cache;
mod changes;
mod commit;
mod copying;
mod from;
mod in_flight;
mod metadata;
mod output;
mod quote;
mod run;
mod stage;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use images::Store;
use images::registry::Cancellation;
use model::{ContainerId, Digest};

use crate::dockerfile::{Dockerfile, append_labels};
use crate::error::BuildError;
use crate::event::{BuildEvent, EventSink};
use crate::request::{BuildRequest, ContextSource, Intermediate};
use crate::runner::{ImagePuller, StepRunner};
use crate::scratch::{self, Scratch};
use crate::{context, dockerfile};
pub use changes::apply_changes;

use arguments::BuildArguments;
use cache::Cache;
use stage::Stage;

/// Builds images; one serves the whole engine.
#[derive(Debug)]
pub struct Builder {
    store: Store,
    directory: PathBuf,
    engine_version: String,
    cache: Arc<Cache>,
    leftover: Vec<ContainerId>,
}

/// What one build works with beside its request.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Runs the containers of RUN steps.
    pub runner: &'a dyn StepRunner,
    /// Pulls images.
    pub puller: &'a dyn ImagePuller,
    /// Takes the stream's messages.
    pub events: &'a dyn EventSink,
    /// Told when the client goes away.
    pub cancellation: &'a Cancellation,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("cancellation", self.cancellation).finish_non_exhaustive()
    }
}

impl Builder {
    /// Makes a builder that keeps contexts and half-made layers in `directory`, which is made, or
    /// emptied of what an earlier process left. It must be on the image store's file system.
    ///
    /// # Errors
    /// `Internal` when the directory cannot be used.
    pub fn new(
        store: Store,
        directory: impl Into<PathBuf>,
        engine_version: impl Into<String>,
    ) -> Result<Self, BuildError> {
        let directory = directory.into();
        let leftover = scratch::sweep(&directory).map_err(BuildError::file("clean", &directory))?;
        let engine_version = engine_version.into();
        Ok(Self { store, directory, engine_version, cache: Arc::default(), leftover })
    }

    /// The containers of builds that an earlier process was in the middle of: nobody needs them, but
    /// only the engine can remove them. Some may be gone already.
    #[must_use]
    pub fn leftover_containers(&self) -> &[ContainerId] {
        &self.leftover
    }

    /// Builds an image and gives its id.
    ///
    /// An error that comes before the first event is an answer of its own; a later one is the
    /// stream's last message.
    ///
    /// # Errors
    /// [`BuildError`] with the text for the client.
    pub fn build(&self, request: BuildRequest, session: &Session<'_>) -> Result<Digest, BuildError> {
        let scratch = Scratch::create(&self.directory).map_err(BuildError::file("make", &self.directory))?;
        let parameters = Parameters::of(&request);
        let BuildRequest { context, dockerfile, target, labels, build_arguments, names, .. } = request;
        let choice = Choice { dockerfile, target, labels };
        let (dockerfile, context) = match prepare(context, &choice, &scratch, session) {
            Ok(prepared) => prepared,
            Err(error) => {
                scratch.remove();
                return Err(error);
            }
        };
        let (remover, removed) = std::sync::mpsc::channel();
        let build = Build {
            builder: self,
            session: *session,
            arguments: BuildArguments::new(build_arguments),
            parameters,
            escape: dockerfile.escape,
            context,
            stages: Vec::new(),
            stage: None,
            containers: Vec::new(),
            step: 0,
            scratch,
            remover,
        };
        let (result, arguments) = std::thread::scope(|scope| {
            let runner = session.runner;
            scope.spawn(move || steps::remove_all(runner, &removed));
            // The build goes at the end of this, and the sender with it: then the thread ends too.
            let mut build = build;
            let result = build.run(&dockerfile);
            // The context goes here, before everything unwritten goes to disk with the names.
            let Build { arguments, scratch, stage, .. } = build;
            if result.is_err() {
                scratch.remove();
            }
            (result.and_then(|image| Ok((image, stage.ok_or(BuildError::NoImage)?))), arguments)
        });
        let (image, stage) = result?;
        arguments.warn(session.events);
        session.events.send(BuildEvent::Stream(format!("Successfully built {}\n", image.short())));
        stage.name(&self.store, &names)?;
        Ok(image)
    }
}

/// Which Dockerfile is meant, and what the request adds to it or leaves out.
struct Choice {
    dockerfile: Option<String>,
    target: Option<String>,
    labels: BTreeMap<String, String>,
}

/// Gets the context and understands the Dockerfile in it.
fn prepare(
    source: ContextSource,
    choice: &Choice,
    scratch: &Scratch,
    session: &Session<'_>,
) -> Result<(Dockerfile, context::Context), BuildError> {
    let name = choice.dockerfile.as_deref();
    let loaded = context::load(source, name, scratch, session.events, session.cancellation);
    if session.cancellation.is_cancelled() {
        return Err(BuildError::Cancelled);
    }
    let loaded = loaded?;
    let mut dockerfile = Dockerfile::parse(&loaded.dockerfile)?;
    dockerfile.stop_after(choice.target.as_deref())?;
    append_labels(&mut dockerfile, &choice.labels);
    Ok((dockerfile, loaded.context))
}

/// The request's parameters that steps look at.
#[derive(Debug)]
struct Parameters {
    quiet: bool,
    no_cache: bool,
    pull: bool,
    intermediate: Intermediate,
    host: model::HostSettings,
}

impl Parameters {
    fn of(request: &BuildRequest) -> Self {
        Self {
            quiet: request.quiet,
            no_cache: request.no_cache,
            pull: request.pull,
            intermediate: request.intermediate,
            host: request.host.clone(),
        }
    }
}

/// One build under way.
struct Build<'a> {
    builder: &'a Builder,
    session: Session<'a>,
    parameters: Parameters,
    arguments: BuildArguments,
    escape: char,
    context: context::Context,
    /// The stages before the present one.
    stages: Vec<FinishedStage>,
    stage: Option<Stage>,
    /// The present step's containers, to be removed after it.
    containers: Vec<StepContainer>,
    /// How many steps have copied files, cached ones too: an inode of the context is given to one of them.
    step: u64,
    scratch: Scratch,
    /// Takes the containers that are to be removed.
    remover: Sender<ContainerId>,
}

/// What later stages may copy from.
struct FinishedStage {
    name: Option<String>,
    stage: Stage,
}

/// A container that the stream names.
struct StepContainer {
    id: ContainerId,
    /// Whether the engine has it: steps without a process have none.
    real: bool,
}

impl Build<'_> {
    fn say(&self, text: impl Into<String>) {
        self.session.events.send(BuildEvent::Stream(text.into()));
    }

    fn check_cancelled(&self) -> Result<(), BuildError> {
        if self.session.cancellation.is_cancelled() { Err(BuildError::Cancelled) } else { Ok(()) }
    }

    /// The present stage.
    fn stage(&mut self) -> Result<&mut Stage, BuildError> {
        // The check of the whole file found FROM first; a trigger runs in a stage.
        self.stage.as_mut().ok_or(BuildError::NoImage)
    }

    fn stage_ref(&self) -> Result<&Stage, BuildError> {
        self.stage.as_ref().ok_or(BuildError::NoImage)
    }

    /// Expands a word with the stage's variables.
    fn expand(&self, word: &str) -> Result<String, BuildError> {
        let variables = self.stage_ref()?.variables();
        Ok(dockerfile::expand(word, self.escape, &variables)?)
    }
}
