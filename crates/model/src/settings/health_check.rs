//! How the health of a container is checked, as clients and images write it.

mod error;
mod test;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::error::HealthCheckError;
pub use self::test::HealthTest;
use crate::HealthSpec;

/// The shortest time that a client can set, in nanoseconds.
const SHORTEST: i64 = 1_000_000;

/// The defaults where neither the client nor the image sets a value, as dockerd 29.8 has them.
const DEFAULT_TIME: Duration = Duration::from_secs(30);
const DEFAULT_START_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_RETRIES: u32 = 3;

/// A health check; a number that is 0 is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    /// The command.
    pub test: HealthTest,
    /// Nanoseconds between two probes.
    pub interval: i64,
    /// Nanoseconds that one may take.
    pub timeout: i64,
    /// Nanoseconds after the start in which failures do not count.
    pub start_period: i64,
    /// Nanoseconds between two probes within the start period.
    pub start_interval: i64,
    /// How many consecutive failures make the container unhealthy.
    pub retries: i64,
}

impl HealthCheck {
    /// Whether it has a probe or sets a value: not when it is empty, or disables that of the image.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        let sets_nothing =
            self.test.is_inherited() && Self { test: HealthTest::Unset, ..self.clone() } == Self::default();
        !self.test.is_off() && !sets_nothing
    }

    /// Validates a client's check.
    ///
    /// # Errors
    /// Times shorter than a millisecond, negative numbers, and a test of an unknown kind or without a command.
    pub fn check(&self) -> Result<(), HealthCheckError> {
        let times = [
            ("Interval", self.interval),
            ("Timeout", self.timeout),
            ("StartPeriod", self.start_period),
            ("StartInterval", self.start_interval),
        ];
        if let Some((name, _)) = times.into_iter().find(|(_, time)| *time != 0 && *time < SHORTEST) {
            return Err(HealthCheckError::TooShort(name));
        }
        if self.retries < 0 {
            return Err(HealthCheckError::Retries);
        }
        self.test.arguments(None).map(drop)
    }

    /// Takes what is not set from the check of the image.
    pub fn inherit(&mut self, image: Self) {
        if self.test.is_inherited() {
            self.test = image.test;
        }
        for (own, image) in [
            (&mut self.interval, image.interval),
            (&mut self.timeout, image.timeout),
            (&mut self.start_period, image.start_period),
            (&mut self.start_interval, image.start_interval),
            (&mut self.retries, image.retries),
        ] {
            if *own == 0 {
                *own = image;
            }
        }
    }

    /// The probe, where there is one; this shell runs the text of `CMD-SHELL`.
    ///
    /// # Errors
    /// A test of an unknown kind or without a command, which an image may have.
    pub fn specification(&self, shell: Option<&[String]>) -> Result<Option<HealthSpec>, HealthCheckError> {
        let Some(arguments) = self.test.arguments(shell)? else { return Ok(None) };
        let time = |nanoseconds: i64, default| match u64::try_from(nanoseconds.max(SHORTEST)) {
            Ok(time) if nanoseconds > 0 => Duration::from_nanos(time),
            Ok(_) | Err(_) => default,
        };
        Ok(Some(HealthSpec {
            arguments,
            interval: time(self.interval, DEFAULT_TIME),
            timeout: time(self.timeout, DEFAULT_TIME),
            start_period: time(self.start_period, Duration::ZERO),
            start_interval: time(self.start_interval, DEFAULT_START_INTERVAL),
            retries: u32::try_from(self.retries)
                .ok()
                .filter(|retries| *retries > 0)
                .unwrap_or(DEFAULT_RETRIES),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: &[&str]) -> HealthCheck {
        let test: Vec<String> = test.iter().map(|word| (*word).to_owned()).collect();
        HealthCheck { test: Some(test).into(), ..HealthCheck::default() }
    }

    #[test]
    fn tests_of_each_kind() {
        let shell = ["/bin/bash".to_owned(), "-c".to_owned()];
        let arguments = |test: &[&str], shell| {
            check(test).specification(shell).map(|specification| specification.map(|known| known.arguments))
        };
        assert_eq!(arguments(&["CMD", "a", "b"], None), Ok(Some(vec!["a".to_owned(), "b".to_owned()])));
        let by_shell =
            |shell| arguments(&["CMD-SHELL", "a b"], shell).map(|known| known.map(|all| all.join(" ")));
        assert_eq!(by_shell(None), Ok(Some("/bin/sh -c a b".to_owned())));
        assert_eq!(by_shell(Some(&shell)), Ok(Some("/bin/bash -c a b".to_owned())));
        assert_eq!(by_shell(Some(&[])), Ok(Some("/bin/sh -c a b".to_owned())));
        assert_eq!(arguments(&["NONE"], None), Ok(None));
        assert_eq!(arguments(&[], None), Ok(None));
        assert_eq!(arguments(&["CMD"], None), Err(HealthCheckError::NoCommand("CMD")));
        assert_eq!(arguments(&["FOO", "a"], None), Err(HealthCheckError::Kind("FOO".to_owned())));
    }

    #[test]
    fn values_that_are_not_set_are_the_defaults() {
        let unset = check(&["CMD", "a"]).specification(None).ok().flatten().expect("it is run");
        let seconds = |number| Duration::from_secs(number);
        assert_eq!((unset.interval, unset.timeout, unset.retries), (seconds(30), seconds(30), 3));
        assert_eq!((unset.start_period, unset.start_interval), (Duration::ZERO, seconds(5)));
        // Images are not validated.
        let strange = HealthCheck { interval: -5, timeout: 1, retries: i64::MAX, ..check(&["CMD", "a"]) };
        let strange = strange.specification(None).ok().flatten().expect("it is run");
        assert_eq!((strange.interval, strange.timeout), (seconds(30), Duration::from_millis(1)));
        assert_eq!(strange.retries, 3);
    }

    #[test]
    fn numbers_out_of_range() {
        let bad = |check: HealthCheck| check.check().expect_err("it is refused").to_string();
        let base = || check(&["CMD", "a"]);
        assert_eq!(
            bad(HealthCheck { timeout: 999_999, ..base() }),
            "Timeout in Healthcheck cannot be less than 1ms"
        );
        assert_eq!(
            bad(HealthCheck { start_interval: -1, ..base() }),
            "StartInterval in Healthcheck cannot be less than 1ms"
        );
        assert_eq!(bad(HealthCheck { retries: -1, ..base() }), "Retries in Healthcheck cannot be negative");
        assert_eq!(HealthCheck { interval: SHORTEST, ..base() }.check(), Ok(()));
    }

    #[test]
    fn fields_are_inherited_one_by_one() {
        let image = HealthCheck { interval: 7, retries: 5, start_interval: 9, ..check(&["CMD", "image"]) };
        let mut own = HealthCheck { retries: 2, test: HealthTest::Empty, ..HealthCheck::default() };
        own.inherit(image.clone());
        assert_eq!(own, HealthCheck { retries: 2, ..image.clone() });
        let mut off = check(&["NONE"]);
        off.inherit(image.clone());
        assert_eq!(off, HealthCheck { test: HealthTest::Off(Vec::new()), ..image });
        assert!(!off.is_asked_for());
    }
}
