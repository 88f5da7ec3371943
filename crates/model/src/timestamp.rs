//! Points in time with nanoseconds, written as RFC 3339 with the fraction's trailing zeros left off.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A string is no RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time")]
pub struct TimestampError(pub String);

/// A point in time in UTC, to the nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// The year 1, which the API shows for "never".
    pub const NEVER: Self = Self(time::macros::datetime!(0001-01-01 00:00:00 UTC));

    /// The present.
    #[must_use]
    pub fn now() -> Self {
        Self(OffsetDateTime::now_utc())
    }

    /// A point so many seconds and nanoseconds after 1970.
    ///
    /// # Errors
    /// [`TimestampError`] when the year leaves -9999 to 9999.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Result<Self, TimestampError> {
        OffsetDateTime::from_unix_timestamp_nanos(
            i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds),
        )
        .map(Self)
        .map_err(|_| TimestampError(format!("{seconds}.{nanoseconds:09}")))
    }

    /// Parses RFC 3339 with any offset and up to nine digits of fraction.
    ///
    /// # Errors
    /// [`TimestampError`] when the text is anything else.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|time| Self(time.to_offset(time::UtcOffset::UTC)))
            .map_err(|_| TimestampError(text.to_owned()))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub const fn unix_nanoseconds(self) -> i128 {
        self.0.unix_timestamp_nanos()
    }

    /// The nanoseconds past the whole second.
    #[must_use]
    pub const fn subsecond_nanoseconds(self) -> u32 {
        self.0.nanosecond()
    }

    /// The same without the fraction of its second.
    #[must_use]
    pub fn whole_seconds(self) -> Self {
        Self(self.0.replace_nanosecond(0).unwrap_or(self.0))
    }

    /// Whether this is the year 1, "never".
    #[must_use]
    pub fn is_never(self) -> bool {
        self == Self::NEVER
    }

    /// The time from an earlier point to this one; zero when it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0 - earlier.0).unwrap_or_default()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(OffsetDateTime::UNIX_EPOCH + since)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;
    fn try_from(text: String) -> Result<Self, TimestampError> {
        Self::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0;
        write!(
            formatter,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute(),
            time.second()
        )?;
        let fraction = format!("{:09}", time.nanosecond());
        match fraction.trim_end_matches('0') {
            "" => formatter.write_str("Z"),
            digits => write!(formatter, ".{digits}Z"),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fraction_loses_trailing_zeros() {
        for text in ["0001-01-01T00:00:00Z", "2026-11-23T12:22:01.4961Z", "2026-11-23T12:22:01Z"] {
            assert_eq!(Timestamp::parse(text).map(|time| time.to_string()).as_deref(), Ok(text));
        }
        assert!(Timestamp::parse("2026-11-23").is_err());
        assert_eq!(Timestamp::NEVER.to_string(), "0001-01-01T00:00:00Z");
    }
}
