//! A build as a graph: the stages that the target needs, several at a time.
//!
//! ```text
//! Waiting ─ a worker, or a stage that needs it ─▶ Running ─▶ Built
//!                                                       └──▶ Failed: the build is cancelled
//! ```
//!
//! Stages need earlier ones alone, so that each waits for a lower number only, and none for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::arguments::BuildArguments;
use super::contexts::ContextPaths;
use super::earlier::{EarlierStages, FinishedStage, ScheduledStages};
use super::from::parse_triggers;
use super::plan::Plan;
use super::state::{Build, Work};
use crate::dockerfile::{Command, Dockerfile, INSTRUCTION_LIMIT, Instruction};
use crate::error::BuildError;
use crate::event::{BuildEvent, Vertex, VertexChange};

/// As many stages are built at a time.
const WORKERS: usize = 16;

/// A build under way.
pub(super) struct Graph<'a> {
    work: &'a Work<'a>,
    dockerfile: &'a Dockerfile,
    plan: &'a Plan,
    /// The request's arguments, and what ARG declares before the first FROM.
    arguments: &'a BuildArguments,
    /// The paths of the main context that the certainly needed stages read.
    context_paths: ContextPaths,
    state: Mutex<State>,
    changed: Condvar,
    /// The number of the next step that is not planned.
    next_vertex: AtomicUsize,
}

struct State {
    stages: Vec<StageState>,
    /// The failure that came first.
    failure: Option<BuildError>,
}

#[derive(Clone)]
enum StageState {
    Waiting,
    Running,
    Built(Arc<FinishedStage>),
    Failed,
}

impl<'a> Graph<'a> {
    pub(super) fn new(
        work: &'a Work<'a>,
        dockerfile: &'a Dockerfile,
        plan: &'a Plan,
        arguments: &'a BuildArguments,
    ) -> Self {
        let stages = plan.stages.iter().map(|_| StageState::Waiting).collect();
        let state = Mutex::new(State { stages, failure: None });
        let context_paths = plan.context_paths(dockerfile);
        let next_vertex = AtomicUsize::new(plan.vertex_count());
        Self { work, dockerfile, plan, arguments, context_paths, state, changed: Condvar::new(), next_vertex }
    }

    /// Builds what the last stage needs, and that.
    ///
    /// # Errors
    /// [`BuildError`] of the first step that fails.
    pub(super) fn run(&self) -> Result<Arc<FinishedStage>, BuildError> {
        thread::scope(|scope| {
            for _ in 0..self.plan.needed.len().min(WORKERS) {
                scope.spawn(|| self.build_what_is_ready());
            }
        });
        let mut state = self.state();
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        match state.stages.last() {
            Some(StageState::Built(target)) => Ok(Arc::clone(target)),
            _ => Err(BuildError::NoImage),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds one ready stage after the other, until the build is over.
    fn build_what_is_ready(&self) {
        let mut state = self.state();
        while state.failure.is_none() {
            let is_built = |number: &usize| matches!(state.stages[*number], StageState::Built(_));
            let is_waiting = |number: &usize| matches!(state.stages[*number], StageState::Waiting);
            let needed = || self.plan.needed.iter().copied();
            let is_ready = |number: &usize| self.plan.stages[*number].inputs.iter().all(is_built);
            if let Some(number) = needed().filter(is_waiting).find(is_ready) {
                state.stages[number] = StageState::Running;
                drop(state);
                self.build(number);
                state = self.state();
                continue;
            }
            if !needed().any(|number| is_waiting(&number)) {
                return;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Builds a stage that this thread has marked as running.
    fn build(&self, number: usize) {
        let built = self.build_stage(number);
        let mut state = self.state();
        state.stages[number] = match built {
            Ok(stage) => StageState::Built(Arc::new(stage)),
            Err(error) => {
                state.failure.get_or_insert(error);
                self.work.session.cancellation.cancel();
                StageState::Failed
            }
        };
        drop(state);
        self.changed.notify_all();
    }

    fn build_stage(&self, number: usize) -> Result<FinishedStage, BuildError> {
        let is_planned = self.plan.needed.contains(&number);
        if !is_planned {
            self.work.session.events.send(BuildEvent::Plan(self.plan.steps_of(number)));
        }
        let context_paths = if is_planned {
            self.context_paths.clone()
        } else {
            self.plan.context_paths_of(number, self.dockerfile)
        };
        let mut build = Build {
            work: self.work,
            arguments: self.arguments.clone(),
            earlier: EarlierStages::Scheduled { stages: self, number },
            stage: None,
            containers: Vec::new(),
            context_paths,
            vertex: None,
        };
        let mut shown_triggers = self.plan.triggers(number);
        for index in self.plan.stages[number].instructions.clone() {
            build.check_cancelled()?;
            build.vertex = self.plan.vertex_of[index];
            let instruction = &self.dockerfile.instructions[index];
            if let Some(vertex) = build.vertex {
                let name =
                    self.plan.name((number, vertex, shown_triggers), instruction, build.stage.as_ref());
                build.report(VertexChange::Started(name));
            }
            let triggers = build.run_vertex(instruction)?;
            if matches!(instruction.command, Command::From { .. }) {
                shown_triggers = self.run_triggers(&mut build, number, instruction.lines, &triggers)?;
            }
        }
        let stage = build.stage.ok_or(BuildError::NoImage)?;
        if let Some(image) = stage.image {
            self.work.session.events.send(BuildEvent::Stage(image));
        }
        Ok(FinishedStage { name: stage.name.clone(), stage })
    }
}

impl Graph<'_> {
    /// Whether another trigger is shown as a step: many stages may share a base with many triggers.
    fn may_show_trigger(&self) -> bool {
        self.next_vertex.load(Ordering::Relaxed) < self.plan.vertex_count() + INSTRUCTION_LIMIT
    }

    /// Runs the triggers of the image that a stage begins with, which are steps as those of the file; returns how many of
    /// them clients see. `lines` are those of FROM, where clients look for what is wrong.
    fn run_triggers(
        &self,
        build: &mut Build<'_>,
        stage: usize,
        lines: Option<(usize, usize)>,
        triggers: &[String],
    ) -> Result<usize, BuildError> {
        let parsed = parse_triggers(triggers).map_err(|error| build.give_up(error.into()).at(lines))?;
        let shown = parsed.iter().filter(|trigger| trigger.command.changes_files()).count();
        let own = build.with_paths_of(&parsed);
        let mut place = 0;
        for trigger in &parsed {
            build.check_cancelled()?;
            build.vertex = None;
            if trigger.command.changes_files() && self.may_show_trigger() {
                let number = self.next_vertex.fetch_add(1, Ordering::Relaxed);
                let name = self.plan.trigger_name((stage, place, shown), trigger, build.stage.as_ref());
                let vertex = Vertex { number, name: name.clone(), inputs: Vec::new() };
                self.work.session.events.send(BuildEvent::Plan(vec![vertex]));
                build.vertex = Some(number);
                build.report(VertexChange::Started(name));
                place += 1;
            }
            let result = build.dispatch(&trigger.command);
            build.end_vertex(result, lines)?;
        }
        build.context_paths = own;
        Ok(shown)
    }
}

impl Build<'_> {
    /// Runs one instruction and reports how it ends, where it is a step of the graph; returns the triggers of the image
    /// that a stage begins with.
    fn run_vertex(&mut self, instruction: &Instruction) -> Result<Vec<String>, BuildError> {
        let nothing = |()| Vec::new();
        let result = match &instruction.command {
            Command::From { image, platform, stage } => {
                self.from(image, platform.as_deref(), stage.clone(), instruction.lines)
            }
            labels @ Command::Label(_) if instruction.lines.is_none() => self.add_labels(labels).map(nothing),
            command => self.dispatch(command).map(nothing),
        };
        self.end_vertex(result, instruction.lines)
    }

    /// Reports how an instruction has ended.
    fn end_vertex<T>(
        &mut self,
        result: Result<T, BuildError>,
        lines: Option<(usize, usize)>,
    ) -> Result<T, BuildError> {
        match result.and_then(|made| self.check_cancelled().map(|()| made)) {
            Ok(made) => {
                self.remove_containers();
                self.report(VertexChange::Completed);
                Ok(made)
            }
            Err(error) => {
                let error = self.give_up(error);
                self.report(match &error {
                    BuildError::Cancelled => VertexChange::Cancelled,
                    error => VertexChange::Failed(error.graph_text()),
                });
                Err(error.at(lines))
            }
        }
    }
}

impl ScheduledStages for Graph<'_> {
    fn named(&self, name: &str, before: usize) -> Option<usize> {
        self.plan.named(name, before)
    }

    fn count(&self) -> usize {
        self.plan.stages.len()
    }

    fn is_later(&self, name: &str, before: usize) -> bool {
        let later = self.plan.stages.iter().skip(before + 1);
        later.filter_map(|stage| stage.name.as_deref()).any(|known| known.eq_ignore_ascii_case(name))
    }

    fn finished(&self, number: usize) -> Result<Arc<FinishedStage>, BuildError> {
        let mut state = self.state();
        loop {
            match &state.stages[number] {
                StageState::Built(stage) => return Ok(Arc::clone(stage)),
                StageState::Failed => return Err(BuildError::Cancelled),
                StageState::Running => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                StageState::Waiting => {
                    // A trigger of an image needs what no instruction of the file named.
                    state.stages[number] = StageState::Running;
                    drop(state);
                    self.build(number);
                    state = self.state();
                }
            }
        }
    }
}
