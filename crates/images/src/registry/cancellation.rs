//! Stops long work from another thread, also while it waits for the network.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A cancellation token, shared by its owner and the workers.
///
/// The worker checks [`is_cancelled`](Self::is_cancelled) at every step; a connection that waits
/// for its peer is shut down at once.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    next: AtomicU64,
    watched: Mutex<Vec<(u64, Watched)>>,
    /// Registers a child at its parent.
    _membership: Option<Watch>,
}

enum Watched {
    Agent(ureq::Agent),
    Child(Weak<State>),
}

impl Cancellation {
    /// Makes one that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has every worker stop and breaks their connections.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        let watched = std::mem::take(&mut *self.watched());
        for (_, watched) in watched {
            match watched {
                Watched::Agent(agent) => agent.shutdown(),
                Watched::Child(child) => {
                    if let Some(child) = child.upgrade() {
                        Self(child).cancel();
                    }
                }
            }
        }
    }

    /// Whether the workers have to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Makes one for a part of the work: it is cancelled with this one, but not the other way.
    #[must_use]
    pub fn child(&self) -> Self {
        let number = self.next_number();
        let membership = Watch { cancellation: self.clone(), number };
        let child = Self(Arc::new(State { _membership: Some(membership), ..State::default() }));
        self.remember(number, Watched::Child(Arc::downgrade(&child.0)));
        child
    }

    /// Has the connections of `agent` closed on [`cancel`](Self::cancel) while the guard exists.
    pub(super) fn watch(&self, agent: &ureq::Agent) -> Watch {
        let number = self.next_number();
        self.remember(number, Watched::Agent(agent.clone()));
        Watch { cancellation: self.clone(), number }
    }

    fn remember(&self, number: u64, watched: Watched) {
        self.watched().push((number, watched));
        if self.is_cancelled() {
            self.cancel();
        }
    }

    fn next_number(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    fn watched(&self) -> MutexGuard<'_, Vec<(u64, Watched)>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Cancellation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Cancellation").field(&self.is_cancelled()).finish()
    }
}

/// Registers an agent or a child at a [`Cancellation`].
#[derive(Debug)]
pub(super) struct Watch {
    cancellation: Cancellation,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.cancellation.watched();
        let own = watched.iter().position(|(number, _)| *number == self.number);
        // Dropped after the lock is released: an agent may hold the last reference to much.
        let gone = own.map(|position| watched.swap_remove(position));
        drop(watched);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_stop_with_their_parent_only() {
        let parent = Cancellation::new();
        let (first, second) = (parent.child(), parent.child());
        first.cancel();
        assert!(first.is_cancelled() && !parent.is_cancelled() && !second.is_cancelled());
        parent.cancel();
        assert!(second.is_cancelled());
        assert!(parent.child().is_cancelled(), "a late child");
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let parent = Cancellation::new();
        for _ in 0..3 {
            drop(parent.child());
        }
        assert_eq!(parent.watched().len(), 0);
    }
}
