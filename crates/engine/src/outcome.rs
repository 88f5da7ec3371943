//! Outcomes of commands, and work that continues when its client leaves.

use std::future::Future;

use crate::error::Error;

/// Whether a command did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Done,
    /// Nothing had to be done.
    AlreadyDone,
}

/// Runs a transition to its end even if the caller stops waiting for it.
pub(crate) async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    joined(tokio::spawn(work).await)?
}

/// The result of a task; that it panicked is an error of its request.
pub(crate) fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, Error> {
    result.map_err(|failure| Error::refused(format!("the engine failed at this request: {failure}")))
}
