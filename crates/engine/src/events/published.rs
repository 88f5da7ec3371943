//! One event as its listeners receive it.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use model::Event;

/// How many forms an event has: front ends of several versions show it differently.
pub const EVENT_FORMS: usize = 3;

/// An event, and the forms in which listeners are sent it: each made once for all of them.
#[derive(Debug)]
pub struct PublishedEvent {
    event: Event,
    /// The place among all events of this daemon.
    pub(super) sequence: u64,
    lines: [OnceLock<Box<[u8]>>; EVENT_FORMS],
}

impl PublishedEvent {
    pub(super) fn new(sequence: u64, event: Event) -> Arc<Self> {
        Arc::new(Self { event, sequence, lines: Default::default() })
    }

    /// The bytes of this event in one of the [`EVENT_FORMS`]; `write` makes them for the first listener that
    /// needs them.
    ///
    /// # Panics
    /// When `form` is out of range.
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
