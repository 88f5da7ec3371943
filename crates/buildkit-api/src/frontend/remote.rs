//! Blocking work's way to a client's session: it waits for answers, but not once the build is cancelled.

use std::sync::Arc;

use engine::builder::StepError;
use model::ErrorKind;
use tokio::runtime::Handle;

use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::session::Session;

/// A build's session, for threads that may block.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    /// `None` for a build whose client has opened none.
    pub(super) session: Option<Arc<Session>>,
    pub(super) build: Arc<Build>,
    pub(super) runtime: Handle,
}

impl Remote {
    /// The session, where it is needed.
    ///
    /// # Errors
    /// `FailedPrecondition` without one.
    pub(super) fn session(&self) -> Result<&Session, Status> {
        self.session.as_deref().ok_or_else(no_session)
    }

    /// The session as of [`Self::session`], for work that runs by itself.
    ///
    /// # Errors
    /// `FailedPrecondition` without one.
    pub(super) fn session_handle(&self) -> Result<Arc<Session>, Status> {
        self.session.clone().ok_or_else(no_session)
    }

    /// Waits for an answer; `None` once the build is cancelled.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            tokio::select! {
                answer = answer => Some(answer),
                () = self.build.cancelled() => None,
            }
        })
    }

    /// Waits for an answer that may be a failure of the client.
    ///
    /// # Errors
    /// [`StepError`] with the client's text, or that the build was cancelled.
    pub(super) fn ask<T>(&self, answer: impl Future<Output = Result<T, Status>>) -> Result<T, StepError> {
        let answer = self.wait(answer).ok_or_else(cancelled)?;
        answer.map_err(|status| StepError::new(status.kind(), status))
    }
}

fn no_session() -> Status {
    Status::new(Code::FailedPrecondition, "the build has no session of its client")
}

/// The failure of work whose build was cancelled.
pub(super) fn cancelled() -> StepError {
    StepError::new(ErrorKind::Invalid, "the build was cancelled")
}
