//! The events for one listener.

use std::sync::{Arc, Mutex};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::history::{History, lock};
use super::published::PublishedEvent;

/// A listener: what happened before it came, then what happens.
pub struct Subscription {
    /// Kept events in order, all older than those of `live`.
    pub past: Vec<Arc<PublishedEvent>>,
    /// New events.
    pub live: Live,
}

/// The events that happen while there are listeners.
pub struct Live {
    pub(super) receiver: broadcast::Receiver<Arc<PublishedEvent>>,
    pub(super) history: Arc<Mutex<History>>,
    /// The place of the first event that was not received yet.
    pub(super) next: u64,
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

    const fn is_new(&mut self, event: &PublishedEvent) -> bool {
        let is_new = event.sequence >= self.next;
        if is_new {
            self.next = event.sequence + 1;
        }
        is_new
    }
}
