//! The last events: new listeners receive these first, and undelivered ones wait here.
//!
//! Probes of containers' health make most events of a host and matter least. They have a ring of their own,
//! in memory alone: however many there are, they displace no other event and write nothing to the disk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use model::Event;

use super::published::PublishedEvent;
use crate::store::KEPT_EVENTS;

/// How many events of probes are kept: those of 85 probes.
const KEPT_PROBE_EVENTS: usize = 256;

/// The last events.
#[derive(Default)]
pub(super) struct History {
    /// Oldest first.
    events: VecDeque<Arc<PublishedEvent>>,
    /// Those of probes, oldest first.
    probes: VecDeque<Arc<PublishedEvent>>,
    /// The place of the next event of both.
    pub(super) next: u64,
    /// The number of the next event that is not a probe's, in the database.
    next_number: u64,
    /// The last of them that listeners have not received yet, and when they may: `None` while the request that caused it
    /// holds it back. They keep their order: one that waits holds up those behind it.
    pub(super) undelivered: VecDeque<(Option<Instant>, Arc<PublishedEvent>)>,
}

impl History {
    /// The history that an earlier daemon has saved.
    pub(super) fn saved(events: Vec<(u64, Event)>) -> Self {
        let mut history = Self::default();
        for (number, event) in events {
            history.next_number = number + 1;
            drop(history.keep(event));
        }
        history
    }

    /// Takes the number of an event in the database.
    pub(super) const fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Keeps an event.
    pub(super) fn keep(&mut self, event: Event) -> Arc<PublishedEvent> {
        let event = self.published(event);
        append(&mut self.events, &event, KEPT_EVENTS as usize);
        event
    }

    /// Keeps an event of a probe.
    pub(super) fn keep_probe(&mut self, event: Event) -> Arc<PublishedEvent> {
        let event = self.published(event);
        append(&mut self.probes, &event, KEPT_PROBE_EVENTS);
        event
    }

    /// All that is kept, in the order in which it happened.
    pub(super) fn past(&self) -> Vec<Arc<PublishedEvent>> {
        let mut past: Vec<_> = self.events.iter().chain(&self.probes).cloned().collect();
        past.sort_by_key(|event| event.sequence);
        past
    }

    fn published(&mut self, event: Event) -> Arc<PublishedEvent> {
        self.next += 1;
        PublishedEvent::new(self.next - 1, event)
    }
}

/// Appends to a ring of at most `limit` events.
fn append(ring: &mut VecDeque<Arc<PublishedEvent>>, event: &Arc<PublishedEvent>, limit: usize) {
    if ring.len() >= limit {
        ring.pop_front();
    }
    ring.push_back(Arc::clone(event));
}

pub(super) fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}
