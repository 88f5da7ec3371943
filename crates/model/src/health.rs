//! The results of a container's health probes.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{HealthSpec, Timestamp};

/// How many results are kept.
pub const KEPT_RESULTS: usize = 5;

/// How much of a probe's output is kept, in bytes.
pub const PROBE_OUTPUT_LIMIT: usize = 4096;

/// The exit code shown for a probe without one: it took too long, or could not be run.
pub const NO_EXIT_CODE: i32 = -1;

/// A container's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Too few probes have ended.
    Starting,
    /// The last probe succeeded, or too few have failed since.
    Healthy,
    /// As many consecutive probes failed as the check allows.
    Unhealthy,
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// A text that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status of health")]
pub struct UnknownHealthStatus(String);

impl FromStr for HealthStatus {
    type Err = UnknownHealthStatus;

    fn from_str(text: &str) -> Result<Self, UnknownHealthStatus> {
        let all = [Self::Starting, Self::Healthy, Self::Unhealthy];
        let found = all.into_iter().find(|status| status.to_string() == text);
        found.ok_or_else(|| UnknownHealthStatus(text.to_owned()))
    }
}

/// The result of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Its exit code, or [`NO_EXIT_CODE`].
    pub exit_code: i32,
    /// Its output, or why there is none.
    pub output: String,
}

/// When a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Within the start period of the container.
    InStartPeriod,
    /// Later.
    Later,
}

/// A container's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The present health.
    pub status: HealthStatus,
    /// How many consecutive probes failed.
    pub failing_streak: u32,
    /// The last results, at most [`KEPT_RESULTS`], the oldest first.
    pub log: VecDeque<ProbeResult>,
}

impl Health {
    /// The health of a container that has just been started, with the results of its earlier runs.
    #[must_use]
    pub const fn starting(log: VecDeque<ProbeResult>) -> Self {
        Self { status: HealthStatus::Starting, failing_streak: 0, log }
    }

    /// Takes a probe's result. Failures in the start period count once a probe has succeeded.
    pub fn judge(&mut self, result: ProbeResult, moment: Moment, check: &HealthSpec) {
        if result.exit_code == 0 {
            (self.status, self.failing_streak) = (HealthStatus::Healthy, 0);
        } else if self.status != HealthStatus::Starting || moment == Moment::Later {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= check.retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self.keep(result);
    }

    /// Keeps a result, and drops the oldest beyond [`KEPT_RESULTS`].
    pub fn keep(&mut self, result: ProbeResult) {
        self.log.push_back(result);
        while self.log.len() > KEPT_RESULTS {
            self.log.pop_front();
        }
    }

    /// Replaces all results since the first of these, which are the last ones.
    pub fn replace_last(&mut self, results: VecDeque<ProbeResult>) {
        let Some(first) = results.front().map(|result| result.start) else { return };
        self.log.retain(|result| result.start < first);
        results.into_iter().for_each(|result| self.keep(result));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(second: i64, exit_code: i32) -> ProbeResult {
        let start = Timestamp::from_unix(second, 0).expect("a time");
        ProbeResult { start, end: start, exit_code, output: String::new() }
    }

    fn check() -> HealthSpec {
        HealthSpec { retries: 2, ..HealthSpec::default() }
    }

    fn seconds(health: &Health) -> Vec<i64> {
        health.log.iter().map(|result| result.start.unix_seconds()).collect()
    }

    #[test]
    fn consecutive_failures_make_it_unhealthy() {
        let mut health = Health::starting(VecDeque::new());
        let mut after = |exit_code| {
            health.judge(result(1, exit_code), Moment::Later, &check());
            (health.status, health.failing_streak)
        };
        assert_eq!(after(1), (HealthStatus::Starting, 1));
        assert_eq!(after(0), (HealthStatus::Healthy, 0));
        assert_eq!(after(NO_EXIT_CODE), (HealthStatus::Healthy, 1));
        assert_eq!(after(1), (HealthStatus::Unhealthy, 2));
        assert_eq!(after(1), (HealthStatus::Unhealthy, 3));
        assert_eq!(after(0), (HealthStatus::Healthy, 0));
    }

    #[test]
    fn failures_in_the_start_period_count_once_a_probe_succeeded() {
        let mut health = Health::starting(VecDeque::new());
        let mut after = |exit_code| {
            health.judge(result(1, exit_code), Moment::InStartPeriod, &check());
            (health.status, health.failing_streak)
        };
        assert_eq!(after(1), (HealthStatus::Starting, 0));
        assert_eq!(after(0), (HealthStatus::Healthy, 0));
        assert_eq!(after(1), (HealthStatus::Healthy, 1));
        assert_eq!(after(1), (HealthStatus::Unhealthy, 2));
    }

    #[test]
    fn the_last_results_are_kept() {
        let mut health = Health::starting(VecDeque::new());
        for second in 0..8 {
            health.judge(result(second, 0), Moment::Later, &check());
        }
        assert_eq!(seconds(&health), [3, 4, 5, 6, 7]);
        health.replace_last((6..10).map(|second| result(second, 0)).collect());
        assert_eq!(seconds(&health), [5, 6, 7, 8, 9]);
        health.replace_last(VecDeque::new());
        assert_eq!(seconds(&health), [5, 6, 7, 8, 9]);
    }
}
