//! Events of pods and their containers, with their records at that time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::{EventAction, Timestamp};

use super::service::Pods;
use crate::container::Record;
use crate::events::Live;

/// How often a new part is polled for, at most: its event is published a moment before it can be found.
const MOST_POLLS: u32 = 200;
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The change of a part of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodChange {
    /// It was made.
    Created,
    /// It runs.
    Started,
    /// It has ended.
    Stopped,
    /// It is gone.
    Deleted,
}

impl PodChange {
    const fn of(action: &EventAction) -> Option<Self> {
        match action {
            EventAction::Create => Some(Self::Created),
            EventAction::Start | EventAction::Ready => Some(Self::Started),
            EventAction::Die => Some(Self::Stopped),
            EventAction::Destroy => Some(Self::Deleted),
            _ => None,
        }
    }
}

/// Something that happened.
pub struct PodEvent {
    /// The change.
    pub change: PodChange,
    /// To which sandbox or container: as it is now, or as it was before it went.
    pub part: Arc<Record>,
    /// When.
    pub time: Timestamp,
}

/// A listener was too slow, or the engine shuts down: later events are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsMissed;

/// The events from now on.
pub struct PodEvents {
    pods: Arc<Pods>,
    live: Live,
    /// The parts as they were last seen: what is gone cannot be found any more.
    seen: HashMap<String, Arc<Record>>,
}

impl PodEvents {
    /// Listens from now on.
    #[must_use]
    pub fn listen(pods: &Arc<Pods>) -> Self {
        let live = pods.realm.events.subscribe().live;
        let parts = pods.sandboxes().into_iter().chain(pods.containers());
        let seen = parts.map(|record| (record.id.to_string(), record)).collect();
        Self { pods: Arc::clone(pods), live, seen }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// [`EventsMissed`]
    pub async fn next(&mut self) -> Result<PodEvent, EventsMissed> {
        loop {
            let event = self.live.recv().await.map_err(|_| EventsMissed)?;
            let Some(change) = PodChange::of(&event.action) else { continue };
            if let Some(part) = self.part(&event.actor.id, change).await {
                // It has started when it can be used.
                if part.is_sandbox() && event.action == EventAction::Start {
                    continue;
                }
                return Ok(PodEvent { change, part, time: event.time });
            }
        }
    }

    /// The sandbox of a part, as it is now or as it was last seen.
    #[must_use]
    pub fn sandbox_of(&self, part: &Arc<Record>) -> Option<Arc<Record>> {
        let Some(id) = part.pod.as_ref().and_then(|pod| pod.sandbox()) else { return Some(Arc::clone(part)) };
        self.pods.sandbox(id.as_str()).ok().or_else(|| self.seen.get(id.as_str()).cloned())
    }

    async fn part(&mut self, id: &str, change: PodChange) -> Option<Arc<Record>> {
        let found = match change {
            PodChange::Deleted => return self.seen.remove(id),
            PodChange::Created => self.find_soon(id).await,
            PodChange::Started | PodChange::Stopped => self.find(id),
        };
        if let Some(found) = &found {
            self.seen.insert(id.to_owned(), Arc::clone(found));
        }
        found
    }

    async fn find_soon(&self, id: &str) -> Option<Arc<Record>> {
        for _ in 0..MOST_POLLS {
            if let Some(found) = self.find(id) {
                return Some(found);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        None
    }

    fn find(&self, id: &str) -> Option<Arc<Record>> {
        self.pods.sandbox(id).or_else(|_| self.pods.container(id)).ok()
    }
}
