//! Points in time as clients write them: seconds since 1970, with a fraction, or RFC 3339.

use model::Timestamp;

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

/// The nanoseconds of a second.
const NANOSECONDS: i128 = 1_000_000_000;

/// Nanoseconds of a duration written as numbers with units, such as `1h30m` or `1.5s`.
fn parse_duration(text: &str) -> Option<i128> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("s", NANOSECONDS),
        ("m", 60 * NANOSECONDS),
        ("h", 3_600 * NANOSECONDS),
        ("d", 86_400 * NANOSECONDS),
    ];
    let (mut rest, mut sum) = (text, 0_i128);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, behind) = rest.split_at(end);
        let end =
            behind.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(behind.len());
        let (unit, next) = behind.split_at(end);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: String = fraction.chars().take(9).collect();
        let scale = 10_i128.checked_pow(u32::try_from(digits.len()).ok()?)?;
        let part = if digits.is_empty() { 0 } else { digits.parse::<i128>().ok()? * size / scale };
        let whole = i128::from(whole.parse::<u64>().ok()?);
        sum = sum.checked_add(whole.checked_mul(*size)?.checked_add(part)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
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
        for (text, seconds) in [("1h", 3600), ("1h30m", 5400), ("0s", 0), ("1.5m", 90), ("2d", 172_800)] {
            assert_eq!(parse_duration(text), Some(i128::from(seconds) * NANOSECONDS), "{text}");
        }
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
        for bad in ["", "yesterday", "1", "h", "1x", "1h5", "-1h", "99999999999999999999h"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
