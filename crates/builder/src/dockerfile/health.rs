//! HEALTHCHECK: kept in the image's configuration, for the containers that are made of it.

use images::document::HealthCheck;

use super::flags::{Flags, Known, Takes};
use super::{Command, DockerfileError, json};

/// The flags that HEALTHCHECK takes.
pub(super) const FLAGS: &[Known] = &[
    ("interval", Takes::Value),
    ("timeout", Takes::Value),
    ("start-period", Takes::Value),
    ("start-interval", Takes::Value),
    ("retries", Takes::Value),
];

/// Parses what follows HEALTHCHECK and its flags.
///
/// # Errors
/// [`DockerfileError`] when the type, the command or a flag's value is bad.
pub(super) fn parse(flags: &Flags, text: &str) -> Result<Command, DockerfileError> {
    let (kind, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim_start();
    let test = match kind.to_ascii_uppercase().as_str() {
        "" => return Err(DockerfileError::Arguments("HEALTHCHECK".to_owned(), "at least one argument")),
        "NONE" if rest.is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err(DockerfileError::Arguments("HEALTHCHECK NONE".to_owned(), "no arguments")),
        "CMD" => command(rest)?,
        _ => return Err(DockerfileError::HealthCheckType(kind.to_owned())),
    };
    let check = HealthCheck {
        test: Some(test),
        interval: duration(flags, "interval")?,
        timeout: duration(flags, "timeout")?,
        start_period: duration(flags, "start-period")?,
        start_interval: duration(flags, "start-interval")?,
        retries: retries(flags)?,
    };
    let written = flags.written.iter().map(String::as_str).chain([text]).collect::<Vec<_>>().join(" ");
    Ok(Command::HealthCheck { check, written })
}

fn command(text: &str) -> Result<Vec<String>, DockerfileError> {
    let words = match json::words(text)? {
        Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
        None => vec!["CMD-SHELL".to_owned(), text.to_owned()],
    };
    if words.len() < 2 || words[1].is_empty() {
        return Err(DockerfileError::HealthCheckCommand);
    }
    Ok(words)
}

fn retries(flags: &Flags) -> Result<i64, DockerfileError> {
    let Some(value) = flags.value("retries") else { return Ok(0) };
    let retries = value.parse::<u32>().ok();
    retries.map(i64::from).ok_or_else(|| invalid("retries", value))
}

/// Nanoseconds of a duration of at least a millisecond; 0 where the flag is not given.
fn duration(flags: &Flags, flag: &'static str) -> Result<i64, DockerfileError> {
    let Some(value) = flags.value(flag) else { return Ok(0) };
    parse_duration(value).filter(|&nanoseconds| nanoseconds >= 1_000_000).ok_or_else(|| invalid(flag, value))
}

fn invalid(flag: &'static str, value: &str) -> DockerfileError {
    DockerfileError::HealthCheckFlag { flag, value: value.to_owned() }
}

/// Parses `1h30m`, `1.5s`, `250ms` to nanoseconds.
fn parse_duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|end: char| !end.is_ascii_digit() && end != '.')?;
        let (number, behind) = rest.split_at(digits);
        let end = behind.find(|next: char| next.is_ascii_digit() || next == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let unit = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(scaled(number, unit)?)?;
        rest = behind;
    }
    (!text.is_empty()).then_some(total)
}

/// A decimal number of at most nine places times a unit.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = if whole.is_empty() && !fraction.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    if fraction.len() > 9 {
        return None;
    }
    let billionths = format!("{fraction:0<9}").parse::<i64>().ok()?;
    let part = i128::from(billionths) * i128::from(unit) / 1_000_000_000;
    whole.checked_mul(unit)?.checked_add(i64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::flags;

    fn parsed(text: &str) -> Result<HealthCheck, String> {
        let (flags, rest) = flags::take(text, FLAGS, '\\').map_err(|error| error.to_string())?;
        match parse(&flags, rest) {
            Ok(Command::HealthCheck { check, .. }) => Ok(check),
            Ok(_) => unreachable!("parse makes health checks"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn forms_and_flags() {
        let check =
            parsed("--interval=1m30s --timeout=1.5s --start-interval=2s --retries=3 CMD curl -f localhost");
        let check = check.unwrap();
        assert_eq!(check.start_interval, 2_000_000_000);
        assert_eq!(check.test.unwrap(), ["CMD-SHELL", "curl -f localhost"]);
        assert_eq!((check.interval, check.timeout, check.retries), (90_000_000_000, 1_500_000_000, 3));
        assert_eq!(parsed("CMD [\"a\",\"b\"]").unwrap().test.unwrap(), ["CMD", "a", "b"]);
        assert_eq!(parsed("--retries=0 CMD x").unwrap().retries, 0);
        assert_eq!(parsed("none").unwrap().test.unwrap(), ["NONE"]);
        for bad in [
            "",
            "CMD",
            "CMD []",
            "NONE x",
            "FOO x",
            "--interval=1 CMD x",
            "--interval=1us CMD x",
            "--retries=-1 CMD x",
            "--timeout=9223372036854775807h CMD x",
            "--timeout=. CMD x",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
