//! Times of records: RFC 3339 in UTC, read and written without general date arithmetic.

use model::Timestamp;

/// The length of a time as the encoder writes it: nine digits of fraction and `Z`.
pub(crate) const TEXT_LENGTH: usize = 30;

/// A point in time: seconds since 1970 and the nanoseconds past them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

impl From<Timestamp> for Instant {
    fn from(time: Timestamp) -> Self {
        Self { seconds: time.unix_seconds(), nanoseconds: time.subsecond_nanoseconds() }
    }
}

/// Parses a record's time; the usual form quickly, any other RFC 3339 form with the model's parser.
pub(crate) fn parse(text: &[u8]) -> Option<Instant> {
    parse_utc(text).or_else(|| {
        let text = std::str::from_utf8(text).ok()?;
        Timestamp::parse(text).ok().map(Instant::from)
    })
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction]Z` within the calendar's usual bounds.
fn parse_utc(text: &[u8]) -> Option<Instant> {
    let (date, rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, byte)| date[*at] != *byte) {
        return None;
    }
    let field = |from: usize, to: usize| digits(&date[from..to]);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let plausible =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let nanoseconds = fraction(rest.strip_suffix(b"Z")?)?;
    plausible.then(|| Instant {
        seconds: days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second,
        nanoseconds,
    })
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn fraction(text: &[u8]) -> Option<u32> {
    let Some(fraction) = text.strip_prefix(b".") else {
        return text.is_empty().then_some(0);
    };
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let missing = u32::try_from(9 - fraction.len()).ok()?;
    u32::try_from(digits(fraction)? * 10_i64.pow(missing)).ok()
}

/// Days of the proleptic Gregorian calendar, counted in eras of 400 years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Writes a time with nine digits of fraction.
pub(crate) fn text(instant: Instant) -> [u8; TEXT_LENGTH] {
    let mut out = *b"0001-01-01T00:00:00.000000000Z";
    if let Ok(whole) = Timestamp::from_unix(instant.seconds, 0) {
        let whole = whole.to_string();
        if let Some(date) = whole.as_bytes().get(..19) {
            out[..19].copy_from_slice(date);
        }
    }
    put_fraction(&mut out, instant.nanoseconds);
    out
}

/// Replaces the fraction of a time's text.
pub(crate) fn put_fraction(text: &mut [u8; TEXT_LENGTH], nanoseconds: u32) {
    let mut rest = nanoseconds;
    for digit in text[20..29].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}
