//! Undoes a request that a shim has not answered.

use std::sync::Arc;
use std::task::Poll;

use shim_protocol::Request;

use super::Shim;

impl Shim {
    /// Sends a request behind one that cannot be withdrawn: a shim that resumes later handles both. It is
    /// written before later requests of others, and its answer is not awaited.
    pub(crate) async fn undo(self: &Arc<Self>, request: Request) {
        let shim = Arc::clone(self);
        let mut sent = Box::pin(async move { shim.request(request, None).await });
        let is_answered =
            std::future::poll_fn(|context| Poll::Ready(sent.as_mut().poll(context).is_ready())).await;
        if !is_answered {
            tokio::spawn(sent);
        }
    }
}
