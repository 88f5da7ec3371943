//! A test runtime whose threads for blocking work are all busy: work that ends all the same was done by the thread that
//! serves all clients' requests.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;

/// Runs work that must have another thread do what may wait, and returns its result.
///
/// # Panics
/// When the work ends while no other thread is free.
pub(crate) fn elsewhere<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (release, released) = mpsc::channel::<()>();
        // The one thread takes what it is given in order.
        let busy = tokio::task::spawn_blocking(move || released.recv());
        let mut work = pin!(work);
        let early = poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await;
        assert!(!early, "it made the runtime's own thread wait");
        drop(release);
        let result = work.await;
        assert!(busy.await.expect("its end").is_err(), "nobody sends");
        result
    })
}

#[test]
#[should_panic(expected = "it made the runtime's own thread wait")]
fn work_of_the_own_thread_is_found() {
    elsewhere(async {});
}
