//! Decides whether a container's policy starts it again, and after which delay.

use std::sync::PoisonError;
use std::time::Duration;

use model::RestartPolicy;

use crate::container::{Container, Record};

/// The first delay of a policy; it doubles with each quick exit.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest delay of a policy.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A run at least this long makes the next delay the first again.
const STEADY_RUN: Duration = Duration::from_secs(10);

/// Whether a container's policy starts it again after its last exit.
pub(crate) fn wants_restart(record: &Record) -> bool {
    if record.stopped_by_client {
        return false;
    }
    match record.settings.host.restart_policy.policy() {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure { maximum } => {
            record.exit_code != 0 && (maximum == 0 || record.restart_count < i64::from(maximum))
        }
    }
}

impl Container {
    /// Makes the next delay the first again, since a client starts the container.
    pub(crate) fn forget_restart_delay(&self) {
        *self.restart_delay.lock().unwrap_or_else(PoisonError::into_inner) = Duration::ZERO;
    }
}

/// Notes and returns the delay before the next restart.
pub(crate) fn next_delay(container: &Container) -> Duration {
    let record = container.record();
    let mut delay = container.restart_delay.lock().unwrap_or_else(PoisonError::into_inner);
    *delay = following(*delay, record.finished_at.since(record.started_at));
    *delay
}

/// The delay that follows another: doubled after a quick run, the first after a steady one.
fn following(delay: Duration, run: Duration) -> Duration {
    if delay.is_zero() || run >= STEADY_RUN { FIRST_DELAY } else { (delay * 2).min(LONGEST_DELAY) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_until_a_run_is_steady() {
        let (quick, almost) = (Duration::ZERO, Duration::from_millis(9_999));
        let mut delay = Duration::ZERO;
        let mut delays = Vec::new();
        for run in [quick, almost, quick, STEADY_RUN, quick, Duration::from_secs(3600), quick] {
            delay = following(delay, run);
            delays.push(delay.as_millis());
        }
        assert_eq!(delays, [100, 200, 400, 100, 200, 100, 200]);
        for _ in 0..20 {
            delay = following(delay, quick);
        }
        assert_eq!(delay, LONGEST_DELAY);
    }
}
