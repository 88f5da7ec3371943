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
mod cache_from;
mod changes;
mod commit;
mod copying;
mod declare;
mod from;
mod in_flight;
mod metadata;
mod output;
mod probe;
mod quote;
mod run;
mod stage;
mod state;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use images::Store;
use model::{ContainerId, Digest};

use crate::context;
use crate::dockerfile::{Dockerfile, append_labels};
use crate::error::BuildError;
use crate::event::BuildEvent;
use crate::request::{BuildRequest, ContextSource};
use crate::scratch::{self, Scratch};
use crate::wording::Wording;
pub use changes::apply_changes;

use arguments::BuildArguments;
use state::{Build, FinishedStage, Parameters, StepContainer};
pub use state::{Builder, Session};

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
        let wording = parameters.wording;
        let BuildRequest { context, dockerfile, target, labels, build_arguments, names, .. } = request;
        let choice = Choice { dockerfile, target, labels, wording };
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
            configurations: 0,
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
        if wording == Wording::Today {
            for name in &names {
                session.events.send(BuildEvent::Stream(format!("Successfully tagged {name}\n")));
            }
        }
        Ok(image)
    }
}

/// Which Dockerfile is meant, and what the request adds to it or leaves out.
struct Choice {
    dockerfile: Option<String>,
    target: Option<String>,
    labels: BTreeMap<String, String>,
    wording: Wording,
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
    let mut dockerfile = Dockerfile::parse(&loaded.dockerfile, choice.wording)?;
    dockerfile.stop_after(choice.target.as_deref())?;
    append_labels(&mut dockerfile, &choice.labels);
    Ok((dockerfile, loaded.context))
}
