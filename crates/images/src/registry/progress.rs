//! Messages about long operations on images: those of pull, push, load and build.

/// Takes the messages of one long operation, from several threads.
pub trait Progress: Send + Sync {
    /// Shows one message. It may block for a short while but never fails: a reader that has
    /// gone away is reported through [`Cancellation`](super::Cancellation).
    fn report(&self, message: Message);
}

impl<F: Fn(Message) + Send + Sync> Progress for F {
    fn report(&self, message: Message) {
        self(message);
    }
}

/// Drops every message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _message: Message) {}
}

/// How far a message's subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// It is a line of its own.
    Absent,
    /// It is a state of the thing named by `id`, without an amount.
    Empty,
    /// So many bytes are done.
    Amount {
        /// The bytes done.
        current: u64,
        /// The total number of bytes; zero if unknown.
        total: u64,
    },
}

/// One message of a progress stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The state, in the words that clients show.
    pub status: String,
    /// The object: a layer's short digest or a tag.
    pub id: Option<String>,
    /// How far it is.
    pub detail: Detail,
}

impl Message {
    /// Makes a line of its own: `Digest: sha256:…`.
    #[must_use]
    pub fn line(status: impl Into<String>) -> Self {
        Self { status: status.into(), id: None, detail: Detail::Absent }
    }

    /// Makes a line that names a tag or a digest: `latest: Pulling from library/busybox`.
    #[must_use]
    pub fn titled(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self { status: status.into(), id: Some(id.into()), detail: Detail::Absent }
    }

    /// Makes the state of a layer: `4b1f3c5d6e7a: Pull complete`.
    #[must_use]
    pub fn state(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self { status: status.into(), id: Some(id.into()), detail: Detail::Empty }
    }

    /// Makes the advance of a layer.
    #[must_use]
    pub fn amount(id: impl Into<String>, status: impl Into<String>, current: u64, total: u64) -> Self {
        Self { status: status.into(), id: Some(id.into()), detail: Detail::Amount { current, total } }
    }
}
