//! Pauses between attempts, cut short when the work is cancelled.

use std::time::{Duration, Instant};

use ureq::http::{StatusCode, header};

use super::Cancellation;
use super::settings::Retry;
use super::transport::Answer;

/// How soon a pause notices a cancellation.
const NOTICE: Duration = Duration::from_millis(50);

/// Counts the failures of one step.
pub(super) struct Attempts<'a> {
    retry: Retry,
    cancellation: &'a Cancellation,
    failures: u32,
}

impl<'a> Attempts<'a> {
    pub(super) const fn new(retry: Retry, cancellation: &'a Cancellation) -> Self {
        Self { retry, cancellation, failures: 0 }
    }

    /// Notes a failure and pauses; `false` when there is no further attempt.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> bool {
        self.failures += 1;
        if self.failures >= self.retry.attempts {
            return false;
        }
        let end = Instant::now() + self.retry.pause(self.failures, asked);
        loop {
            if self.cancellation.is_cancelled() {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(NOTICE));
        }
    }

    /// Forgets the failures: something was achieved since.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Whether the same request may be answered better a little later.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The pause that an answer asks for, in seconds (RFC 9110, section 10.2.3).
pub(super) fn asked_pause(answer: &Answer) -> Option<Duration> {
    let seconds = answer.header(&header::RETRY_AFTER)?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
