//! Choices that look random and can be repeated: tests that strike at any moment print their seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator of numbers that look random.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Begins with the seed of `BERTH_CRASH_SEED`, or with one that the clock gives, and prints it.
    ///
    /// # Panics
    /// When the variable is no number.
    #[must_use]
    pub fn announced() -> Self {
        let clock = || {
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(time.as_micros()).unwrap_or_default()
        };
        // A generator of this kind stays at 0 for ever.
        let seed = variable("BERTH_CRASH_SEED").unwrap_or_else(clock).max(1);
        eprintln!("BERTH_CRASH_SEED={seed}");
        Self(seed)
    }

    /// The next number, smaller than `limit`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// The number in an environment variable; `None` when it is not set.
///
/// # Panics
/// When it is set to something else.
#[must_use]
pub fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}
