//! Bridges of removed networks, to be used for new ones.
//!
//! Removing a bridge takes the kernel some 40 ms, in half of which no interface of the host can be made or changed. So a
//! removed network leaves its bridge here: without addresses, down and renamed. A thread checks whether its settings are
//! unchanged. If so it serves the next network, and is removed when none comes; a changed one is removed at once.
//!
//! ```text
//! retire ─> Retired ─ as it was made ─> spare ─> take
//!              │                          │
//!              └ changed ─> removed <─ after a while, or beyond a few
//! ```
//! Bridges that are to be removed are removed together, which costs the kernel hardly more than one: a client may remove
//! a thousand networks.

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
/// So many are removed together: meanwhile no interface can be made or changed.
const MOST_TOGETHER: usize = 64;
/// How long a new network waits while a bridge is checked. A new one costs less, but later a removal more.
const TIMEOUT: Duration = Duration::from_millis(10);

/// The bridges that wait, and the thread that checks them.
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
    /// When it is to be checked, or removed.
    due: Instant,
    /// Its settings when its network was made; `None` of one that no other network can have.
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
    /// Whether the thread checks one that may become a spare.
    examining: bool,
    closing: bool,
}

/// The thread's next task.
enum Task {
    Examine(Spare),
    Remove(Vec<Spare>),
    End,
}

impl SpareBridges {
    /// Removes what an earlier daemon has left in the group, and starts the thread; `going` is the group that it puts
    /// bridges into to remove them.
    pub(super) fn start(mut routing: Routing, group: u32, going: u32) -> Result<Self, Error> {
        remove_left(&mut routing, group, going)?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("bridges".to_owned())
            .spawn(move || of_thread.work(routing, going))
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

/// Removes the bridges that an earlier daemon has left in the group, or was about to remove.
///
/// # Errors
/// The kernel's refusal.
pub(super) fn remove_left(routing: &mut Routing, group: u32, going: u32) -> Result<(), Error> {
    let is_left =
        |interface: &Interface| [group, going].contains(&interface.group) && interface.kind == "bridge";
    let left: Vec<String> =
        routing.interfaces()?.into_iter().filter(is_left).map(|interface| interface.name).collect();
    left.chunks(MOST_TOGETHER).try_for_each(|left| routing.delete_interfaces(left, going))
}

impl Spare {
    /// Whether it has not been checked.
    fn is_new(&self) -> bool {
        self.settings.is_some() && self.due == self.since
    }
}

impl Shared {
    fn work(&self, mut routing: Routing, going: u32) {
        loop {
            match self.next() {
                Task::Examine(spare) => self.examine(spare, &mut routing),
                Task::Remove(bridges) => self.remove(&bridges, (&mut routing, going)),
                Task::End => return,
            }
        }
    }

    /// Waits until there is something to do.
    fn next(&self) -> Task {
        let mut queue = locked(&self.queue);
        loop {
            let now = Instant::now();
            let closing = queue.closing;
            let unwanted = queue.unwanted(now);
            if !unwanted.is_empty() {
                return Task::Remove(unwanted);
            }
            if closing {
                return Task::End;
            }
            if let Some(place) = queue.retired.iter().position(|retired| retired.due <= now) {
                queue.examining = true;
                return Task::Examine(queue.retired.remove(place));
            }
            let due = queue.retired.iter().chain(&queue.spares).map(|spare| spare.due).min();
            let wait = due.map_or(Duration::from_secs(3600), |due| due.saturating_duration_since(now));
            queue = self.wait(queue, wait);
        }
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>, wait: Duration) -> MutexGuard<'q, Queue> {
        self.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Checks whether a bridge is unchanged.
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

    /// Removes bridges, and lets others change interfaces for as long as that took.
    fn remove(&self, bridges: &[Spare], (routing, going): (&mut Routing, u32)) {
        let begin = Instant::now();
        let names: Vec<String> = bridges.iter().map(|spare| spare.bridge.name.clone()).collect();
        if let Err(error) = routing.delete_interfaces(&names, going) {
            // There is no caller to report to; what is left is removed when the network opens next.
            tracing::warn!(%error, "cannot remove bridges of networks that are gone");
        }
        let (took, queue) = (begin.elapsed(), locked(&self.queue));
        if !queue.closing {
            drop(self.wait(queue, took));
        }
    }
}

impl Queue {
    /// Takes those that no network will have: changed ones, those that have waited, and what is beyond a few.
    fn unwanted(&mut self, now: Instant) -> Vec<Spare> {
        let Self { retired, spares, closing, .. } = self;
        let kept = if *closing { 0 } else { MOST };
        // Without a check of each, which reads all interfaces of the host.
        let surplus = retired.len().saturating_sub(kept);
        let mut unwanted: Vec<Spare> = retired.drain(..surplus).collect();
        unwanted.extend(retired.extract_if(.., |spare| spare.settings.is_none()));
        let surplus = spares.len().saturating_sub(kept);
        unwanted.extend(spares.drain(..surplus));
        unwanted.extend(spares.extract_if(.., |spare| spare.due <= now));
        let rest = unwanted.split_off(unwanted.len().min(MOST_TOGETHER));
        retired.extend(rest.into_iter().map(|spare| Spare { settings: None, ..spare }));
        unwanted
    }
}
