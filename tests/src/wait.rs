//! Waits for what other processes bring about; a limit ends what would hang.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// Calls `ask` until it returns something.
///
/// # Panics
/// When it returns nothing in time.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + TIMEOUT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {TIMEOUT:?}");
        sleep(Duration::from_millis(10));
    }
}
