//! Wakes the thread that writes out what is recorded, and those that wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What failed is tried again after so long.
const PAUSE: Duration = Duration::from_secs(30);

/// How many rounds were asked for, and how many of them are done.
#[derive(Debug, Default)]
struct Rounds {
    wanted: u64,
    done: u64,
    is_closed: bool,
}

/// Wakes the thread that writes out, and those that wait for it.
#[derive(Debug, Default)]
pub(super) struct Settler {
    rounds: Mutex<Rounds>,
    changed: Condvar,
}

impl Settler {
    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a round; gives its number.
    pub(super) fn request(&self) -> u64 {
        let mut rounds = self.rounds();
        rounds.wanted += 1;
        self.changed.notify_all();
        rounds.wanted
    }

    /// Waits until a round is done.
    pub(super) fn wait(&self, number: u64) {
        let mut rounds = self.rounds();
        while rounds.done < number && !rounds.is_closed {
            rounds = self.changed.wait(rounds).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until a round is asked for; gives its number, or `None` when the store is closed.
    pub(super) fn next(&self) -> Option<u64> {
        let mut rounds = self.rounds();
        while rounds.done >= rounds.wanted && !rounds.is_closed {
            rounds = self.changed.wait(rounds).unwrap_or_else(PoisonError::into_inner);
        }
        (!rounds.is_closed).then_some(rounds.wanted)
    }

    pub(super) fn finish(&self, number: u64) {
        self.rounds().done = number;
        self.changed.notify_all();
    }

    /// Lets some time pass, unless the store is closed.
    pub(super) fn pause(&self) {
        let rounds = self.rounds();
        drop(self.changed.wait_timeout_while(rounds, PAUSE, |rounds| !rounds.is_closed));
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        self.rounds().is_closed = true;
        self.changed.notify_all();
    }
}
