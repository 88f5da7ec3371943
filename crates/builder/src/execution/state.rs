//! The builder, and one build under way: what its steps work on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use images::Store;
use images::registry::{Cancellation, Platform};
use model::ContainerId;

use super::arguments::BuildArguments;
use super::cache::Cache;
use super::stage::Stage;
use crate::error::BuildError;
use crate::event::{BuildEvent, EventSink};
use crate::request::{BuildRequest, Intermediate};
use crate::runner::{ImagePuller, StepRunner};
use crate::scratch::Scratch;
use crate::wording::Wording;
use crate::{context, dockerfile};

/// Builds images; one serves the whole engine.
#[derive(Debug)]
pub struct Builder {
    pub(super) store: Store,
    pub(super) directory: PathBuf,
    pub(super) engine_version: String,
    pub(super) cache: Arc<Cache>,
    pub(super) leftover: Vec<ContainerId>,
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
    /// Cancelled when the client goes away.
    pub cancellation: &'a Cancellation,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("cancellation", self.cancellation).finish_non_exhaustive()
    }
}

/// The request's parameters that steps look at.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) no_cache: bool,
    pub(super) pull: bool,
    pub(super) intermediate: Intermediate,
    pub(super) host: model::HostSettings,
    pub(super) platform: Option<Platform>,
    pub(super) cache_from: Vec<String>,
    pub(super) wording: Wording,
}

impl Parameters {
    pub(super) fn of(request: &BuildRequest) -> Self {
        Self {
            no_cache: request.no_cache,
            pull: request.pull,
            intermediate: request.intermediate,
            host: request.host.clone(),
            platform: request.platform.clone(),
            cache_from: request.cache_from.clone(),
            wording: request.wording,
        }
    }
}

/// One build under way.
pub(super) struct Build<'a> {
    pub(super) builder: &'a Builder,
    pub(super) session: Session<'a>,
    pub(super) parameters: Parameters,
    pub(super) arguments: BuildArguments,
    pub(super) escape: char,
    pub(super) context: context::Context,
    /// The stages before the present one.
    pub(super) stages: Vec<FinishedStage>,
    pub(super) stage: Option<Stage>,
    /// The present step's containers, to be removed after it.
    pub(super) containers: Vec<StepContainer>,
    /// How many steps have copied files, cached ones too: an inode of the context is given to one of them.
    pub(super) step: u64,
    /// The bytes of the configurations that it has made: each step's is kept whole.
    pub(super) configurations: usize,
    pub(super) scratch: Scratch,
    /// Takes the containers that are to be removed.
    pub(super) remover: Sender<ContainerId>,
}

/// What later stages may copy from.
pub(super) struct FinishedStage {
    pub(super) name: Option<String>,
    pub(super) stage: Stage,
}

/// A container that the stream names.
pub(super) struct StepContainer {
    pub(super) id: ContainerId,
    /// Whether the engine has it: steps without a process have none.
    pub(super) real: bool,
}

impl Build<'_> {
    pub(super) fn say(&self, text: impl Into<String>) {
        self.session.events.send(BuildEvent::Stream(text.into()));
    }

    pub(super) fn check_cancelled(&self) -> Result<(), BuildError> {
        if self.session.cancellation.is_cancelled() { Err(BuildError::Cancelled) } else { Ok(()) }
    }

    /// The present stage.
    pub(super) fn stage(&mut self) -> Result<&mut Stage, BuildError> {
        // The check of the whole file found FROM first; a trigger runs in a stage.
        self.stage.as_mut().ok_or(BuildError::NoImage)
    }

    pub(super) fn stage_ref(&self) -> Result<&Stage, BuildError> {
        self.stage.as_ref().ok_or(BuildError::NoImage)
    }

    /// Expands a word with the stage's variables.
    pub(super) fn expand(&self, word: &str) -> Result<String, BuildError> {
        let variables = self.stage_ref()?.variables();
        Ok(dockerfile::expand(word, self.escape, &variables)?)
    }
}
