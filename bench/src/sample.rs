//! One measured value, and how values are gathered.

use std::time::{Duration, Instant};

/// Which of two values is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// Times and sizes.
    Less,
    /// Rates.
    More,
}

/// A measured value.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// What was measured.
    pub(crate) name: String,
    /// In what.
    pub(crate) unit: &'static str,
    /// How much.
    pub(crate) value: f64,
    /// Which way is better.
    pub(crate) better: Better,
}

impl Sample {
    /// A time.
    pub(crate) fn milliseconds(name: &str, time: Duration) -> Self {
        Self { name: name.to_owned(), unit: "ms", value: time.as_secs_f64() * 1e3, better: Better::Less }
    }

    /// A rate of bytes.
    pub(crate) fn megabytes_a_second(name: &str, bytes: usize, time: Duration) -> Self {
        let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        let value = bytes / 1e6 / time.as_secs_f64();
        Self { name: name.to_owned(), unit: "MB/s", value, better: Better::More }
    }

    /// A rate of acts.
    pub(crate) fn a_second(name: &str, count: u32, time: Duration) -> Self {
        let value = f64::from(count) / time.as_secs_f64();
        Self { name: name.to_owned(), unit: "1/s", value, better: Better::More }
    }

    /// A share of one processor's time.
    pub(crate) fn percent_of_a_processor(name: &str, value: f64) -> Self {
        Self { name: name.to_owned(), unit: "%", value, better: Better::Less }
    }

    /// A size of memory.
    pub(crate) fn megabytes(name: &str, value: f64) -> Self {
        Self { name: name.to_owned(), unit: "MB", value, better: Better::Less }
    }
}

/// Repeats an act for a while, at least five times after one that does not count; gives the median.
pub(crate) fn median(
    budget: Duration,
    mut act: impl FnMut() -> anyhow::Result<Duration>,
) -> anyhow::Result<Duration> {
    act()?;
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || (begin.elapsed() < budget && times.len() < 500) {
        times.push(act()?);
    }
    Ok(middle(&times))
}

/// The median of times, of which there is one at least.
pub(crate) fn middle(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// How long an act takes.
pub(crate) fn timed(act: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    act()?;
    Ok(begin.elapsed())
}
