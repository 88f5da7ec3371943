//! Events: kept for a while, over a restart of the daemon too, and delivered to every listener in order.

mod history;
mod live;
mod planned;
mod published;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use model::{Actor, Digest, Event, EventAction, ExecId, ResourceKind, Timestamp};
use tokio::sync::broadcast;

use self::history::{History, lock};
pub use self::live::{Live, Subscription};
pub(crate) use self::planned::Planned;
pub use self::published::{EVENT_FORMS, PublishedEvent};
use crate::record::Record;
use crate::store::{Database, Row};

/// Events a slow listener may lag behind before it is cut off.
const LAG: usize = 4096;

/// How long the event of a removal waits before listeners receive it. A client that removes a container
/// itself and waits for this event gives its request up when the event comes, and complains when the
/// answer is not there yet.
const ANSWER_FIRST: Duration = Duration::from_millis(10);

/// The engine's events.
#[derive(Clone, Default)]
pub struct Events {
    history: Arc<Mutex<History>>,
    /// Made for the first listener: the places for [`LAG`] events take 128 KiB. Used while the history is locked.
    sender: Arc<OnceLock<broadcast::Sender<Arc<PublishedEvent>>>>,
    database: Option<Arc<Database>>,
    /// Whether a row follows these events at once, with which they are written.
    before_a_row: bool,
}

/// Holds an event back from listeners until the request that caused it has its answer: until this is dropped, and
/// a moment longer.
#[must_use]
pub(crate) struct Undelivered {
    events: Events,
    sequence: u64,
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        let due = Instant::now() + ANSWER_FIRST;
        let mut history = lock(&self.events.history);
        let held = history.undelivered.iter_mut().find(|(_, event)| event.sequence == self.sequence);
        if let Some((time, _)) = held {
            *time = Some(due);
        }
        drop(history);
        let events = self.events.clone();
        tokio::spawn(async move { events.deliver().await });
    }
}

impl Events {
    /// Continues the history of the last daemon, however that ended.
    pub(crate) fn kept_in(database: Arc<Database>, saved: Vec<(u64, Event)>) -> Self {
        let history = History::saved(saved);
        Self { history: Arc::new(Mutex::new(history)), database: Some(database), ..Self::default() }
    }

    /// Records an event and delivers it to all listeners.
    pub fn emit(&self, kind: ResourceKind, action: EventAction, actor: Actor) {
        let event = Event { kind, action, actor, time: Timestamp::now() };
        self.keep(&mut lock(&self.history), event);
    }

    /// Makes a change of a container, records its event and delivers it: a client that sees the change finds the event in the
    /// history, and a listener that receives the event sees the change.
    pub(crate) fn emit_change(
        &self,
        change: impl FnOnce() -> Arc<Record>,
        tell: impl FnOnce(&Record) -> (EventAction, Vec<(&'static str, String)>),
    ) -> Arc<Record> {
        let mut history = lock(&self.history);
        let record = change();
        let (action, more) = tell(&record);
        let actor = container_actor(&record, &more);
        let event = Event { kind: ResourceKind::Container, action, actor, time: Timestamp::now() };
        self.keep(&mut history, event);
        record
    }

    fn keep(&self, history: &mut History, event: Event) {
        if let Some(database) = &self.database {
            let rows = vec![Row::Event { number: history.take_number(), event: event.clone() }];
            // A full disk must not stop the operation of the event.
            match self.before_a_row {
                true => database.keep_soon(rows),
                false => database.keep(rows).forget(),
            }
        }
        let event = history.keep(event);
        self.send(history, event);
    }

    /// Publishes what a probe of a container's health does, and keeps it in memory for a while.
    pub(crate) fn emit_probe(&self, record: &Record, action: EventAction, more: &[(&str, String)]) {
        let actor = container_actor(record, more);
        let event = Event { kind: ResourceKind::Container, action, actor, time: Timestamp::now() };
        let mut history = lock(&self.history);
        let event = history.keep_probe(event);
        self.send(&mut history, event);
    }

    fn send(&self, history: &mut History, event: Arc<PublishedEvent>) {
        if history.undelivered.is_empty() {
            self.send_to_listeners(event);
        } else {
            history.undelivered.push_back((Some(Instant::now()), event));
        }
    }

    fn send_to_listeners(&self, event: Arc<PublishedEvent>) {
        if let Some(sender) = self.sender.get() {
            // Those that listened have left.
            let _ = sender.send(event);
        }
    }

    /// The same events, for those that the row of what they are about follows: they are written with it.
    pub(crate) fn before_a_row(&self) -> Self {
        Self { before_a_row: true, ..self.clone() }
    }

    /// Plans an event of a container, to be saved with what it is about and published after that.
    pub(crate) fn plan_container(&self, record: &Record, action: EventAction) -> Planned {
        let actor = container_actor(record, &[]);
        let time = Timestamp::now();
        let event = Event { kind: ResourceKind::Container, action, actor, time };
        let number = self.database.as_ref().map(|_| lock(&self.history).take_number());
        Planned { number, event }
    }

    /// Publishes an event whose row is saved.
    pub(crate) fn publish(&self, planned: Planned) {
        let mut history = lock(&self.history);
        let event = history.keep(planned.event);
        self.send(&mut history, event);
    }

    /// Records an event whose row is saved, and delivers it when the answer of the request that caused it is there.
    pub(crate) fn publish_after_answer(&self, planned: Planned) -> Undelivered {
        let mut history = lock(&self.history);
        let event = history.keep(planned.event);
        let sequence = event.sequence;
        history.undelivered.push_back((None, event));
        Undelivered { events: self.clone(), sequence }
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
                    self.send_to_listeners(event);
                }
                history.undelivered.front().and_then(|(due, _)| *due)
            };
            let Some(due) = due else { return };
            tokio::time::sleep_until(due.into()).await;
        }
    }

    /// Records how much a prune of objects of one kind has freed, and publishes it.
    pub(crate) fn emit_prune(&self, kind: ResourceKind, reclaimed: u64) {
        let attributes = [("reclaimed".to_owned(), reclaimed.to_string())].into();
        self.emit(kind, EventAction::Prune, Actor { id: String::new(), attributes });
    }

    /// Records what happened to a container, and publishes it.
    pub(crate) fn emit_container(&self, record: &Record, action: EventAction, more: &[(&str, String)]) {
        self.emit(ResourceKind::Container, action, container_actor(record, more));
    }

    /// Records that a process of an exec has ended, and publishes it.
    pub(crate) fn emit_exec_end(&self, record: &Record, exec: &ExecId, code: i32) {
        let more = [("execID", exec.to_string()), ("exitCode", code.to_string())];
        self.before_a_row().emit_container(record, EventAction::ExecDie, &more);
    }

    /// Records what happened to an image with these labels, and publishes it. `name` is what the act named it.
    pub(crate) fn emit_image(
        &self,
        action: EventAction,
        id: &Digest,
        name: &str,
        labels: BTreeMap<String, String>,
    ) {
        let mut attributes = labels;
        attributes.insert("name".to_owned(), name.to_owned());
        self.emit(ResourceKind::Image, action, Actor { id: id.to_string(), attributes });
    }

    /// Starts to listen: no event is missed or seen twice between past and live.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let history = lock(&self.history);
        let live = Live {
            receiver: self.sender.get_or_init(|| broadcast::Sender::new(LAG)).subscribe(),
            history: Arc::clone(&self.history),
            next: history.next,
        };
        Subscription { past: history.past(), live }
    }

    /// The number of listeners.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.sender.get().map_or(0, broadcast::Sender::receiver_count)
    }
}

/// The actor of a container's events.
fn container_actor(record: &Record, more: &[(&str, String)]) -> Actor {
    let mut attributes = record.settings.labels.clone().unwrap_or_default();
    attributes.insert("image".to_owned(), record.settings.image.clone());
    attributes.insert("name".to_owned(), record.name.clone());
    for (name, value) in more {
        attributes.insert((*name).to_owned(), value.clone());
    }
    Actor { id: record.id.to_string(), attributes }
}

#[cfg(test)]
mod tests;
