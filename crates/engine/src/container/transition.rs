//! The lock that orders a container's transitions, and whether a task waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard};

/// The lock under which a container is started, ended, paused, renamed, removed or written into.
#[derive(Default)]
pub(crate) struct Transition {
    order: Arc<Mutex<()>>,
    waiting: AtomicUsize,
}

impl Transition {
    /// Waits for the lock.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, ()> {
        let _waiting = Waiting::begin(&self.waiting);
        self.order.lock().await
    }

    /// Waits for the lock; the guard borrows nothing.
    pub(crate) async fn lock_owned(&self) -> OwnedMutexGuard<()> {
        let _waiting = Waiting::begin(&self.waiting);
        Arc::clone(&self.order).lock_owned().await
    }

    /// Whether a task waits for the lock now.
    pub(crate) fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Counts a waiter until it acquires the lock or cancels.
struct Waiting<'t>(&'t AtomicUsize);

impl<'t> Waiting<'t> {
    fn begin(count: &'t AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiters_are_counted_until_they_acquire_or_cancel() {
        let transition = Arc::new(Transition::default());
        let held = transition.lock_owned().await;
        assert!(!transition.has_waiters());
        let other = Arc::clone(&transition);
        let cancelled = tokio::spawn(async move { drop(other.lock().await) });
        let other = Arc::clone(&transition);
        let waiting = tokio::spawn(async move { drop(other.lock().await) });
        tokio::task::yield_now().await;
        cancelled.abort();
        assert!(cancelled.await.is_err());
        assert!(transition.has_waiters());
        drop(held);
        waiting.await.expect("the lock");
        assert!(!transition.has_waiters());
    }
}
