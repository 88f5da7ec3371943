//! Removes the interfaces of disconnected containers, in the background and many at once.
//!
//! Removing an interface takes the kernel some 20 ms. Mostly it is not needed: a container's network
//! namespace ends with its last process, and the kernel removes the interface with it, together with others.
//! So interfaces are given that time first; those that are still there then (another container uses the
//! namespace) are removed, all in one go.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::locked;
use crate::error::Error;
use crate::route::Routing;

/// How long the kernel has for interfaces whose namespace is gone; it takes some 60 ms.
const TIMEOUT: Duration = Duration::from_millis(200);

/// The interfaces that wait, and the thread that removes them.
#[derive(Debug)]
pub(super) struct Reaper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Names of interfaces and when they are due.
    waiting: Vec<(String, Instant)>,
    /// Those that the thread is removing.
    going: Vec<String>,
    closing: bool,
}

impl Reaper {
    /// Starts the thread; `group` is what it marks interfaces with that it removes.
    pub(super) fn start(routing: Routing, group: u32) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("interfaces".to_owned())
            .spawn(move || of_thread.work(routing, group))
            .map_err(|source| Error::Socket { source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Leaves the interface to the kernel for a while, then removes it.
    pub(super) fn take(&self, interface: String) {
        let mut queue = locked(&self.shared.queue);
        let is_there = queue.going.contains(&interface);
        if !is_there && !queue.waiting.iter().any(|(name, _)| *name == interface) {
            queue.waiting.push((interface, Instant::now() + TIMEOUT));
            self.shared.changed.notify_all();
        }
    }

    /// The names of interfaces that will be removed: a new interface must not get one of them.
    pub(super) fn names(&self) -> Vec<String> {
        let queue = locked(&self.shared.queue);
        queue.waiting.iter().map(|(name, _)| name.clone()).chain(queue.going.iter().cloned()).collect()
    }

    /// Removes the interfaces that still wait, for a caller that cannot wait; the thread has none left then.
    ///
    /// # Errors
    /// The first refusal of the kernel; all are tried.
    pub(super) fn remove_now(&self, routing: &mut Routing) -> Result<(), Error> {
        let waiting: Vec<String> = {
            let queue = locked(&self.shared.queue);
            let idle = self.shared.changed.wait_while(queue, |queue| !queue.going.is_empty());
            let mut queue = idle.unwrap_or_else(std::sync::PoisonError::into_inner);
            queue.waiting.drain(..).map(|(name, _)| name).collect()
        };
        waiting.iter().map(|interface| routing.delete_interface(interface)).fold(Ok(()), Result::and)
    }
}

impl Shared {
    fn work(&self, mut routing: Routing, group: u32) {
        while let Some(interfaces) = self.due() {
            if let Err(error) = routing.delete_interfaces(&interfaces, group) {
                // There is no caller to report to; what is left is removed when the network opens next.
                tracing::warn!(%error, ?interfaces, "cannot remove interfaces");
            }
            locked(&self.queue).going.clear();
            self.changed.notify_all();
        }
    }

    /// Waits until interfaces are due; `None` at the end. Then all count as due.
    fn due(&self) -> Option<Vec<String>> {
        let mut queue = locked(&self.queue);
        loop {
            let now = Instant::now();
            let closing = queue.closing;
            let due: Vec<String> =
                queue.waiting.extract_if(.., |(_, at)| closing || *at <= now).map(|(name, _)| name).collect();
            if !due.is_empty() {
                queue.going.clone_from(&due);
                return Some(due);
            }
            if closing {
                return None;
            }
            let next = queue.waiting.iter().map(|(_, at)| *at).min();
            let wait = next.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(now));
            let waited = self.changed.wait_timeout(queue, wait);
            queue = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        locked(&self.shared.queue).closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has left interfaces, which go when the network opens next.
            let _ = thread.join();
        }
    }
}
