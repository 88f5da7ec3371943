//! The builder's events as progress.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::builder::{
    BuildEvent, CheckWarning, EventSink, Material, OutputStream, Provision, Vertex, VertexChange,
};
use engine::images::registry::{Detail, Message};
use model::{Digest, without_credentials};

use crate::progress::{LogStream, Part, Progress, Step};
use buildkit_messages::control::VertexWarning;
use buildkit_messages::operations::{Position, Range, SourceInfo};

/// The final states of a part.
const OVER: [&str; 3] = ["Pull complete", "Already exists", "Download complete"];

/// Turns events into progress.
#[derive(Debug)]
pub(super) struct Events {
    progress: Arc<Progress>,
    /// Distinguishes the steps of several frontends of one build.
    prefix: String,
    /// The Dockerfile, for warnings about it.
    source: Option<SourceInfo>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By their numbers.
    steps: HashMap<usize, Step>,
    materials: BTreeSet<Material>,
    /// With whether a step needs it.
    provisions: BTreeMap<Provision, bool>,
    stages: Vec<Digest>,
    /// The parts of pulls and downloads under way.
    parts: HashMap<(usize, String), Part>,
}

impl Events {
    pub(super) fn new(progress: &Arc<Progress>, prefix: String, source: Option<SourceInfo>) -> Self {
        Self { progress: Arc::clone(progress), prefix, source, state: Mutex::default() }
    }

    /// The sources that the build took from elsewhere.
    pub(super) fn materials(&self) -> Vec<Material> {
        self.lock().materials.iter().cloned().collect()
    }

    /// What of the client's the steps may use, and whether one of them fails without it.
    pub(super) fn provisions(&self) -> BTreeMap<Provision, bool> {
        self.lock().provisions.clone()
    }

    /// The images of the stages that were built.
    pub(super) fn stages(&self) -> Vec<Digest> {
        self.lock().stages.clone()
    }

    fn plan(&self, vertices: &[Vertex]) {
        let key = |number: usize| format!("{}{number}", self.prefix);
        let announce = |vertex: &Vertex| {
            let inputs = vertex.inputs.iter().map(|input| self.progress.digest(&key(*input))).collect();
            (vertex.number, self.progress.announce(&key(vertex.number), &vertex.name, inputs))
        };
        self.lock().steps.extend(vertices.iter().map(announce));
    }

    fn change(&self, number: usize, change: VertexChange) {
        let mut state = self.lock();
        let Some(step) = state.steps.get(&number).cloned() else { return };
        match change {
            VertexChange::Started(name) => step.start_as(&name),
            VertexChange::Cached => step.complete_from_cache(),
            VertexChange::Completed => step.complete(),
            VertexChange::Failed(error) => step.fail(&error),
            VertexChange::Cancelled => step.fail("context canceled"),
            VertexChange::Output { stream, bytes } => {
                let stream = match stream {
                    OutputStream::Stdout => LogStream::Stdout,
                    OutputStream::Stderr => LogStream::Stderr,
                };
                step.log(stream, &bytes);
            }
            VertexChange::Progress(message) => state.advance(number, &step, &message),
        }
    }

    /// Shows what a check found, at the step that loaded the Dockerfile.
    fn warn(&self, warning: &CheckWarning) {
        let position = |line: usize| Position { line: i32::try_from(line).unwrap_or(i32::MAX), character: 0 };
        let (first, last) = warning.lines;
        let short = format!("{}: {} (line {first})", warning.rule.name(), warning.message);
        self.progress.warn(VertexWarning {
            vertex: self.progress.digest("dockerfile"),
            level: 1,
            short: without_credentials(&short).into_bytes(),
            detail: vec![warning.rule.description().as_bytes().to_vec()],
            url: warning.rule.url(),
            info: self.source.clone(),
            ranges: vec![Range { start: Some(position(first)), end: Some(position(last)) }],
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn advance(&mut self, number: usize, step: &Step, message: &Message) {
        let (current, total) = match message.detail {
            // A line of its own is not a part: the step's name has what is pulled.
            Detail::Absent => return,
            Detail::Empty => (0, 0),
            Detail::Amount { current, total } => (current, total),
        };
        let name = message.id.clone().unwrap_or_else(|| message.status.clone());
        let key = (number, name);
        if OVER.contains(&message.status.as_str()) {
            if let Some(part) = self.parts.remove(&key) {
                part.complete();
            }
            return;
        }
        let part = self.parts.entry(key).or_insert_with_key(|(_, name)| step.part(name));
        part.advance_of(current, total);
    }
}

impl EventSink for Events {
    fn send(&self, event: BuildEvent) {
        match event {
            BuildEvent::Plan(vertices) => self.plan(&vertices),
            BuildEvent::Warning(warning) => self.warn(&warning),
            BuildEvent::Material(material) => drop(self.lock().materials.insert(material)),
            BuildEvent::Provision { provision, is_required } => {
                *self.lock().provisions.entry(provision).or_default() |= is_required;
            }
            BuildEvent::Vertex { number, change } => self.change(number, change),
            // A build that runs as a graph has no other text.
            BuildEvent::Stage(image) => self.lock().stages.push(image),
            BuildEvent::Stream(_) | BuildEvent::Progress(_) => {}
        }
    }
}
