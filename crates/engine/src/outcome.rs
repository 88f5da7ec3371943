//! What a command came to, and work that goes on when its client leaves.

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
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(failure) => Err(Error::refused(format!("the engine failed at this request: {failure}"))),
    }
}
