//! What a build says while it runs: the messages of the stream of `POST /build`.

use images::registry::Message;
use model::Digest;

/// One message of a build's stream.
///
/// An error is no event: it is the build's result, which the caller writes as the stream's last
/// message, or as an answer of its own where no event came before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// `{"stream": …}`: a line of the builder, or a piece of a step's output.
    Stream(String),
    /// `{"aux": {"ID": …}}`: the image that a stage has made.
    Stage(Digest),
    /// The advance of a pull or a download.
    Progress(Message),
}

/// Takes the events of one build, in order, from several threads.
///
/// It may block while the client is slow; a client that has gone away is reported through the
/// build's [`Cancellation`](images::registry::Cancellation).
pub trait EventSink: Send + Sync {
    /// Hands one event on to the client.
    fn send(&self, event: BuildEvent);
}

impl<F: Fn(BuildEvent) + Send + Sync> EventSink for F {
    fn send(&self, event: BuildEvent) {
        self(event);
    }
}
