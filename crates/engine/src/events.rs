//! What happened: kept for a while, over a restart of the daemon too, and told to every listener in order.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::{Actor, Event, ResourceKind, Timestamp};
use tokio::sync::broadcast;

use crate::database::Database;
use crate::error::Error;
use crate::record::Record;

/// Events kept for `since`; the reference keeps 64, which a busy engine outruns in a second.
const KEPT: u32 = 1024;

/// Events a slow listener may lag behind before it is cut off.
const LAG: usize = 4096;

/// Rows of forgotten events are deleted when there are so many.
const FORGOTTEN: u64 = 128;

/// An event, and the form in which listeners are sent it: made once for all of them.
#[derive(Debug)]
pub struct PublishedEvent {
    event: Event,
    line: OnceLock<Box<[u8]>>,
}

impl PublishedEvent {
    fn new(event: Event) -> Arc<Self> {
        Arc::new(Self { event, line: OnceLock::new() })
    }

    /// The form that is sent; `write` makes it for the first listener that wants it.
    pub fn line(&self, write: impl FnOnce(&Event) -> Vec<u8>) -> &[u8] {
        self.line.get_or_init(|| write(&self.event).into_boxed_slice())
    }
}

impl Deref for PublishedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

/// The engine's events.
pub struct Events {
    kept: Mutex<RecentEvents>,
    sender: broadcast::Sender<Arc<PublishedEvent>>,
    database: Option<Arc<Database>>,
    /// Whether the database has refused an event already: one line in the log is enough.
    complained: AtomicBool,
}

/// The last events, oldest first.
#[derive(Default)]
struct RecentEvents {
    events: VecDeque<Arc<PublishedEvent>>,
    /// The number of the next event.
    next: u64,
}

/// A listener: what happened before it came, then what happens.
pub struct Subscription {
    /// RecentEvents events in order, all older than what `live` brings.
    pub past: Vec<Arc<PublishedEvent>>,
    /// New events; `Lagged` when the listener was too slow.
    pub live: broadcast::Receiver<Arc<PublishedEvent>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            sender: broadcast::Sender::new(LAG),
            database: None,
            complained: AtomicBool::new(false),
        }
    }
}

impl Events {
    /// Goes on where the last daemon ended, however it did.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn kept_in(database: Arc<Database>) -> Result<Self, Error> {
        let mut kept = RecentEvents::default();
        for (number, event) in database.events(KEPT)? {
            kept.events.push_back(PublishedEvent::new(event));
            kept.next = number + 1;
        }
        Ok(Self { kept: Mutex::new(kept), database: Some(database), ..Self::default() })
    }

    /// Tells all listeners, now.
    pub fn emit(&self, kind: ResourceKind, action: impl Into<String>, actor: Actor) {
        let action = action.into();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let published = PublishedEvent::new(Event { kind, action, actor, time: Timestamp::now() });
        if kept.events.len() >= KEPT as usize {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::clone(&published));
        self.save(kept.next, &published);
        kept.next += 1;
        let _ = self.sender.send(published);
    }

    /// Tells listeners what happened to a container.
    pub(crate) fn emit_container(&self, record: &Record, action: impl Into<String>, more: &[(&str, String)]) {
        let mut attributes = record.settings.labels.clone().unwrap_or_default();
        attributes.insert("image".to_owned(), record.settings.image.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        for (name, value) in more {
            attributes.insert((*name).to_owned(), value.clone());
        }
        let actor = Actor { id: record.id.to_string(), attributes };
        self.emit(ResourceKind::Container, action, actor);
    }

    /// Tells listeners what happened to an image.
    pub fn emit_image(&self, action: &str, name: &str) {
        let attributes = [("name".to_owned(), name.to_owned())].into();
        self.emit(ResourceKind::Image, action, Actor { id: name.to_owned(), attributes });
    }

    /// Keeps an event for the next daemon. That the disk is full must not stop what the event tells of.
    fn save(&self, number: u64, event: &Event) {
        let Some(database) = &self.database else { return };
        let mut saved = database.save_event(number, event);
        if number.is_multiple_of(FORGOTTEN) {
            saved = saved.and_then(|()| database.forget_events(number.saturating_sub(u64::from(KEPT))));
        }
        match saved {
            Ok(()) => self.complained.store(false, Ordering::Relaxed),
            Err(error) if !self.complained.swap(true, Ordering::Relaxed) => {
                tracing::warn!("events are not kept: {error}");
            }
            Err(_) => {}
        }
    }

    /// Starts to listen: no event is missed or seen twice between past and live.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Subscription { past: kept.events.iter().cloned().collect(), live: self.sender.subscribe() }
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_outlive_a_daemon_that_was_killed() {
        let directory = std::env::temp_dir().join(format!("berth-events-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let open = || {
            let database = Database::open(&directory.join("state.db")).expect("a database");
            Events::kept_in(Arc::new(database)).expect("the events")
        };
        let events = open();
        for number in 0..3000 {
            let actor = Actor { id: number.to_string(), ..Actor::default() };
            events.emit(ResourceKind::Container, "top", actor);
        }
        // Nothing is written at the end: this is how a killed daemon leaves it.
        std::mem::forget(events);
        let events = open();
        let ids = |events: &Events| -> Vec<String> {
            events.subscribe().past.iter().map(|event| event.actor.id.clone()).collect()
        };
        let expected: Vec<String> = (3000 - KEPT..3000).map(|number| number.to_string()).collect();
        assert_eq!(ids(&events), expected);
        events.emit(ResourceKind::Container, "top", Actor { id: "next".to_owned(), ..Actor::default() });
        let rows = events.database.as_ref().expect("it").events(u32::MAX).expect("rows").len();
        assert!(rows <= KEPT as usize + 130, "{rows} rows are kept");
        assert_eq!(ids(&open()).last().map(String::as_str), Some("next"));
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
