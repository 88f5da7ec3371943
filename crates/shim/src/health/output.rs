//! A probe's output, as much of it as is kept, and the text for one that took too long.

use std::time::Duration;

use model::PROBE_OUTPUT_LIMIT;

/// Stands for what is not kept.
const CUT: &str = "...";

/// The beginning of a probe's output.
#[derive(Debug, Default)]
pub(crate) struct ProbeOutput {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl ProbeOutput {
    /// Keeps what fits.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let fitting = bytes.len().min(PROBE_OUTPUT_LIMIT - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..fitting]);
        self.is_cut |= fitting < bytes.len();
    }

    /// The shown text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.is_cut {
            text.push_str(CUT);
        }
        text
    }

    /// The shown text of a probe that took longer than this.
    pub(crate) fn text_of_late(&self, timeout: Duration) -> String {
        let late = format!("Health check exceeded timeout ({})", in_units(timeout));
        if self.bytes.is_empty() { late } else { format!("{late}: {}", self.text()) }
    }
}

/// A duration in the form of clients: `500ms`, `1.5s`, `1m30s`, `1h0m0s`.
fn in_units(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    match duration.as_secs() {
        0 if nanoseconds < 1_000 => format!("{nanoseconds}ns"),
        0 if nanoseconds < 1_000_000 => format!("{}µs", decimal(nanoseconds, 1_000)),
        0 => format!("{}ms", decimal(nanoseconds, 1_000_000)),
        seconds => {
            let rest = decimal(nanoseconds % 60_000_000_000, 1_000_000_000);
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{rest}s"),
                (0, minutes) => format!("{minutes}m{rest}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

/// A number of units, with a fraction where there is one.
fn decimal(number: u128, unit: u128) -> String {
    let (whole, rest) = (number / unit, number % unit);
    let digits = unit.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    match fraction.trim_end_matches('0') {
        "" => whole.to_string(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_fits() {
        let mut output = ProbeOutput::default();
        output.push(b"a\xff");
        assert_eq!(output.text(), "a\u{fffd}");
        output.push(&[b'x'; PROBE_OUTPUT_LIMIT - 2]);
        assert_eq!(output.bytes.len(), PROBE_OUTPUT_LIMIT);
        assert!(output.text().ends_with('x'));
        output.push(b"y");
        assert!(output.text().ends_with("x..."));
        assert_eq!(output.bytes.len(), PROBE_OUTPUT_LIMIT);
    }

    #[test]
    fn the_words_for_what_took_too_long() {
        let mut output = ProbeOutput::default();
        let timeout = Duration::from_millis(500);
        assert_eq!(output.text_of_late(timeout), "Health check exceeded timeout (500ms)");
        output.push(b"so far");
        assert_eq!(output.text_of_late(timeout), "Health check exceeded timeout (500ms): so far");
    }

    #[test]
    fn durations_in_units() {
        for (nanoseconds, text) in [
            (7, "7ns"),
            (1_500, "1.5µs"),
            (1_000_000, "1ms"),
            (250_000_000, "250ms"),
            (1_000_000_000, "1s"),
            (1_050_000_000, "1.05s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_661_500_000_000, "1h1m1.5s"),
        ] {
            assert_eq!(in_units(Duration::from_nanos(nanoseconds)), text);
        }
    }
}
