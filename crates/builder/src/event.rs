//! The messages of a running build: those of the stream of `POST /build`, or the steps of a graph.

use images::registry::Message;
use model::{Digest, without_credentials};

use crate::dockerfile::CheckWarning;
use crate::runner::OutputStream;

/// One message of a build's stream.
///
/// An error is no event: it is the build's result, which the caller writes as the stream's last
/// message, or as an answer of its own where no event came before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// `{"stream": …}`: a line of the builder, or a part of a step's output.
    Stream(String),
    /// `{"aux": {"ID": …}}`: the image that a stage has made.
    Stage(Digest),
    /// The advance of a pull or a download.
    Progress(Message),
    /// A finding of a build check, in builds that run as a graph.
    Warning(CheckWarning),
    /// The steps of a build that runs as a graph, before the first of them; again those of a stage that only a step
    /// under way turns out to need.
    Plan(Vec<Vertex>),
    /// A change of a step in a build that runs as a graph.
    Vertex {
        /// Its number in the plan.
        number: usize,
        /// The change.
        change: VertexChange,
    },
    /// A source that a build takes from elsewhere, in builds that run as a graph.
    Material(Material),
    /// What of the client's a step may use, in builds that run as a graph.
    Provision {
        /// It.
        provision: Provision,
        /// Whether the step fails without it.
        is_required: bool,
    },
}

/// A source that a build takes from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Material {
    /// Its address, without credentials; for an image that of a package (package URL specification).
    pub address: String,
    /// Its content.
    pub content: MaterialContent,
}

impl Material {
    /// A source of this address, which may have credentials, with the content that it had.
    #[must_use]
    pub fn new(address: &str, content: MaterialContent) -> Self {
        Self { address: without_credentials(address), content }
    }
}

/// What of the client's a step may use, by its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provision {
    /// A secret.
    Secret(String),
    /// An ssh agent.
    Agent(String),
}

/// The content of a material.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaterialContent {
    /// A manifest, or a file, of this digest.
    Digest(Digest),
    /// The commit of a repository.
    Commit(String),
}

/// A step of a build that runs as a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// Its number in the plan.
    pub number: usize,
    /// The name for clients: `[build 2/5] RUN make`.
    pub name: String,
    /// The steps whose results it needs.
    pub inputs: Vec<usize>,
}

/// The change of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VertexChange {
    /// It begins, under this name: that of the plan with the values of variables.
    Started(String),
    /// It need not run: an earlier build made its result.
    Cached,
    /// Its command writes something, or the builder remarks on it.
    Output {
        /// Where to.
        stream: OutputStream,
        /// The output.
        bytes: Vec<u8>,
    },
    /// A pull or a download advances.
    Progress(Message),
    /// It is done.
    Completed,
    /// It failed, and the build with it.
    Failed(String),
    /// The build ended before it did.
    Cancelled,
}

/// Takes the events of one build, in order, from several threads.
///
/// It may block while the client is slow; a client that has gone away is reported through the
/// build's [`Cancellation`](images::registry::Cancellation).
pub trait EventSink: Send + Sync {
    /// Sends one event to the client.
    fn send(&self, event: BuildEvent);
}

impl<F: Fn(BuildEvent) + Send + Sync> EventSink for F {
    fn send(&self, event: BuildEvent) {
        self(event);
    }
}
