//! Points in time as clients write them: seconds since 1970, with a fraction, or RFC 3339.

use model::{Timestamp, parse_duration};

/// Parses `1374067924`, `1374067924.5`, `-1` or `2013-07-17T13:32:04Z`.
pub(crate) fn parse_moment(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).ok().or_else(|| parse_seconds(text))
}

/// Parses `1374067924`, `1374067924.5` or `-1`.
pub(crate) fn parse_seconds(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || (text.contains('.') && fraction.is_empty()) {
        return None;
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    Timestamp::from_unix(seconds, digits.parse().ok()?).ok()
}

/// The nanoseconds of a second.
const NANOSECONDS: i128 = 1_000_000_000;

/// Parses the moment of a filter `until`: as [`parse_moment`], a date with or without a time of day (UTC), or a duration
/// back from now such as `10m` or `1h30m`.
pub(crate) fn parse_until(text: &str) -> Option<Timestamp> {
    let date = || {
        ["T00:00:00Z", ":00Z", "Z"].iter().find_map(|rest| Timestamp::parse(&format!("{text}{rest}")).ok())
    };
    parse_moment(text).or_else(date).or_else(|| {
        let nanoseconds = Timestamp::now().unix_nanoseconds() - parse_duration(text)?;
        let seconds = i64::try_from(nanoseconds.div_euclid(NANOSECONDS)).ok()?;
        Timestamp::from_unix(seconds, u32::try_from(nanoseconds.rem_euclid(NANOSECONDS)).ok()?).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_moments() {
        for (text, nanoseconds) in [
            ("1374067924", 1_374_067_924_000_000_000),
            ("1374067924.5", 1_374_067_924_500_000_000),
            ("1374067924.123456789", 1_374_067_924_123_456_789),
            ("1374067924.1234567899", 1_374_067_924_123_456_789),
            ("0", 0),
            ("-1", -1_000_000_000),
            ("2013-07-17T13:32:04Z", 1_374_067_924_000_000_000),
            ("2013-07-17T15:32:04.25+02:00", 1_374_067_924_250_000_000),
        ] {
            assert_eq!(parse_moment(text).map(Timestamp::unix_nanoseconds), Some(nanoseconds), "{text}");
        }
        for bad in ["", "abc", "1.", ".5", "1.x", "1.5.5", "99999999999999999999", "10m", "2013-07-17"] {
            assert!(parse_moment(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn durations_go_back_from_now() {
        let ago = parse_until("1h").expect("an hour ago");
        let hour = Timestamp::now().since(ago);
        assert!((3600..3700).contains(&hour.as_secs()), "{hour:?}");
        for (text, seconds) in [
            ("2001-02-03", 981_158_400),
            ("2001-02-03T04:05", 981_173_100),
            ("2001-02-03T04:05:06", 981_173_106),
        ] {
            assert_eq!(parse_until(text).map(Timestamp::unix_seconds), Some(seconds), "{text}");
        }
        for bad in ["", "yesterday", "1x", "-1h"] {
            assert_eq!(parse_until(bad), None, "{bad}");
        }
    }
}
