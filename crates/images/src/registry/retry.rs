//! Pauses between attempts, cut short when the work is cancelled.

use std::time::{Duration, Instant, SystemTime};

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
        self.pause_telling(asked, |_| ())
    }

    /// The same; reports how long the pause is before it begins.
    pub(super) fn pause_telling(&mut self, asked: Option<Duration>, tell: impl FnOnce(Duration)) -> bool {
        self.failures += 1;
        if self.failures >= self.retry.attempts {
            return false;
        }
        let pause = self.retry.pause(self.failures, asked);
        tell(pause);
        let end = Instant::now() + pause;
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

    /// Resets the count of failures: there was progress since.
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

/// The pause that a response requests: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn asked_pause(answer: &Answer) -> Option<Duration> {
    let wanted = answer.header(&header::RETRY_AFTER)?;
    // The registry's own clock, where it sends it: the two may differ.
    let now = answer.header(&header::DATE).and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    pause_until(wanted, now.unwrap_or_else(SystemTime::now))
}

fn pause_until(wanted: &str, now: SystemTime) -> Option<Duration> {
    let wanted = wanted.trim();
    if wanted.bytes().all(|byte| byte.is_ascii_digit()) {
        return wanted.parse().ok().map(Duration::from_secs);
    }
    let date = httpdate::parse_http_date(wanted).ok()?;
    // A past date means no pause.
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (wanted, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some(20)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:49:38 1994", Some(1)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999999999999999", None),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(pause_until(wanted, now), seconds.map(Duration::from_secs), "{wanted:?}");
        }
    }
}
