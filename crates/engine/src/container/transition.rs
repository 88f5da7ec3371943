//! The lock that orders a container's transitions, and whether somebody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard};

/// Held by whoever starts, ends, pauses, renames, removes or writes into a container.
#[derive(Default)]
pub(crate) struct Transition {
    order: Arc<Mutex<()>>,
    waiting: AtomicUsize,
}

impl Transition {
    /// Waits for its turn.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, ()> {
        let _waiting = Waiting::begin(&self.waiting);
        self.order.lock().await
    }

    /// Waits for its turn; what it gives may leave the function.
    pub(crate) async fn lock_owned(&self) -> OwnedMutexGuard<()> {
        let _waiting = Waiting::begin(&self.waiting);
        Arc::clone(&self.order).lock_owned().await
    }

    /// Whether somebody waits for its turn now.
    pub(crate) fn is_awaited(&self) -> bool {
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
    async fn who_waits_is_seen_until_its_turn_or_its_end() {
        let transition = Arc::new(Transition::default());
        let held = transition.lock_owned().await;
        assert!(!transition.is_awaited());
        let other = Arc::clone(&transition);
        let gives_up = tokio::spawn(async move { drop(other.lock().await) });
        let other = Arc::clone(&transition);
        let waits = tokio::spawn(async move { drop(other.lock().await) });
        tokio::task::yield_now().await;
        gives_up.abort();
        assert!(gives_up.await.is_err());
        assert!(transition.is_awaited());
        drop(held);
        waits.await.expect("its turn");
        assert!(!transition.is_awaited());
    }
}
