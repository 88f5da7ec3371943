//! Points in time as clients write them: seconds since 1970, with a fraction, or RFC 3339.

use model::Timestamp;

/// Parses `1374067924`, `1374067924.5`, `-1` or `2013-07-17T13:32:04Z`.
pub(crate) fn parse_moment(text: &str) -> Option<Timestamp> {
    if let Ok(time) = Timestamp::parse(text) {
        return Some(time);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || (text.contains('.') && fraction.is_empty()) {
        return None;
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    Timestamp::from_unix(seconds, digits.parse().ok()?).ok()
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
}
