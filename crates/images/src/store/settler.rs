//! Wakes the thread that writes out what is recorded, and those that wait for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The pause before a failed round is tried again.
const PAUSE: Duration = Duration::from_secs(30);
/// Work that writing out would slow down has ended for so long before it begins.
const QUIET: Duration = Duration::from_secs(1);
/// Such work delays writing out by no more than this.
const DELAY_LIMIT: Duration = Duration::from_secs(10);

/// How many rounds were requested, and how many of them are done.
#[derive(Debug, Default)]
struct Rounds {
    wanted: u64,
    done: u64,
    /// The last round that has a waiter.
    awaited: u64,
    /// When the first unfinished round was requested.
    since: Option<Instant>,
    /// How much work is in progress that writing out would slow down.
    deferring: usize,
    /// When the last of it ended.
    quiet: Option<Instant>,
    is_closed: bool,
}

impl Rounds {
    /// How long writing out is delayed yet; `None` when it is not.
    fn delay(&self, now: Instant) -> Option<Duration> {
        if self.is_closed || self.awaited > self.done {
            return None;
        }
        let left = |from: Instant, length: Duration| (from + length).checked_duration_since(now);
        let limit = self.since.map_or(Some(DELAY_LIMIT), |since| left(since, DELAY_LIMIT))?;
        let quiet = match self.deferring {
            0 => left(self.quiet?, QUIET)?,
            _ => limit,
        };
        Some(limit.min(quiet)).filter(|delay| !delay.is_zero())
    }
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

    /// Requests a round; returns its number.
    pub(super) fn request(&self) -> u64 {
        let mut rounds = self.rounds();
        rounds.wanted += 1;
        rounds.since.get_or_insert_with(Instant::now);
        self.changed.notify_all();
        rounds.wanted
    }

    /// Waits until a round is done, which nothing delays from now on.
    pub(super) fn wait(&self, number: u64) {
        let mut rounds = self.rounds();
        rounds.awaited = rounds.awaited.max(number);
        self.changed.notify_all();
        while rounds.done < number && !rounds.is_closed {
            rounds = self.changed.wait(rounds).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for a requested round; returns its number, or `None` when the store is closed.
    pub(super) fn next(&self) -> Option<u64> {
        let mut rounds = self.rounds();
        while rounds.done >= rounds.wanted && !rounds.is_closed {
            rounds = self.changed.wait(rounds).unwrap_or_else(PoisonError::into_inner);
        }
        let rounds = self.wait_out_delay(rounds);
        (!rounds.is_closed).then_some(rounds.wanted)
    }

    /// Waits while writing out is delayed.
    pub(super) fn give_way(&self) {
        drop(self.wait_out_delay(self.rounds()));
    }

    fn wait_out_delay<'a>(&self, mut rounds: MutexGuard<'a, Rounds>) -> MutexGuard<'a, Rounds> {
        while let Some(delay) = rounds.delay(Instant::now()) {
            rounds = self.changed.wait_timeout(rounds, delay).unwrap_or_else(PoisonError::into_inner).0;
        }
        rounds
    }

    pub(super) fn finish(&self, number: u64) {
        let mut rounds = self.rounds();
        rounds.done = number;
        rounds.since = (rounds.wanted > number).then(Instant::now);
        self.changed.notify_all();
    }

    /// Delays writing out as long as the value exists, and a moment longer.
    pub(super) fn defer(self: &Arc<Self>) -> SettlingDeferred {
        self.rounds().deferring += 1;
        SettlingDeferred(Arc::clone(self))
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

/// Work that writing out would slow down: while this value exists records wait in memory, for ten seconds at most.
#[derive(Debug)]
pub struct SettlingDeferred(Arc<Settler>);

impl Drop for SettlingDeferred {
    fn drop(&mut self) {
        let mut rounds = self.0.rounds();
        rounds.deferring -= 1;
        rounds.quiet = Some(Instant::now());
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_delays_writing_out_until_it_is_quiet_or_the_limit_is_reached() {
        let start = Instant::now();
        let asked = Rounds { wanted: 1, since: Some(start), ..Rounds::default() };
        assert_eq!(asked.delay(start), None, "nothing is going on");
        let busy = Rounds { deferring: 1, ..asked };
        assert_eq!(busy.delay(start + QUIET), Some(DELAY_LIMIT - QUIET));
        assert_eq!(busy.delay(start + DELAY_LIMIT), None, "the limit is reached");
        let quiet = Rounds { deferring: 0, quiet: Some(start), ..busy };
        assert_eq!(quiet.delay(start), Some(QUIET));
        assert_eq!(quiet.delay(start + QUIET), None);
        let late = Rounds { quiet: Some(start + DELAY_LIMIT), ..quiet };
        assert_eq!(late.delay(start + DELAY_LIMIT), None, "work after work does not delay it for ever");
        let awaited = Rounds { awaited: 1, deferring: 1, ..late };
        assert_eq!(awaited.delay(start), None, "somebody waits for it");
    }

    #[test]
    fn a_round_that_is_awaited_begins_while_work_goes_on() {
        let settler = Arc::new(Settler::default());
        let deferred = settler.defer();
        let number = settler.request();
        // The limit is not reached while the test runs: only a waiter ends the delay.
        settler.rounds().since = Some(Instant::now() + Duration::from_secs(3600));
        let (done, is_done) = std::sync::mpsc::channel();
        let writer = {
            let settler = Arc::clone(&settler);
            std::thread::spawn(move || {
                let number = settler.next().expect("a round");
                settler.give_way();
                done.send(settler.rounds().deferring).expect("the test");
                settler.finish(number);
            })
        };
        let waiter = {
            let settler = Arc::clone(&settler);
            std::thread::spawn(move || settler.wait(number))
        };
        let deferring = is_done.recv_timeout(Duration::from_secs(60)).expect("the round");
        assert_eq!(deferring, 1, "the work goes on");
        writer.join().expect("its end");
        waiter.join().expect("the round is done");
        drop(deferred);
    }
}
