//! How much the name service may do in a time, so that a container that floods it cannot keep a processor of
//! the host busy, nor the shim from the container's streams.

use std::time::{Duration, Instant};

/// The income of each millisecond. A query from a container costs 1, which is about 10 µs of a processor's time:
/// so 40,000 queries a second.
const REFILL: i64 = 40;

/// The most that is saved up: 10 ms.
const MOST: i64 = 10 * REFILL;

/// The balance. It can be overdrawn; then nothing may be spent until it is positive again.
#[derive(Debug)]
pub(super) struct Budget {
    left: i64,
    refilled_at: Instant,
}

impl Budget {
    pub(super) const fn new(now: Instant) -> Self {
        Self { left: MOST, refilled_at: now }
    }

    pub(super) fn spend(&mut self, cost: u32) {
        self.left -= i64::from(cost);
    }

    /// Leaves nothing for the next milliseconds.
    pub(super) const fn exhaust(&mut self) {
        self.left = -MOST;
    }

    /// Whether nothing may be spent now.
    pub(super) fn is_spent(&mut self, now: Instant) -> bool {
        let milliseconds = now.saturating_duration_since(self.refilled_at).as_millis();
        if milliseconds > 0 {
            let refill = i64::try_from(milliseconds).unwrap_or(MOST).saturating_mul(REFILL);
            self.left = self.left.saturating_add(refill).min(MOST);
            self.refilled_at = now;
        }
        self.left <= 0
    }

    /// When half of it is there again.
    pub(super) fn refilled_at(&self, now: Instant) -> Instant {
        let missing = u64::try_from((MOST / 2 - self.left).max(REFILL)).unwrap_or_default();
        now + Duration::from_millis(missing.div_ceil(REFILL.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_in_again_with_time() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        budget.spend(399);
        assert!(!budget.is_spent(start));
        budget.spend(1);
        assert!(budget.is_spent(start));
        assert_eq!(budget.refilled_at(start), start + Duration::from_millis(5));
        assert!(!budget.is_spent(start + Duration::from_millis(1)));
    }

    #[test]
    fn a_debt_is_paid_first_and_savings_are_bounded() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        budget.spend(480);
        assert!(budget.is_spent(start + Duration::from_millis(2)));
        assert!(!budget.is_spent(start + Duration::from_millis(3)));
        let later = start + Duration::from_secs(3600);
        assert!(!budget.is_spent(later));
        budget.spend(400);
        assert!(budget.is_spent(later));
    }
}
