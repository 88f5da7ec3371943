//! Takes back what a shim was asked for and has not answered.

use std::sync::Arc;
use std::task::Poll;

use shim_protocol::Request;

use super::Shim;

impl Shim {
    /// Sends a request behind one that cannot be taken back: a shim that wakes up later does both. It is written before
    /// whatever others ask for, and nobody waits for its answer.
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
