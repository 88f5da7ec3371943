//! Follow-ups of a container's end, restart and removal: requested where the end is recorded, carried out by
//! the verbs above.

use std::sync::Arc;
use std::time::Duration;

use model::ContainerId;
use tokio::sync::mpsc;

use crate::container::{Container, restart_policy};

/// Work that follows an end.
pub(crate) enum FollowUp {
    /// Its policy starts it again.
    Restart {
        /// The container.
        container: Arc<Container>,
        /// After this time.
        delay: Duration,
        /// If it has not ended again meanwhile.
        exits: u64,
    },
    /// It was made to be removed when it ends (`AutoRemove`).
    Remove(ContainerId),
}

/// Takes requests for what follows; made once, with the receiver that the restarter reads.
#[derive(Clone)]
pub(crate) struct FollowUps(mpsc::UnboundedSender<FollowUp>);

impl FollowUps {
    pub(crate) fn channel() -> (Self, mpsc::UnboundedReceiver<FollowUp>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Requests a restart after the policy's current delay.
    pub(crate) fn restart(&self, container: &Arc<Container>) {
        let delay = restart_policy::next_delay(container);
        let exits = container.record().exits;
        self.send(FollowUp::Restart { container: Arc::clone(container), delay, exits });
    }

    /// Requests a removal.
    pub(crate) fn remove(&self, id: &ContainerId) {
        self.send(FollowUp::Remove(id.clone()));
    }

    /// The receiver is gone only when the engine closes: then nothing follows any more.
    fn send(&self, follow_up: FollowUp) {
        let _ = self.0.send(follow_up);
    }
}
