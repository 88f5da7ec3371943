//! Keeps one thread of the runtime's pool for blocking work when no other can be made.
//!
//! The pool ends threads that are idle. Where the kernel makes no new one (a full table of processes, `pids.max`) it
//! panics, unless it has a thread left, whatever that does: then the work waits in its queue. This thread waits for
//! just that: once a requested thread has not begun, it takes what waits in the queue, itself behind it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Builder;

/// How long a requested thread may take to begin.
const BEGINNING: Duration = Duration::from_millis(100);
/// The name of the runtime's threads.
const NAME: &str = "tokio-rt-worker";

/// The thread in reserve, and the pool's requests for threads.
#[derive(Debug, Default)]
pub(crate) struct Reserve {
    threads: Mutex<Threads>,
    changed: Condvar,
}

/// Counts of the pool's threads.
#[derive(Debug, Default)]
struct Threads {
    /// How many were requested and have not begun.
    missing: usize,
    /// How many of these will not begin, and whose work was taken.
    made_up_for: usize,
    has_ended: bool,
}

impl Threads {
    const fn lacks_one(&self) -> bool {
        self.missing > self.made_up_for
    }
}

impl Reserve {
    /// Listens to the threads of the runtime that is built.
    pub(crate) fn listen(self: &Arc<Self>, builder: &mut Builder) {
        let (asked, begun) = (Arc::clone(self), Arc::clone(self));
        // The pool calls this for the name of each thread just before it makes it.
        builder.thread_name_fn(move || {
            asked.lock().missing += 1;
            asked.changed.notify_one();
            NAME.to_owned()
        });
        builder.on_thread_start(move || {
            let mut threads = begun.lock();
            threads.missing = threads.missing.saturating_sub(1);
            threads.made_up_for = threads.made_up_for.min(threads.missing);
        });
    }

    /// Takes a thread of the current runtime's pool until the [end](Self::end).
    pub(crate) fn start(self: &Arc<Self>) {
        let reserve = Arc::clone(self);
        tokio::task::spawn_blocking(move || reserve.wait());
    }

    /// Lets the thread go: the runtime ends.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_one();
    }

    fn wait(self: Arc<Self>) {
        if self.is_needed() {
            let missing = self.lock().missing;
            let next = Arc::clone(&self);
            // The pool's queue is taken in order: what waits in it now has begun before this does.
            tokio::task::spawn_blocking(move || {
                let mut threads = next.lock();
                threads.made_up_for = threads.made_up_for.max(missing.min(threads.missing));
                drop(threads);
                next.wait();
            });
        }
    }

    /// Waits until a requested thread does not begin; false at the end.
    fn is_needed(&self) -> bool {
        let mut threads = self.lock();
        loop {
            threads = self
                .changed
                .wait_while(threads, |threads| !threads.lacks_one() && !threads.has_ended)
                .unwrap_or_else(PoisonError::into_inner);
            if threads.has_ended {
                return false;
            }
            let waited = self.changed.wait_timeout_while(threads, BEGINNING, |threads| !threads.has_ended);
            (threads, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if threads.lacks_one() && !threads.has_ended {
                return true;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn work_that_waits_for_a_thread_which_never_begins_is_done() {
        let reserve = Arc::new(Reserve::default());
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(1);
        reserve.listen(&mut builder);
        let runtime = builder.build().expect("a runtime");
        runtime.block_on(async { reserve.start() });
        // The pool has its only thread, as if the kernel made no other; and this one was requested.
        reserve.lock().missing += 1;
        let (done, is_done) = mpsc::channel();
        runtime.spawn_blocking(move || done.send(()));
        reserve.changed.notify_one();
        is_done.recv_timeout(Duration::from_secs(60)).expect("the work");
        // It is in reserve again.
        let (done, is_done) = mpsc::channel();
        reserve.lock().missing += 1;
        runtime.spawn_blocking(move || done.send(()));
        reserve.changed.notify_one();
        is_done.recv_timeout(Duration::from_secs(60)).expect("the work");
        reserve.end();
        runtime.shutdown_timeout(Duration::from_secs(60));
    }
}
