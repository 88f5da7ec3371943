//! The progress of a build: steps, their output, warnings. Kept from the build's begin, so that late requests get all
//! of it; and bounded, however much output steps have. Addresses in names, errors and warnings are shown without credentials.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::images::digest_of;
use model::without_credentials;
use tokio::sync::watch;

use buildkit_messages::control::{StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning};
use buildkit_messages::google::Timestamp;

/// The output that is kept of one step.
const STEP_LOG_LIMIT: usize = 2 << 20;
/// The output that is kept of a whole build.
const BUILD_LOG_LIMIT: usize = 16 << 20;
/// The messages that hold the output of a whole build: output that comes byte by byte is mostly put together to fewer.
const LOG_LIMIT: usize = 200_000;
/// The bytes of output that such a message has at most.
const GROWN_LOG: usize = 32 << 10;
/// Messages of progress of a whole build; what comes then replaces nothing and is left out.
const STATUS_LIMIT: usize = 100_000;
/// The last output of a step whose output is clipped.
const CLIPPED: &str = "\n[output clipped, log limit 2MiB reached]\n";

/// The memory of a message without its output, about: names and digests.
const MESSAGE_WEIGHT: usize = 512;

/// One build's progress.
#[derive(Debug)]
pub(crate) struct Progress {
    reference: String,
    state: Mutex<State>,
    /// How many messages there are.
    count: watch::Sender<usize>,
    /// True once nothing more comes.
    over: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Arc<StatusResponse>>,
    is_over: bool,
    vertices: HashMap<String, Vertex>,
    logged: HashMap<String, usize>,
    logged_in_all: usize,
    /// How many messages hold output.
    logs: usize,
    /// How many messages were sent to a client; the later ones may still grow.
    given: usize,
    statuses: usize,
    warnings: i32,
}

/// How many steps a build has had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: i32,
    pub(crate) cached: i32,
    pub(crate) completed: i32,
    pub(crate) warnings: i32,
}

/// The stream that output comes from, by its number in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogStream {
    Stdout = 1,
    Stderr = 2,
}

impl Progress {
    pub(crate) fn new(reference: &str) -> Arc<Self> {
        Arc::new(Self {
            reference: reference.to_owned(),
            state: Mutex::default(),
            count: watch::Sender::new(0),
            over: watch::Sender::new(false),
        })
    }

    /// The digest that stands for a step of this build.
    pub(crate) fn digest(&self, key: &str) -> String {
        digest_of(format!("{}\0{key}", self.reference).as_bytes()).to_string()
    }

    /// Announces a step.
    pub(crate) fn announce(self: &Arc<Self>, key: &str, name: &str, inputs: Vec<String>) -> Step {
        let digest = self.digest(key);
        let name = without_credentials(name);
        let vertex = Vertex { digest: digest.clone(), inputs, name, ..Vertex::default() };
        let mut state = self.lock();
        state.vertices.insert(digest.clone(), vertex.clone());
        self.push(&mut state, StatusResponse { vertices: vec![vertex], ..StatusResponse::default() });
        Step { progress: Arc::clone(self), digest }
    }

    /// Announces a step and starts it.
    pub(crate) fn start(self: &Arc<Self>, key: &str, name: &str) -> Step {
        let step = self.announce(key, name, Vec::new());
        step.start();
        step
    }

    /// Adds a warning.
    pub(crate) fn warn(&self, warning: VertexWarning) {
        let mut state = self.lock();
        state.warnings += 1;
        self.push(&mut state, StatusResponse { warnings: vec![warning], ..StatusResponse::default() });
    }

    /// Warns of requested options that have no effect, although the build continues.
    pub(crate) fn warn_of_options(self: &Arc<Self>, warnings: Vec<String>) {
        if warnings.is_empty() {
            return;
        }
        let step = self.start("options", "[internal] check build options");
        for warning in warnings {
            let short = without_credentials(&warning).into_bytes();
            self.warn(VertexWarning {
                vertex: step.digest.clone(),
                level: 1,
                short,
                ..VertexWarning::default()
            });
        }
        step.complete();
    }

    /// Marks the end.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.count.send_modify(|_| {});
        self.over.send_replace(true);
    }

    /// Waits until nothing more comes.
    pub(crate) async fn over(&self) {
        // The sender exists as long as the progress.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Waits for messages beyond the first `seen`; `None` once all were seen and nothing more comes.
    pub(crate) async fn beyond(&self, seen: usize) -> Option<Vec<Arc<StatusResponse>>> {
        let mut count = self.count.subscribe();
        loop {
            count.mark_unchanged();
            {
                let mut state = self.lock();
                if state.messages.len() > seen {
                    state.given = state.messages.len();
                    return Some(state.messages[seen..].to_vec());
                }
                if state.is_over {
                    return None;
                }
            }
            if count.changed().await.is_err() {
                return None;
            }
        }
    }

    /// How many steps there have been so far.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        let count = |wanted: fn(&Vertex) -> bool| {
            i32::try_from(state.vertices.values().filter(|vertex| wanted(vertex)).count()).unwrap_or(i32::MAX)
        };
        Counts {
            total: count(|_| true),
            cached: count(|vertex| vertex.cached),
            completed: count(|vertex| vertex.completed.is_some()),
            warnings: state.warnings,
        }
    }

    /// Its memory, about.
    pub(crate) fn weight(&self) -> usize {
        let state = self.lock();
        state.logged_in_all + state.messages.len() * MESSAGE_WEIGHT
    }

    fn push(&self, state: &mut State, message: StatusResponse) {
        state.messages.push(Arc::new(message));
        self.count.send_replace(state.messages.len());
    }

    fn change(&self, digest: &str, change: impl FnOnce(&mut Vertex)) {
        let mut state = self.lock();
        let Some(vertex) = state.vertices.get_mut(digest) else { return };
        change(vertex);
        let vertex = vertex.clone();
        self.push(&mut state, StatusResponse { vertices: vec![vertex], ..StatusResponse::default() });
    }

    fn log(&self, digest: &str, stream: LogStream, bytes: &[u8]) {
        let mut state = self.lock();
        let State { logged, logged_in_all, .. } = &mut *state;
        let of_step = logged.entry(digest.to_owned()).or_default();
        if *of_step >= STEP_LOG_LIMIT || *logged_in_all >= BUILD_LOG_LIMIT {
            return;
        }
        *of_step += bytes.len();
        *logged_in_all += bytes.len();
        if state.logs >= LOG_LIMIT {
            state.logged_in_all = BUILD_LOG_LIMIT;
        }
        let is_clipped = state.logged[digest] >= STEP_LOG_LIMIT || state.logged_in_all >= BUILD_LOG_LIMIT;
        if !is_clipped && state.extend_last_log(digest, stream, bytes) {
            return;
        }
        state.logs += 1;
        let log = |message: &[u8]| VertexLog {
            vertex: digest.to_owned(),
            timestamp: Some(Timestamp::now()),
            stream: stream as i64,
            message: message.to_vec(),
        };
        let mut logs = vec![log(bytes)];
        if is_clipped {
            logs.push(log(CLIPPED.as_bytes()));
        }
        self.push(&mut state, StatusResponse { logs, ..StatusResponse::default() });
    }

    fn status(&self, status: VertexStatus) {
        let mut state = self.lock();
        state.statuses += 1;
        if state.statuses <= STATUS_LIMIT {
            self.push(&mut state, StatusResponse { statuses: vec![status], ..StatusResponse::default() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds output to the last message if that holds the same stream of the same step and was not sent yet.
    fn extend_last_log(&mut self, digest: &str, stream: LogStream, bytes: &[u8]) -> bool {
        if self.given >= self.messages.len() {
            return false;
        }
        let Some(last) = self.messages.last_mut().and_then(Arc::get_mut) else { return false };
        match last.logs.last_mut() {
            Some(log)
                if log.vertex == digest
                    && log.stream == stream as i64
                    && log.message.len() + bytes.len() <= GROWN_LOG =>
            {
                log.message.extend_from_slice(bytes);
                true
            }
            _ => false,
        }
    }
}

/// One step of a build.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    progress: Arc<Progress>,
    pub(crate) digest: String,
}

impl Step {
    pub(crate) fn start(&self) {
        self.progress.change(&self.digest, |vertex| {
            vertex.started.get_or_insert_with(Timestamp::now);
        });
    }

    /// Starts it under a more precise name than the one it was announced with.
    pub(crate) fn start_as(&self, name: &str) {
        self.progress.change(&self.digest, |vertex| {
            vertex.name = without_credentials(name);
            vertex.started.get_or_insert_with(Timestamp::now);
        });
    }

    pub(crate) fn complete(&self) {
        self.progress.change(&self.digest, |vertex| {
            vertex.started.get_or_insert_with(Timestamp::now);
            vertex.completed = Some(Timestamp::now());
        });
    }

    /// Completes the step with what the cache has.
    pub(crate) fn complete_from_cache(&self) {
        self.progress.change(&self.digest, |vertex| {
            let now = Timestamp::now();
            vertex.started.get_or_insert(now);
            vertex.completed = Some(now);
            vertex.cached = true;
        });
    }

    pub(crate) fn fail(&self, error: &str) {
        self.progress.change(&self.digest, |vertex| {
            vertex.started.get_or_insert_with(Timestamp::now);
            vertex.completed = Some(Timestamp::now());
            vertex.error = without_credentials(error);
        });
    }

    /// Completes or fails the step by a result.
    pub(crate) fn conclude<T, E: std::fmt::Display>(&self, result: Result<T, E>) -> Result<T, E> {
        match &result {
            Ok(_) => self.complete(),
            Err(error) => self.fail(&error.to_string()),
        }
        result
    }

    /// Fails the step by a result that is an error.
    pub(crate) fn conclude_failure<T, E: std::fmt::Display>(&self, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|error| self.fail(&error.to_string()))
    }

    pub(crate) fn log(&self, stream: LogStream, bytes: &[u8]) {
        self.progress.log(&self.digest, stream, bytes);
    }

    /// Begins a part of the step.
    pub(crate) fn part(&self, id: &str) -> Part {
        let (step, id, started) = (self.clone(), without_credentials(id), Timestamp::now());
        let part = Part { step, id, current: AtomicU64::new(0), total: AtomicU64::new(0), started };
        part.report(None);
        part
    }
}

/// A part of a step that has a progress of its own.
#[derive(Debug)]
pub(crate) struct Part {
    step: Step,
    id: String,
    current: AtomicU64,
    total: AtomicU64,
    started: Timestamp,
}

impl Part {
    /// Sets how far it has come, of an unknown amount.
    pub(crate) fn advance(&self, current: u64) {
        self.advance_of(current, 0);
    }

    /// Sets how far it has come, of how much.
    pub(crate) fn advance_of(&self, current: u64, total: u64) {
        self.current.store(current, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.report(None);
    }

    pub(crate) fn complete(self) {
        self.report(Some(Timestamp::now()));
    }

    fn report(&self, completed: Option<Timestamp>) {
        let number = |bytes: &AtomicU64| i64::try_from(bytes.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        self.step.progress.status(VertexStatus {
            id: self.id.clone(),
            vertex: self.step.digest.clone(),
            name: self.id.clone(),
            current: number(&self.current),
            total: number(&self.total),
            timestamp: Some(Timestamp::now()),
            started: Some(self.started),
            completed,
        });
    }
}
