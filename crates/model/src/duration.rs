//! Durations as clients written in Go write them: numbers with units, `1h30m` or `1.5s`.

/// The nanoseconds of a second.
const NANOSECONDS: i128 = 1_000_000_000;

/// Parses a duration, in nanoseconds. Days are accepted too, as filters of times have them.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i128> {
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
    fn durations_are_sums_of_numbers_with_units() {
        for (text, seconds) in [("1h", 3600), ("1h30m", 5400), ("0s", 0), ("1.5m", 90), ("2d", 172_800)] {
            assert_eq!(parse_duration(text), Some(i128::from(seconds) * NANOSECONDS), "{text}");
        }
        for bad in ["", "yesterday", "1", "h", "1x", "1h5", "-1h", "99999999999999999999h"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
