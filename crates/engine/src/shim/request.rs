//! How long each kind of request may take, which may be sent again, and why one had no result.

use std::time::Duration;

use model::Signal;
use shim_protocol::{Failure, FailureKind, Request, UNNUMBERED};

use crate::error::Error;

/// How long an answer is waited for that a shim gives at once, and any answer of a stopped one.
pub(super) const PROMPT: Duration = Duration::from_secs(5);

/// How long the shim's answer may take. Each limit is far above what a healthy shim needs on a busy host.
pub(super) fn time_limit(request: &Request) -> Duration {
    match request {
        // The program is read from the container's disk, which may be slow.
        Request::Exec(_) | Request::Step(_) => Duration::from_secs(60),
        // The kernel freezes a process when it leaves what it waits for.
        Request::Pause => Duration::from_secs(20),
        // Processes are killed and cgroups removed.
        Request::Release => Duration::from_secs(15),
        Request::Start { .. } => Duration::from_secs(30),
        Request::Hello { .. }
        | Request::Signal(_)
        | Request::Unpause
        | Request::Update(_)
        | Request::Attach(_)
        | Request::Resize { .. }
        | Request::ExecResize { .. }
        | Request::Statistics
        | Request::Processes
        | Request::Execs
        | Request::Names(_)
        | Request::ReopenLog
        | Request::Relay(_) => PROMPT,
    }
}

/// Whether a request may be sent once more when the connection was lost before its answer. Shims with a
/// protocol number recognise a client and an exec that they have already.
pub(super) fn is_repeatable(request: &Request, protocol: u32) -> bool {
    match request {
        Request::Signal(signal) => *signal == Signal::KILL,
        Request::Start { .. } | Request::Attach(_) | Request::Exec(_) | Request::Step(_) => {
            protocol > UNNUMBERED
        }
        Request::Hello { .. }
        | Request::Pause
        | Request::Unpause
        | Request::Update(_)
        | Request::Resize { .. }
        | Request::ExecResize { .. }
        | Request::Statistics
        | Request::Processes
        | Request::Execs
        | Request::Names(_)
        | Request::ReopenLog
        | Request::Relay(_)
        | Request::Release => true,
    }
}

/// Why a request to a shim had no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The shim's process has ended.
    #[error("the container's shim is gone")]
    Gone,
    /// The connection was lost before the answer came, and the request must not be sent twice.
    #[error("the connection to the container's shim was lost")]
    Lost,
    /// The answer did not come in time.
    #[error("the container's shim does not answer")]
    Silent,
    /// The shim's refusal.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// The request cannot be written as a packet.
    #[error("cannot write a request to the container's shim: {0}")]
    Unsendable(#[source] serde_json::Error),
    /// The request is longer than the shim takes; only arguments and environments of processes are so long.
    #[error("argument list too long")]
    TooLong,
}

impl RequestError {
    /// Whether the container has ended just now: its shim reports so, or is gone. The record follows.
    pub(crate) const fn means_ended(&self) -> bool {
        match self {
            Self::Gone => true,
            Self::Refused(failure) => matches!(failure.kind, FailureKind::WrongState),
            Self::Lost | Self::Silent | Self::Unsendable(_) | Self::TooLong => false,
        }
    }

    /// The error of a request that needs a running container, which the client names so.
    pub(crate) fn of_running(self, reference: &str) -> Error {
        if self.means_ended() { Error::NotRunning(reference.to_owned()) } else { self.into() }
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Gone => Self::ShimGone,
            RequestError::Refused(failure) => failure.into(),
            RequestError::Lost => Self::ShimLost,
            RequestError::Silent => Self::ShimSilent,
            RequestError::TooLong => Self::refused(error.to_string()),
            RequestError::Unsendable(source) => {
                Self::Shim { act: "write a request to", source: source.into() }
            }
        }
    }
}
