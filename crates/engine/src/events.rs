//! What happened: kept for a while, and told to every listener in order.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use model::{Actor, Event, ResourceKind, Timestamp};
use tokio::sync::broadcast;

/// Events kept for `since`; the reference keeps 64, which a busy engine outruns in a second.
const KEPT: usize = 1024;

/// Events a slow listener may lag behind before it is cut off.
const LAG: usize = 4096;

/// The engine's events.
pub struct Events {
    kept: Mutex<VecDeque<Event>>,
    sender: broadcast::Sender<Event>,
}

/// A listener: what happened before it came, then what happens.
pub struct Subscription {
    /// Kept events in order, all older than what `live` brings.
    pub past: Vec<Event>,
    /// New events; `Lagged` when the listener was too slow.
    pub live: broadcast::Receiver<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self { kept: Mutex::new(VecDeque::with_capacity(64)), sender: broadcast::Sender::new(LAG) }
    }
}

impl Events {
    /// Tells all listeners, now.
    pub fn emit(&self, kind: ResourceKind, action: impl Into<String>, actor: Actor) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event { kind, action: action.into(), actor, time: Timestamp::now() };
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(event.clone());
        let _ = self.sender.send(event);
    }

    /// Starts to listen: no event is missed or seen twice between past and live.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Subscription { past: kept.iter().cloned().collect(), live: self.sender.subscribe() }
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// The kept events, to be stored when the daemon stops.
    #[must_use]
    pub fn kept(&self) -> Vec<Event> {
        self.subscribe().past
    }

    /// Puts events of an earlier daemon before all others.
    pub fn restore(&self, events: Vec<Event>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events.into_iter().rev().take(KEPT) {
            kept.push_front(event);
        }
    }
}
