//! Work that waits for the disk or for a registry, off the threads that answer calls.

use tonic::Status;

/// Runs work that waits.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Status::internal(format!("a task ended too early: {error}"))),
    }
}
