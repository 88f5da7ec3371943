//! A build: the steps of a Dockerfile, one by one, or as a graph of stages.
//!
//! ```text
//! load context → parse and check → for every instruction:
//!   "Step n : …" → cached? "Using cache" : do it, commit → "---> id" → containers removed
//! → tag → the image's id
//! ```
//!
//! [`Work`] is one request under way, and a [`Build`] a thread of it; its [`Stage`](stage::Stage) is what the
//! instructions since the last FROM have made of the image so far.

mod arguments;
mod cache;
mod cache_from;
mod cache_mounts;
mod cache_records;
mod cache_uses;
mod changes;
mod checks;
mod commit;
mod contexts;
mod copy_identity;
mod copying;
mod declare;
mod downloads;
mod earlier;
mod from;
mod graph;
mod in_flight;
mod judging;
mod known_layers;
mod layer_notes;
mod lending;
mod lending_layers;
mod metadata;
mod mounts;
mod outline;
mod output;
mod plan;
mod prepare;
mod probe;
mod quote;
mod reads;
mod run;
mod stage;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod tree_changes;
mod trees;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};

use images::Store;
use model::{ContainerId, Digest};

use crate::dockerfile::{Command, Dockerfile, expand};
use crate::error::BuildError;
use crate::event::BuildEvent;
use crate::order::Order;
use crate::request::{BuildRequest, CheckRequest};
use crate::scratch::{self, Scratch};
use crate::wording::Wording;
pub use cache_records::{CacheKind, CachePrune, CacheRecord, CacheRoom};
pub use changes::apply_changes;
pub use checks::environment_of;
pub use outline::{Outline, OutlineItem, Target, outline, targets};

use arguments::BuildArguments;
use cache_mounts::CacheMounts;
use contexts::{ContextPaths, Contexts};
use earlier::{EarlierStages, FinishedStage};
use graph::Graph;
use lending_layers::LendingLayers;
use plan::{Known, Plan};
use prepare::{Choice, prepare};
use state::{Build, Parameters, Work};
pub use state::{Builder, Session};

impl Builder {
    /// Makes a builder that keeps contexts, half-made layers and cache mounts in `directory`, which is made, or
    /// emptied of what an earlier process left unfinished. It must be on the image store's file system. Secrets are
    /// kept in `secrets` as long as their step runs: a directory in memory, which is emptied too.
    ///
    /// # Errors
    /// `Internal` when the directory cannot be used.
    pub fn new(
        store: Store,
        directory: impl Into<PathBuf>,
        secrets: impl Into<PathBuf>,
        engine_version: impl Into<String>,
    ) -> Result<Self, BuildError> {
        let directory = directory.into();
        let leftover = scratch::sweep(&directory).map_err(BuildError::file("clean", &directory))?;
        let secrets = secrets.into();
        scratch::empty(&secrets).map_err(BuildError::file("clean", &secrets))?;
        let removed = directory.join(scratch::REMOVED_CACHE_MOUNTS);
        let cache_mounts = CacheMounts::new(directory.join(scratch::CACHE_MOUNTS), removed);
        let engine_version = engine_version.into();
        let cache = Arc::default();
        let notes_written = AtomicUsize::new(0);
        let lending = LendingLayers::default();
        Ok(Self {
            store,
            directory,
            engine_version,
            cache,
            leftover,
            cache_mounts,
            secrets,
            notes_written,
            lending,
        })
    }

    /// The containers of builds during which an earlier process ended: they are not needed, but only the
    /// engine can remove them. Some may be gone already.
    #[must_use]
    pub fn leftover_containers(&self) -> &[ContainerId] {
        &self.leftover
    }

    /// Builds an image and returns its id.
    ///
    /// An error that comes before the first event is an answer of its own; a later one is the
    /// stream's last message.
    ///
    /// # Errors
    /// [`BuildError`] with the text for the client.
    pub fn build(&self, request: BuildRequest, session: &Session<'_>) -> Result<Digest, BuildError> {
        // Earlier layers going to disk meanwhile would take the build's time.
        let _deferred = self.store.defer_settling();
        let scratch = Scratch::create(&self.directory).map_err(BuildError::file("make", &self.directory))?;
        let parameters = Parameters::of(&request);
        let (wording, order) = (parameters.wording, parameters.order);
        let BuildRequest { context, dockerfile, dockerfile_text, target, labels, .. } = request;
        let arguments = request.build_arguments.clone();
        let written_target = target.clone();
        let (provisions, policy) = (request.provisions.clone(), request.policy.clone());
        let choice = Choice {
            dockerfile,
            text: dockerfile_text,
            target,
            labels,
            wording,
            order,
            arguments,
            provisions,
            policy,
            tree_changes: request.bare_stages.then(|| request.tree_changes.clone()),
        };
        let prepared = match prepare(context, &choice, &scratch, session) {
            Ok(prepared) => prepared,
            Err(error) => {
                scratch.remove();
                return Err(error);
            }
        };
        let (remover, removed) = std::sync::mpsc::channel();
        let cancellation = session.cancellation.child();
        let dockerfile = prepared.dockerfile;
        let checks =
            CheckRequest { arguments: request.build_arguments.clone(), ignored: request.ignored.clone() };
        let target_stage = match order {
            Order::Written => None,
            Order::Graph => Some(dockerfile.target_stage(written_target.as_deref())),
        };
        let mut arguments =
            BuildArguments::new(request.build_arguments, request.platform.as_ref(), target_stage);
        let target = std::thread::scope(|scope| {
            let runner = session.runner;
            let removing = scope.spawn(move || steps::remove_all(runner, &removed));
            let work = Work {
                builder: self,
                session: Session { cancellation: &cancellation, ..*session },
                parameters,
                escape: dockerfile.escape,
                contexts: Contexts::new(prepared.context, request.named_contexts, prepared.provider),
                scratch,
                steps: AtomicU64::new(0),
                found: Mutex::default(),
                configurations: AtomicUsize::new(0),
                reports_platforms: AtomicBool::new(false),
                remover,
            };
            let result = match order {
                Order::Written => run_written(&work, &dockerfile, &mut arguments),
                // The text of a graph was not written by a user.
                Order::Graph => {
                    let checks = (!work.parameters.bare_stages).then_some((&*prepared.text, &checks));
                    run_graph(&work, &dockerfile, &mut arguments, checks)
                }
            };
            self.note_uses(&work);
            let Work { scratch, remover, .. } = work;
            drop(remover);
            let _ = removing.join();
            // What is left of the containers is noted in the directory until they are gone.
            if result.is_ok() {
                runner.finish_behind(Box::new(move || scratch.remove()));
            } else {
                runner.finish();
                scratch.remove();
            }
            result
        })?;
        let image = target.stage.image.ok_or(BuildError::NoImage)?;
        if order == Order::Written {
            self.store.keep(&image)?;
        }
        let stream = |text: String| {
            if order == Order::Written {
                session.events.send(BuildEvent::Stream(text));
            }
        };
        arguments.warning().into_iter().for_each(&stream);
        stream(format!("Successfully built {}\n", image.short()));
        target.stage.name(&self.store, &request.names)?;
        if wording == Wording::Today {
            request.names.iter().for_each(|name| stream(format!("Successfully tagged {name}\n")));
        }
        Ok(image)
    }
}

/// Runs every instruction, one after the other.
fn run_written(
    work: &Work<'_>,
    dockerfile: &Dockerfile,
    arguments: &mut BuildArguments,
) -> Result<Arc<FinishedStage>, BuildError> {
    let mut build = Build {
        work,
        arguments: std::mem::take(arguments),
        earlier: EarlierStages::Built(Vec::new()),
        stage: None,
        containers: Vec::new(),
        context_paths: ContextPaths::All,
        vertex: None,
    };
    build.run(dockerfile)?;
    let stage = build.stage.ok_or(BuildError::NoImage)?;
    *arguments = build.arguments;
    Ok(Arc::new(FinishedStage { name: stage.name.clone(), stage }))
}

/// Runs the stages that the last one needs, several at a time, once they are checked.
fn run_graph(
    work: &Work<'_>,
    dockerfile: &Dockerfile,
    arguments: &mut BuildArguments,
    checks: Option<(&[u8], &CheckRequest)>,
) -> Result<Arc<FinishedStage>, BuildError> {
    for instruction in &dockerfile.instructions {
        match &instruction.command {
            Command::Arg(declared) => arguments.declare_global(declared, work.escape)?,
            _ => break,
        }
    }
    let expand = |word: &str| expand(word, work.escape, &arguments.global()).ok();
    let triggers = |name: &str| work.triggers_of(name);
    let known = Known { is_context: &|name| work.contexts.have(name), triggers: &triggers };
    let plan = Plan::of(dockerfile, &expand, &known);
    if let Some((text, request)) = checks {
        work.report_checks(text, request, &plan.needed)?;
    }
    work.session.events.send(BuildEvent::Plan(plan.announced()));
    Graph::new(work, dockerfile, &plan, arguments).run()
}
