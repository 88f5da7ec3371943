//! Words as the history shows those of CMD and ENTRYPOINT: `["sh" "-c" "x"]`.

use std::fmt::Write;

/// Quotes words and puts them into brackets.
pub(super) fn quoted_list(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(" "))
}

fn quoted(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    text.push('"');
    for character in word.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(text, "\\x{:02x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// Nanoseconds as histories show them: `1h30m0s`, `1.5s`, `20ms`.
pub(super) fn go_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let (whole, unit) = match total {
        0 => return "0s".to_owned(),
        1..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => {
            let (minutes, seconds) = (total / MINUTE, total % MINUTE);
            let (hours, minutes) = (minutes / 60, minutes % 60);
            let seconds = decimal(seconds, 1_000_000_000);
            return match (hours, minutes) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            };
        }
    };
    format!("{sign}{}{unit}", decimal(total, whole))
}

/// Nanoseconds of a minute.
const MINUTE: u64 = 60_000_000_000;

/// A fraction whose denominator is a power of ten.
fn decimal(number: u64, whole: u64) -> String {
    if number.is_multiple_of(whole) {
        return (number / whole).to_string();
    }
    let digits = whole.to_string().len() - 1;
    let fraction = format!("{:0digits$}", number % whole);
    format!("{}.{}", number / whole, fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_shown_as_clients_know_them() {
        let list =
            |words: &[&str]| quoted_list(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert_eq!(list(&["/bin/sh", "-c", "[\"a\", b]"]), r#"["/bin/sh" "-c" "[\"a\", b]"]"#);
        assert_eq!(list(&[]), "[]");
        assert_eq!(list(&["a\\\n\u{1}é"]), r#"["a\\\n\x01é"]"#);
    }

    #[test]
    fn durations_are_shown_as_clients_know_them() {
        for (nanoseconds, want) in [
            (0, "0s"),
            (3_000_000_000, "3s"),
            (90_000_000_000, "1m30s"),
            (1_500_000_000, "1.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (1_050_000, "1.05ms"),
            (-5, "-5ns"),
        ] {
            assert_eq!(go_duration(nanoseconds), want, "{nanoseconds}");
        }
    }
}
