//! Bridges of networks that are gone, for the networks that come.
//!
//! Removing a bridge takes the kernel some 40 ms, in half of which no interface of the host can be made or changed. So a
//! network that goes leaves its bridge here: without addresses, down and of another name. A thread looks whether
//! it is as it was made. Such a one serves the next network, and goes when none comes; any other goes at once.
//!
//! ```text
//! retire ─> Retired ─ as it was made ─> spare ─> take
//!              │                          │
//!              └ changed by somebody ─> removed <─ after a while, or beyond a few
//! ```

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lock::locked;
use crate::error::Error;
use crate::route::{Interface, Presence, Routing};

/// How long a bridge waits for its next network.
const LIFETIME: Duration = Duration::from_millis(500);
/// No more of them wait.
const MOST: usize = 4;
/// Ports of containers that have ended are gone after some time.
const PORTS_INTERVAL: Duration = Duration::from_millis(50);
/// How long a network that comes waits for a bridge to be looked at. A new one costs less, but later a removal more.
const TIMEOUT: Duration = Duration::from_millis(10);

/// The bridges that wait, and the thread that looks after them.
#[derive(Debug)]
pub(super) struct SpareBridges {
    shared: Arc<Shared>,
    group: u32,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A bridge without a network.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) bridge: Interface,
    /// When it is to be looked at, or removed.
    due: Instant,
    /// What was set on it when its network was made; `None` of one that no other network can have.
    settings: Option<Vec<u8>>,
    /// Since when no network has it.
    since: Instant,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    retired: Vec<Spare>,
    spares: Vec<Spare>,
    /// Whether the thread looks at one that may become a spare.
    examining: bool,
    closing: bool,
}

/// What the thread does next.
enum Task {
    Examine(Spare),
    Remove(Spare),
    End,
}

impl SpareBridges {
    /// Removes what an earlier daemon has left in the group, and starts the thread.
    pub(super) fn start(mut routing: Routing, group: u32) -> Result<Self, Error> {
        remove_left(&mut routing, group)?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("bridges".to_owned())
            .spawn(move || of_thread.work(routing))
            .map_err(|source| Error::Socket { source })?;
        Ok(Self { shared, group, thread: Mutex::new(Some(thread)) })
    }

    /// Takes a bridge from its network. Its name and addresses are free then.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn retire(
        &self,
        routing: &mut Routing,
        bridge: &Interface,
        settings: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let name = format!("bs{}", bridge.index);
        if routing.retire_bridge(bridge, &name, self.group)? == Presence::Gone {
            return Ok(());
        }
        let since = Instant::now();
        let bridge = Interface { name, ..bridge.clone() };
        locked(&self.shared.queue).retired.push(Spare { bridge, due: since, settings, since });
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Gives a bridge that is as it was made, if there is one.
    pub(super) fn take(&self) -> Option<Spare> {
        let queue = locked(&self.shared.queue);
        let waited = self.shared.changed.wait_timeout_while(queue, TIMEOUT, |queue| {
            queue.spares.is_empty() && (queue.examining || queue.retired.iter().any(Spare::is_new))
        });
        waited.unwrap_or_else(PoisonError::into_inner).0.spares.pop()
    }

    /// Takes back one that could not be used.
    pub(super) fn give_up(&self, spare: Spare) {
        locked(&self.shared.queue).retired.push(Spare { settings: None, due: Instant::now(), ..spare });
        self.shared.changed.notify_all();
    }

    /// Removes all that wait.
    pub(super) fn close(&self) {
        locked(&self.shared.queue).closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = locked(&self.thread).take() {
            // A thread that panicked has left bridges, which go when the network opens next.
            let _ = thread.join();
        }
    }
}

impl Drop for SpareBridges {
    fn drop(&mut self) {
        self.close();
    }
}

/// Removes the bridges that an earlier daemon has left in the group.
///
/// # Errors
/// The kernel's refusal.
pub(super) fn remove_left(routing: &mut Routing, group: u32) -> Result<(), Error> {
    let is_left = |interface: &Interface| interface.group == group && interface.kind == "bridge";
    for left in routing.interfaces()?.into_iter().filter(is_left) {
        routing.delete_interface(&left.name)?;
    }
    Ok(())
}

impl Spare {
    /// Whether it has not been looked at.
    fn is_new(&self) -> bool {
        self.settings.is_some() && self.due == self.since
    }
}

impl Shared {
    fn work(&self, mut routing: Routing) {
        loop {
            match self.next() {
                Task::Examine(spare) => self.examine(spare, &mut routing),
                Task::Remove(spare) => self.remove(&spare, &mut routing),
                Task::End => return,
            }
        }
    }

    /// Waits until there is something to do.
    fn next(&self) -> Task {
        let mut queue = locked(&self.queue);
        loop {
            let now = Instant::now();
            if queue.closing {
                let left = queue.retired.pop().or_else(|| queue.spares.pop());
                return left.map_or(Task::End, Task::Remove);
            }
            if let Some(place) = queue.retired.iter().position(|retired| retired.due <= now) {
                let retired = queue.retired.remove(place);
                queue.examining = retired.settings.is_some();
                return if queue.examining { Task::Examine(retired) } else { Task::Remove(retired) };
            }
            let is_one_too_many = queue.spares.len() > MOST;
            if queue.spares.first().is_some_and(|oldest| is_one_too_many || oldest.due <= now) {
                return Task::Remove(queue.spares.remove(0));
            }
            let due = queue.retired.iter().chain(&queue.spares).map(|spare| spare.due).min();
            let wait = due.map_or(Duration::from_secs(3600), |due| due.saturating_duration_since(now));
            queue = self.wait(queue, wait);
        }
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>, wait: Duration) -> MutexGuard<'q, Queue> {
        self.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Looks whether a bridge is as it was made.
    fn examine(&self, mut spare: Spare, routing: &mut Routing) {
        let index = Some(spare.bridge.index);
        let settings = routing.bridge_settings(&spare.bridge);
        let is_unchanged = settings.is_ok_and(|settings| settings == spare.settings);
        let is_alone = routing
            .interfaces()
            .is_ok_and(|all| all.iter().all(|other| other.master != index && other.lower != index));
        let now = Instant::now();
        let mut queue = locked(&self.queue);
        if is_unchanged && is_alone {
            spare.due = now + LIFETIME;
            queue.spares.push(spare);
        } else if is_unchanged && now < spare.since + LIFETIME {
            spare.due = now + PORTS_INTERVAL;
            queue.retired.push(spare);
        } else {
            queue.retired.push(Spare { settings: None, due: now, ..spare });
        }
        queue.examining = false;
        self.changed.notify_all();
    }

    /// Removes a bridge, and lets others change interfaces for as long as that took.
    fn remove(&self, spare: &Spare, routing: &mut Routing) {
        let begin = Instant::now();
        if let Err(error) = routing.delete_interface(&spare.bridge.name) {
            // Nobody waits for an answer; what is left goes when the network opens next.
            tracing::warn!(%error, "cannot remove the bridge of a network that is gone");
        }
        let (took, queue) = (begin.elapsed(), locked(&self.queue));
        if !queue.closing {
            drop(self.wait(queue, took));
        }
    }
}
