//! Values of log options that engine and shim must understand alike.

use std::time::Duration;

/// RFC 3164, section 4.1.1: the facilities' numbers are their places here.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// Parses the size of `max-size`: a number, one of `k`, `m`, `g`, `t` in steps of 1000, and a `b` if one
/// likes. Nothing is smaller than a byte.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let (number, power) = match bare.chars().last()? {
        'k' => (&bare[..bare.len() - 1], 1),
        'm' => (&bare[..bare.len() - 1], 2),
        'g' => (&bare[..bare.len() - 1], 3),
        't' => (&bare[..bare.len() - 1], 4),
        _ => (bare, 0),
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let size = number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(1000_u64.pow(power))?;
    Some(size).filter(|size| *size > 0)
}

/// Whether a text is a truth value as Go's `strconv.ParseBool` takes it.
#[must_use]
pub fn is_bool(text: &str) -> bool {
    is_true(text) || matches!(text, "0" | "f" | "F" | "false" | "False" | "FALSE")
}

/// Whether a text is one of those that mean true.
#[must_use]
pub fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "True" | "TRUE")
}

/// Parses a duration as Go writes it: `1s`, `500ms`, `1m0.5s`; each number has its unit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (value, behind) = rest.split_at(number);
        let unit_length = behind.find(|letter: char| letter.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_length);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += value.parse::<f64>().ok()? * factor;
        rest = behind;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

/// The number of a syslog facility by its name or its number.
#[must_use]
pub fn parse_facility(name: &str) -> Option<u8> {
    let place = FACILITIES.iter().position(|known| *known == name);
    let number = place.and_then(|place| u8::try_from(place).ok()).or_else(|| name.parse().ok());
    number.filter(|number| usize::from(*number) < FACILITIES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, size) in [("10k", 10_000), ("1MB", 1_000_000), ("7", 7), ("2g", 2_000_000_000), ("5b", 5)]
        {
            assert_eq!(parse_size(text), Some(size), "{text}");
        }
        for bad in ["", "k", "b", "-1", "+1", "0", "0k", "1.5m", "10kib", "10 k", "99999999999999999999", "x"]
        {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in
            [("1s", 1000), ("500ms", 500), ("1m0.5s", 60_500), ("0", 0), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in ["", "1", "s", "1x", "-1s", "1s2", "1.2.3s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn facilities_have_names_and_numbers() {
        assert_eq!(
            ["daemon", "local7", "5", "24", "x", ""].map(parse_facility),
            [Some(3), Some(23), Some(5), None, None, None]
        );
    }
}
