//! How many requests were answered, for whoever waits for the next one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// The number of answered requests.
#[derive(Debug, Default)]
pub struct Requests {
    count: AtomicU64,
    /// How many threads wait for further ones: without any, counting costs nothing else.
    waiters: AtomicUsize,
    waiting: Mutex<()>,
    changed: Condvar,
}

impl Requests {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Blocks until there were more than that.
    pub fn wait_for_more_than(&self, seen: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiters.fetch_add(1, Ordering::SeqCst);
        while self.count() <= seen {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    /// Counts one more. Either this sees the waiter, or the waiter sees this one: all four accesses are in one order.
    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) > 0 {
            // A waiter that has looked at the count sleeps by the time that the lock is free.
            drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn whoever_waits_is_woken_by_each_further_request() {
        let requests = Arc::new(Requests::default());
        let counted = Arc::clone(&requests);
        let (next, asked) = std::sync::mpsc::channel();
        let counter = std::thread::spawn(move || {
            for () in asked {
                counted.add();
            }
        });
        for seen in 0..10_000 {
            assert_eq!(requests.count(), seen);
            next.send(()).expect("the counter counts");
            requests.wait_for_more_than(seen);
        }
        drop(next);
        counter.join().expect("the counter's end");
        requests.wait_for_more_than(0);
    }
}
