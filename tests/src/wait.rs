//! Waits for what other processes bring about; a limit ends what would hang.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take before a test says that it does not happen.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none in time.
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
