//! The steps of a build that run in a container which hosts them, until their shim reports their ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::ExecId;
use tokio::sync::oneshot;

/// Waiters for the ends of steps.
#[derive(Default)]
pub(crate) struct RunningSteps(Mutex<HashMap<ExecId, oneshot::Sender<i32>>>);

impl RunningSteps {
    /// Notes a step that is about to be started. Its exit code comes, or an error when its container has ended without one.
    pub(crate) fn begin(&self, id: ExecId) -> oneshot::Receiver<i32> {
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(id, sender);
        receiver
    }

    /// Reports an end; false where no step of this id is waited for.
    pub(crate) fn end(&self, id: &ExecId, code: i32) -> bool {
        let waiting = self.lock().remove(id);
        waiting.map(|waiting| waiting.send(code)).is_some()
    }

    /// The container has ended: none runs any more.
    pub(crate) fn end_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ExecId, oneshot::Sender<i32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_reported_once_and_all_end_with_their_container() {
        let steps = RunningSteps::default();
        let id = |number: u8| ExecId::from_random([number; 32]);
        let (mut first, mut second) = (steps.begin(id(1)), steps.begin(id(2)));
        assert!(steps.end(&id(1), 7) && !steps.end(&id(1), 7) && !steps.end(&id(3), 0));
        assert_eq!(first.try_recv(), Ok(7));
        assert_eq!(second.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        steps.end_all();
        assert_eq!(second.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
