//! A container's health, as inspect and lists show it.

use engine::Record;
use model::{Health, ProbeResult, Timestamp};
use serde::Serialize;

/// The health of containers without a check in lists.
const NONE: &str = "none";

/// `State.Health`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WireHealth<'a> {
    #[serde(flatten)]
    summary: HealthSummary,
    log: Vec<WireResult<'a>>,
}

/// A container's health in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthSummary {
    status: String,
    failing_streak: u32,
}

/// The result of a probe.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireResult<'a> {
    start: Timestamp,
    end: Timestamp,
    exit_code: i32,
    output: &'a str,
}

impl<'a> WireHealth<'a> {
    /// That of a container which was started with a check.
    pub(crate) fn of(record: &'a Record) -> Option<Self> {
        let health = record.health.as_ref()?;
        let result = |result: &'a ProbeResult| {
            let ProbeResult { start, end, exit_code, output } = result;
            WireResult { start: *start, end: *end, exit_code: *exit_code, output }
        };
        Some(Self { summary: HealthSummary::of(record), log: health.log.iter().map(result).collect() })
    }
}

impl HealthSummary {
    pub(crate) fn of(record: &Record) -> Self {
        let failing_streak = record.health.as_ref().map_or(0, |health| health.failing_streak);
        Self { status: health_word(record.health.as_deref()), failing_streak }
    }
}

/// The word of the filter `health`.
pub(crate) fn health_word(health: Option<&Health>) -> String {
    health.map_or_else(|| NONE.to_owned(), |health| health.status.to_string())
}
