//! The checks of a container's health: their schedule and their results.
//!
//! ```text
//! Waiting ──the interval is over──→ Probing ──ends──→ Waiting
//!                                      ├──takes too long──→ Dying ──nothing is left of it──→ Waiting
//!                                      └──is gone, or could not begin──→ Doubtful ──a second later──→ Waiting
//! ```
//!
//! When a probe is killed or cannot join the container, it may be that the container is ending.
//!
//! While the container is frozen all times stand still.

mod output;
mod probe;

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use model::{ExecId, Health, HealthSpec, HealthStatus, Moment, ProbeResult, ProcessSpec, Timestamp};
use shim_protocol::{Notice, Probed};

pub(crate) use self::probe::{Obstacle, Probe, ProbeStatus};

/// The checks of one container.
pub(crate) struct Monitor {
    /// The check and its intervals.
    pub(crate) check: HealthSpec,
    /// The process of every probe.
    pub(crate) process: ProcessSpec,
    /// /dev/null, open since the first probe.
    null: OnceCell<OwnedFd>,
    /// The results.
    pub(crate) health: Health,
    /// The state of the checks.
    pub(crate) state: State,
    /// Until when failures do not count.
    start_period_ends: Instant,
    /// Since when the container is frozen.
    frozen_since: Option<Instant>,
}

/// The state of the checks.
pub(crate) enum State {
    /// Nothing until the next probe.
    Waiting { next: Instant },
    /// A probe runs.
    Probing(Probe),
    /// A probe took too long and is killed: checked at `poll_at`, and if it is still there after `wait`
    /// again.
    Dying { probe: Probe, poll_at: Instant, wait: Duration, next: Instant },
    /// A probe failed for a reason that the end of the container would be too: then it counts if that has not come.
    Doubtful { ending: Ending, judge_at: Instant },
}

/// How a probe ended.
pub(crate) struct Ending {
    /// The exec that it was.
    pub(crate) exec: ExecId,
    /// When it began.
    pub(crate) began: Timestamp,
    /// The exit code of its process, as shells report it.
    pub(crate) exit_code: i32,
    /// The exit code that is shown.
    pub(crate) shown_code: i32,
    /// The shown output.
    pub(crate) output: String,
}

impl Monitor {
    /// The checks of a container that has just been started.
    pub(crate) fn new(check: HealthSpec, process: ProcessSpec, now: Instant) -> Self {
        let start_period_ends = now + check.start_period;
        let mut monitor = Self {
            check,
            process,
            null: OnceCell::new(),
            health: Health::starting(VecDeque::new()),
            state: State::Waiting { next: now },
            start_period_ends,
            frozen_since: None,
        };
        monitor.state = monitor.waiting(now);
        monitor
    }

    /// The standard input of every probe.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn null(&self) -> io::Result<&OwnedFd> {
        match self.null.get() {
            Some(null) => Ok(null),
            None => File::open("/dev/null").map(|null| self.null.get_or_init(|| null.into())),
        }
    }

    /// The number of a running probe's reaper.
    pub(crate) fn reaper(&self) -> Option<u32> {
        match &self.state {
            State::Probing(probe) | State::Dying { probe, .. } => Some(probe.reaper.reference().pid),
            State::Waiting { .. } | State::Doubtful { .. } => None,
        }
    }

    fn moment(&self, now: Instant) -> Moment {
        if now < self.start_period_ends { Moment::InStartPeriod } else { Moment::Later }
    }

    /// Waits for the next probe, when nothing of the last is left.
    pub(crate) fn waiting(&self, now: Instant) -> State {
        State::Waiting { next: self.next(now) }
    }

    /// When the next probe begins, if the last has ended now.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let begins =
            self.health.status == HealthStatus::Starting && self.moment(now) == Moment::InStartPeriod;
        now + if begins { self.check.start_interval } else { self.check.interval }
    }

    /// When something is to be done next.
    pub(crate) const fn wakes_at(&self) -> Option<Instant> {
        if self.frozen_since.is_some() {
            return None;
        }
        Some(match &self.state {
            State::Waiting { next } => *next,
            State::Probing(probe) => probe.deadline,
            State::Dying { poll_at, .. } => *poll_at,
            State::Doubtful { judge_at, .. } => *judge_at,
        })
    }

    /// The container is frozen.
    pub(crate) fn freeze(&mut self, now: Instant) {
        self.frozen_since.get_or_insert(now);
    }

    /// The container is thawed: all times lie so much later.
    pub(crate) fn thaw(&mut self, now: Instant) {
        let Some(since) = self.frozen_since.take() else { return };
        let time = now.saturating_duration_since(since);
        self.start_period_ends += time;
        match &mut self.state {
            State::Waiting { next } => *next += time,
            State::Probing(probe) => probe.deadline += time,
            State::Dying { poll_at, next, .. } => {
                *poll_at += time;
                *next += time;
            }
            State::Doubtful { judge_at, .. } => *judge_at += time,
        }
    }

    /// Takes the end of a probe, for the daemon.
    pub(crate) fn judge(&mut self, ending: Ending, now: Instant) -> Notice {
        let Ending { exec, began, exit_code, shown_code, output } = ending;
        let result = ProbeResult { start: began, end: Timestamp::now(), exit_code: shown_code, output };
        self.health.judge(result.clone(), self.moment(now), &self.check);
        let (status, failing_streak) = (self.health.status, self.health.failing_streak);
        Notice::Probed(Box::new(Probed { exec, exit_code, result, status, failing_streak }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(now: Instant) -> Monitor {
        let seconds = Duration::from_secs;
        let check = HealthSpec {
            interval: seconds(30),
            start_period: seconds(60),
            start_interval: seconds(5),
            retries: 1,
            ..HealthSpec::default()
        };
        Monitor::new(check, ProcessSpec::default(), now)
    }

    fn ending(code: i32) -> Ending {
        let exec = ExecId::from_random([1; 32]);
        let began = Timestamp::NEVER;
        Ending { exec, began, exit_code: code, shown_code: code, output: String::new() }
    }

    #[test]
    fn the_interval_of_the_start_holds_until_a_probe_succeeds_or_the_period_ends() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut monitor = monitor(now);
        assert_eq!(monitor.wakes_at(), Some(after(5)));
        monitor.judge(ending(1), after(5));
        assert_eq!(monitor.next(after(5)), after(10));
        assert_eq!(monitor.next(after(60)), after(90));
        monitor.judge(ending(0), after(10));
        assert_eq!(monitor.next(after(10)), after(40));
    }

    #[test]
    fn time_stands_still_in_a_frozen_container() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut monitor = monitor(now);
        monitor.freeze(after(2));
        monitor.freeze(after(3));
        assert_eq!(monitor.wakes_at(), None);
        monitor.thaw(after(102));
        monitor.thaw(after(110));
        assert_eq!(monitor.wakes_at(), Some(after(105)));
        assert_eq!(monitor.next(after(159)), after(164), "the start period goes on too");
        monitor.judge(ending(1), after(161));
        assert_eq!(monitor.health.status, HealthStatus::Unhealthy);
    }
}
