//! Events: kept for a while, over a restart of the daemon too, and delivered to every listener in order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use model::{Actor, Digest, Event, ExecId, ResourceKind, Timestamp};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::record::Record;
use crate::store::{Database, KEPT_EVENTS, Row};

/// Events a slow listener may lag behind before it is cut off.
const LAG: usize = 4096;

/// How long the event of a removal waits before listeners receive it. A client that removes a container
/// itself and waits for this event gives its request up when the event comes, and complains when the
/// answer is not there yet.
const ANSWER_FIRST: Duration = Duration::from_millis(10);

/// How many forms an event has: front ends of several versions show it differently.
pub const EVENT_FORMS: usize = 3;

/// An event, and the forms in which listeners are sent it: each made once for all of them.
#[derive(Debug)]
pub struct PublishedEvent {
    event: Event,
    /// `None` when it is not kept.
    number: Option<u64>,
    lines: [OnceLock<Box<[u8]>>; EVENT_FORMS],
}

impl PublishedEvent {
    fn new(number: Option<u64>, event: Event) -> Arc<Self> {
        Arc::new(Self { event, number, lines: Default::default() })
    }

    /// What is sent in this of the [`EVENT_FORMS`]; `write` makes it for the first listener that wants it.
    ///
    /// # Panics
    /// When there is no such form.
    pub fn line(&self, form: usize, write: impl FnOnce(&Event) -> Vec<u8>) -> &[u8] {
        self.lines[form].get_or_init(|| write(&self.event).into_boxed_slice())
    }
}

impl Deref for PublishedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

/// The engine's events.
#[derive(Clone)]
pub struct Events {
    history: Arc<Mutex<History>>,
    sender: broadcast::Sender<Arc<PublishedEvent>>,
    database: Option<Arc<Database>>,
}

/// The last events.
#[derive(Default)]
struct History {
    /// Oldest first.
    events: VecDeque<Arc<PublishedEvent>>,
    /// The number of the next event.
    next: u64,
    /// The last of them that listeners have not received yet, and when they may: `None` while an [`Undelivered`]
    /// holds them back. They keep their order: one that waits holds up those behind it.
    undelivered: VecDeque<(Option<Instant>, Arc<PublishedEvent>)>,
}

/// Holds an event back from listeners until the request that caused it has its answer: until this is dropped, and
/// a moment longer.
#[must_use]
pub(crate) struct Undelivered {
    events: Events,
    number: Option<u64>,
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        let due = Instant::now() + ANSWER_FIRST;
        let mut history = lock(&self.events.history);
        let held = history.undelivered.iter_mut().find(|(_, event)| event.number == self.number);
        if let Some((time, _)) = held {
            *time = Some(due);
        }
        drop(history);
        let events = self.events.clone();
        tokio::spawn(async move { events.deliver().await });
    }
}

/// A listener: what happened before it came, then what happens.
pub struct Subscription {
    /// Kept events in order, all older than what `live` brings.
    pub past: Vec<Arc<PublishedEvent>>,
    /// New events.
    pub live: Live,
}

/// The events that happen while somebody listens.
pub struct Live {
    receiver: broadcast::Receiver<Arc<PublishedEvent>>,
    history: Arc<Mutex<History>>,
    /// The number of the first event that was not received yet.
    next: u64,
}

impl Live {
    /// Waits for the next event; `Lagged` when the listener was too slow.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn recv(&mut self) -> Result<Arc<PublishedEvent>, RecvError> {
        loop {
            let event = self.receiver.recv().await?;
            if self.is_new(&event) {
                return Ok(event);
            }
        }
    }

    /// Takes the next event that is there.
    ///
    /// # Errors
    /// Those of the channel.
    pub fn try_recv(&mut self) -> Result<Arc<PublishedEvent>, TryRecvError> {
        loop {
            let event = self.receiver.try_recv()?;
            if self.is_new(&event) {
                return Ok(event);
            }
        }
    }

    /// Takes the events that have happened and that no listener receives yet.
    pub fn take_undelivered(&mut self) -> Vec<Arc<PublishedEvent>> {
        let history = lock(&self.history);
        let events: Vec<_> = history.undelivered.iter().map(|(_, event)| Arc::clone(event)).collect();
        drop(history);
        events.into_iter().filter(|event| self.is_new(event)).collect()
    }

    /// What is not kept is nowhere but here.
    fn is_new(&mut self, event: &PublishedEvent) -> bool {
        let Some(number) = event.number else { return true };
        let is_new = number >= self.next;
        self.next = self.next.max(number + 1);
        is_new
    }
}

impl Default for Events {
    fn default() -> Self {
        Self { history: Arc::default(), sender: broadcast::Sender::new(LAG), database: None }
    }
}

impl Events {
    /// Goes on where the last daemon ended, however it did.
    pub(crate) fn kept_in(database: Arc<Database>, saved: Vec<(u64, Event)>) -> Self {
        let mut history = History::default();
        for (number, event) in saved {
            history.events.push_back(PublishedEvent::new(Some(number), event));
            history.next = number + 1;
        }
        Self { history: Arc::new(Mutex::new(history)), database: Some(database), ..Self::default() }
    }

    /// Records an event and delivers it to all listeners.
    pub fn emit(&self, kind: ResourceKind, action: impl Into<String>, actor: Actor) {
        let mut history = lock(&self.history);
        let event = self.record(&mut history, kind, action.into(), actor);
        self.send(&mut history, event);
    }

    /// Tells those who listen what a probe of a container's health does. It is not kept: the probes of many containers
    /// would leave nothing else.
    pub(crate) fn tell_of_probe(
        &self,
        record: &Record,
        action: impl FnOnce() -> String,
        more: impl FnOnce() -> Vec<(&'static str, String)>,
    ) {
        if self.listeners() == 0 {
            return;
        }
        let actor = container_actor(record, &more());
        let event = Event { kind: ResourceKind::Container, action: action(), actor, time: Timestamp::now() };
        self.send(&mut lock(&self.history), PublishedEvent::new(None, event));
    }

    fn send(&self, history: &mut History, event: Arc<PublishedEvent>) {
        if history.undelivered.is_empty() {
            let _ = self.sender.send(event);
        } else {
            history.undelivered.push_back((Some(Instant::now()), event));
        }
    }

    /// Records an event now, and delivers it when the answer of the request that caused it is there.
    fn emit_after_answer(&self, kind: ResourceKind, action: impl Into<String>, actor: Actor) -> Undelivered {
        let mut history = lock(&self.history);
        let event = self.record(&mut history, kind, action.into(), actor);
        let number = event.number;
        history.undelivered.push_back((None, event));
        Undelivered { events: self.clone(), number }
    }

    /// Delivers what listeners may receive by now, until nothing is left or the next is held back.
    async fn deliver(&self) {
        loop {
            let due = {
                let mut history = lock(&self.history);
                let now = Instant::now();
                while history.undelivered.front().is_some_and(|(due, _)| due.is_some_and(|due| due <= now))
                    && let Some((_, event)) = history.undelivered.pop_front()
                {
                    let _ = self.sender.send(event);
                }
                history.undelivered.front().and_then(|(due, _)| *due)
            };
            let Some(due) = due else { return };
            tokio::time::sleep_until(due.into()).await;
        }
    }

    fn record(
        &self,
        history: &mut History,
        kind: ResourceKind,
        action: String,
        actor: Actor,
    ) -> Arc<PublishedEvent> {
        let number = history.next;
        let event = Event { kind, action, actor, time: Timestamp::now() };
        if let Some(database) = &self.database {
            // That the disk is full must not stop what the event is about.
            database.keep(vec![Row::Event { number, event: event.clone() }]).forget();
        }
        let event = PublishedEvent::new(Some(number), event);
        if history.events.len() >= KEPT_EVENTS as usize {
            history.events.pop_front();
        }
        history.events.push_back(Arc::clone(&event));
        history.next += 1;
        event
    }

    /// Records how much a prune of things of one kind has freed, and publishes it.
    pub(crate) fn emit_prune(&self, kind: ResourceKind, reclaimed: u64) {
        let attributes = [("reclaimed".to_owned(), reclaimed.to_string())].into();
        self.emit(kind, "prune", Actor { id: String::new(), attributes });
    }

    /// Records what happened to a container, and publishes it.
    pub(crate) fn emit_container(&self, record: &Record, action: impl Into<String>, more: &[(&str, String)]) {
        self.emit(ResourceKind::Container, action, container_actor(record, more));
    }

    /// Records that a process of an exec has ended, and tells listeners.
    pub(crate) fn emit_exec_end(&self, record: &Record, exec: &ExecId, code: i32) {
        let more = [("execID", exec.to_string()), ("exitCode", code.to_string())];
        self.emit_container(record, "exec_die", &more);
    }

    /// Records that a container is gone, and delivers that when the answer is there.
    pub(crate) fn emit_removal(&self, record: &Record) -> Undelivered {
        self.emit_after_answer(ResourceKind::Container, "destroy", container_actor(record, &[]))
    }

    /// Records what happened to an image with these labels, and publishes it. `name` is what the act named it.
    pub(crate) fn emit_image(&self, action: &str, id: &Digest, name: &str, labels: BTreeMap<String, String>) {
        let mut attributes = labels;
        attributes.insert("name".to_owned(), name.to_owned());
        self.emit(ResourceKind::Image, action, Actor { id: id.to_string(), attributes });
    }

    /// Starts to listen: no event is missed or seen twice between past and live.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let history = lock(&self.history);
        let live = Live {
            receiver: self.sender.subscribe(),
            history: Arc::clone(&self.history),
            next: history.next,
        };
        Subscription { past: history.events.iter().cloned().collect(), live }
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }
}

/// What events have of a container.
fn container_actor(record: &Record, more: &[(&str, String)]) -> Actor {
    let mut attributes = record.settings.labels.clone().unwrap_or_default();
    attributes.insert("image".to_owned(), record.settings.image.clone());
    attributes.insert("name".to_owned(), record.name.clone());
    for (name, value) in more {
        attributes.insert((*name).to_owned(), value.clone());
    }
    Actor { id: record.id.to_string(), attributes }
}

fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(id: impl ToString) -> Actor {
        Actor { id: id.to_string(), ..Actor::default() }
    }

    fn ids<'e>(events: impl IntoIterator<Item = &'e Arc<PublishedEvent>>) -> Vec<String> {
        events.into_iter().map(|event| event.actor.id.clone()).collect()
    }

    #[test]
    fn the_last_events_outlive_a_daemon_that_was_killed() {
        let directory = std::env::temp_dir().join(format!("berth-events-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let open = || {
            let (database, saved) =
                Database::open(&directory.join("state.db"), Default::default()).expect("a database");
            (saved.events.len(), Events::kept_in(Arc::new(database), saved.events))
        };
        let (_, events) = open();
        for number in 0..3000 {
            events.emit(ResourceKind::Container, "top", actor(number));
        }
        events.database.as_ref().expect("it").flush().wait_blocking().expect("all is written");
        // Nothing is written at the end: this is how a killed daemon leaves it.
        std::mem::forget(events);
        let (rows, events) = open();
        let expected: Vec<String> = (3000 - KEPT_EVENTS..3000).map(|number| number.to_string()).collect();
        assert_eq!(ids(&events.subscribe().past), expected);
        assert!(rows <= KEPT_EVENTS as usize, "{rows} rows are read");
        events.emit(ResourceKind::Container, "top", actor("next"));
        drop(events);
        assert_eq!(ids(&open().1.subscribe().past).last().map(String::as_str), Some("next"));
        std::fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn what_probes_do_is_told_and_not_kept() {
        let events = Events::default();
        let container = Record::new(
            model::ContainerId::from_random([1; 32]),
            "web".to_owned(),
            Digest::from_bytes([0; 32]),
            Timestamp::NEVER,
        );
        let tell = |action: &str| events.tell_of_probe(&container, || action.to_owned(), Vec::new);
        tell("nobody listens");
        let mut listener = events.subscribe().live;
        tell("exec_die");
        events.emit(ResourceKind::Container, "die", actor("a"));
        tell("exec_die");
        let heard: Vec<_> = std::iter::from_fn(|| Some(listener.try_recv().ok()?.action.clone())).collect();
        assert_eq!(heard, ["exec_die", "die", "exec_die"]);
        assert_eq!(ids(&events.subscribe().past), ["a"]);
    }

    #[tokio::test]
    async fn an_event_that_waits_for_its_answer_is_past_at_once_and_live_once_in_order() {
        let events = Events::default();
        let mut listener = events.subscribe().live;
        events.emit(ResourceKind::Container, "create", actor("first"));
        let undelivered = events.emit_after_answer(ResourceKind::Container, "destroy", actor("removed"));
        events.emit(ResourceKind::Container, "create", actor("last"));
        assert_eq!(ids([&listener.try_recv().expect("the first")]), ["first"]);
        assert!(listener.try_recv().is_err(), "it waits, and what is behind it");
        let Subscription { past, live: mut later } = events.subscribe();
        assert_eq!(ids(&past), ["first", "removed", "last"]);
        let mut ended = events.subscribe().live;
        ended.next = 0;
        assert_eq!(ids(&ended.take_undelivered()), ["removed", "last"]);
        tokio::time::sleep(ANSWER_FIRST * 3).await;
        assert!(listener.try_recv().is_err(), "its request has no answer yet");
        drop(undelivered);
        for expected in ["removed", "last"] {
            assert_eq!(ids([&listener.recv().await.expect("it")]), [expected]);
        }
        events.emit(ResourceKind::Container, "create", actor("new"));
        assert_eq!(ids([&later.recv().await.expect("it")]), ["new"], "what was past is not live again");
    }
}
