//! The builder, and one build under way: what its steps work on.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use images::registry::{Cancellation, Message, Platform};
use images::{Origin, Store};
use model::{ContainerId, Digest};

use super::arguments::BuildArguments;
use super::cache::Cache;
use super::cache_mounts::CacheMounts;
use super::contexts::{ContextPaths, Contexts};
use super::earlier::EarlierStages;
use super::lending_layers::LendingLayers;
use super::stage::Stage;
use crate::dockerfile;
use crate::error::BuildError;
use crate::event::{BuildEvent, EventSink, Material, MaterialContent, VertexChange};
use crate::order::Order;
use crate::request::{BuildRequest, Intermediate, Provisions};
use crate::runner::{ImagePuller, OutputStream, StepRunner};
use crate::scratch::Scratch;
use crate::source_policy::SourcePolicy;
use crate::wording::Wording;

/// Builds images; one serves the whole engine.
#[derive(Debug)]
pub struct Builder {
    pub(super) store: Store,
    pub(super) directory: PathBuf,
    pub(super) engine_version: String,
    pub(super) cache: Arc<Cache>,
    pub(super) leftover: Vec<ContainerId>,
    pub(super) cache_mounts: CacheMounts,
    /// Where secrets are as long as their step runs.
    pub(super) secrets: PathBuf,
    /// How many notes of layers it has written.
    pub(super) notes_written: AtomicUsize,
    /// The layers of copies that lend the next ones their files.
    pub(super) lending: LendingLayers,
}

/// The context of one build, in addition to its request.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Runs the containers of RUN steps.
    pub runner: &'a dyn StepRunner,
    /// Pulls images.
    pub puller: &'a dyn ImagePuller,
    /// Takes the stream's messages.
    pub events: &'a dyn EventSink,
    /// Cancelled when the client leaves.
    pub cancellation: &'a Cancellation,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("cancellation", self.cancellation).finish_non_exhaustive()
    }
}

/// The request's parameters that steps use.
pub(super) struct Parameters {
    pub(super) no_cache: bool,
    pub(super) pull: bool,
    pub(super) intermediate: Intermediate,
    pub(super) host: model::HostSettings,
    pub(super) platform: Option<Platform>,
    pub(super) cache_from: Vec<String>,
    pub(super) wording: Wording,
    pub(super) order: Order,
    pub(super) no_cache_filter: Vec<String>,
    pub(super) bare_stages: bool,
    pub(super) allows_host_network: bool,
    pub(super) provisions: Option<Arc<dyn Provisions>>,
    pub(super) policy: Option<Arc<dyn SourcePolicy>>,
}

impl Parameters {
    pub(super) fn of(request: &BuildRequest) -> Self {
        Self {
            no_cache: request.no_cache,
            pull: request.pull,
            intermediate: match request.order {
                Order::Written => request.intermediate,
                // The containers of a graph are never shown.
                Order::Graph => Intermediate::Remove,
            },
            host: request.host.clone(),
            platform: request.platform.clone(),
            cache_from: request.cache_from.clone(),
            wording: request.wording,
            order: request.order,
            no_cache_filter: request.no_cache_filter.clone(),
            bare_stages: request.bare_stages,
            allows_host_network: request.allows_host_network,
            provisions: request.provisions.clone(),
            policy: request.policy.clone(),
        }
    }

    /// The origin of steps' images in the store: those of a graph are never shown.
    pub(super) const fn origin(&self) -> Origin {
        match self.order {
            Order::Written => Origin::Here,
            Order::Graph => Origin::BuildStep,
        }
    }
}

/// The shared state of all stages of a build.
pub(super) struct Work<'a> {
    pub(super) builder: &'a Builder,
    pub(super) session: Session<'a>,
    pub(super) parameters: Parameters,
    pub(super) escape: char,
    pub(super) contexts: Contexts,
    pub(super) scratch: Scratch,
    /// How many steps have made something in the scratch directory.
    pub(super) steps: AtomicU64,
    /// The images that it found instead of making them.
    pub(super) found: Mutex<Vec<Digest>>,
    /// The bytes of the configurations that it has made: each step's is kept whole.
    pub(super) configurations: AtomicUsize,
    /// Whether images of other platforms than the one that is wanted are reported.
    pub(super) reports_platforms: AtomicBool,
    /// Takes the containers that are to be removed.
    pub(super) remover: Sender<ContainerId>,
}

/// One stage under way, or one after the other.
pub(super) struct Build<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) arguments: BuildArguments,
    /// The stages before the present one.
    pub(super) earlier: EarlierStages<'a>,
    pub(super) stage: Option<Stage>,
    /// The present step's containers, to be removed after it.
    pub(super) containers: Vec<StepContainer>,
    /// The paths of the main context that its instructions read.
    pub(super) context_paths: ContextPaths,
    /// The step under way, where clients see a graph.
    pub(super) vertex: Option<usize>,
}

/// A container that the stream names.
pub(super) struct StepContainer {
    pub(super) id: ContainerId,
    /// Whether it is in the engine: steps without a process are not.
    pub(super) real: bool,
    /// Whether the stream names it while the step runs.
    pub(super) named: bool,
}

impl Work<'_> {
    /// Notes an image that an earlier build made.
    pub(super) fn note_found(&self, image: Digest) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(image);
    }
}

impl Build<'_> {
    /// Sends a line of a stream that shows one step after the other.
    pub(super) fn stream(&self, text: impl Into<String>) {
        if self.work.parameters.order == Order::Written {
            self.work.session.events.send(BuildEvent::Stream(text.into()));
        }
    }

    /// Sends a remark on the present step.
    pub(super) fn remark(&self, text: String) {
        match self.vertex {
            None => self.stream(text),
            Some(_) => {
                self.report(VertexChange::Output { stream: OutputStream::Stderr, bytes: text.into_bytes() })
            }
        }
    }

    /// Reports what the build takes from elsewhere, where clients see a graph.
    pub(super) fn report_material(&self, address: &str, content: MaterialContent) {
        if self.work.parameters.order == Order::Graph {
            self.work.session.events.send(BuildEvent::Material(Material::new(address, content)));
        }
    }

    /// Reports what happens to the present step, where clients see a graph.
    pub(super) fn report(&self, change: VertexChange) {
        if let Some(number) = self.vertex {
            self.work.session.events.send(BuildEvent::Vertex { number, change });
        }
    }

    /// Sends the advance of a pull or a download.
    pub(super) fn send_progress(&self, message: Message) {
        match self.vertex {
            Some(_) => self.report(VertexChange::Progress(message)),
            None => self.work.session.events.send(BuildEvent::Progress(message)),
        }
    }

    /// A path in the scratch directory that no other step has.
    pub(super) fn scratch_path(&self, kind: &str) -> PathBuf {
        let number = self.work.steps.fetch_add(1, Ordering::Relaxed);
        self.work.scratch.path(&format!("{kind}-{number}"))
    }

    pub(super) fn check_cancelled(&self) -> Result<(), BuildError> {
        if self.work.session.cancellation.is_cancelled() { Err(BuildError::Cancelled) } else { Ok(()) }
    }

    /// The present stage.
    pub(super) fn stage(&mut self) -> Result<&mut Stage, BuildError> {
        // The check of the whole file found FROM first; a trigger runs in a stage.
        self.stage.as_mut().ok_or(BuildError::NoImage)
    }

    pub(super) fn stage_ref(&self) -> Result<&Stage, BuildError> {
        self.stage.as_ref().ok_or(BuildError::NoImage)
    }

    /// Puts the stage's variables into a here-document; quotes stay as they are.
    pub(super) fn expand_document(&self, text: &str) -> Result<String, BuildError> {
        let variables = self.stage_ref()?.variables();
        Ok(dockerfile::expand_document(text, self.work.escape, &variables)?)
    }

    /// Expands a word with the stage's variables.
    pub(super) fn expand(&self, word: &str) -> Result<String, BuildError> {
        let variables = self.stage_ref()?.variables();
        Ok(dockerfile::expand(word, self.work.escape, &variables)?)
    }
}
