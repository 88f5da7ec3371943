//! The `Status` strings of lists, word for word as the reference's: clients print them.

use std::time::Duration;

use engine::{Phase, Record};
use model::{HealthStatus, Timestamp};

use crate::version::ApiVersion;

/// A container's state in a list.
pub(crate) fn status_text(record: &Record, now: Timestamp, version: ApiVersion) -> String {
    match record.phase {
        Phase::Running(_) => {
            let health = record.health.as_ref().filter(|_| version.containers_have_health());
            format!(
                "Up {}{}",
                span(now.since(record.started_at), version),
                health.map_or("", |health| words(health.status))
            )
        }
        Phase::Paused(_) => format!("Up {} (Paused)", span(now.since(record.started_at), version)),
        Phase::Restarting => {
            format!("Restarting ({}) {} ago", record.exit_code, span(now.since(record.finished_at), version))
        }
        Phase::Removing => "Removal In Progress".to_owned(),
        Phase::Created | Phase::Starting | Phase::Exited if !record.has_run() => "Created".to_owned(),
        Phase::Created | Phase::Starting | Phase::Exited => {
            format!("Exited ({}) {} ago", record.exit_code, span(now.since(record.finished_at), version))
        }
    }
}

/// The word for a container's state.
pub(crate) fn state_word(record: &Record, version: ApiVersion) -> &'static str {
    match record.phase {
        Phase::Running(_) => "running",
        Phase::Paused(_) => "paused",
        Phase::Restarting => "restarting",
        Phase::Removing if version.removals_have_a_state() => "removing",
        Phase::Removing => "exited",
        // Its only start failed, or has only begun.
        Phase::Created | Phase::Starting | Phase::Exited if !record.has_run() => "created",
        Phase::Created | Phase::Starting | Phase::Exited => "exited",
    }
}

/// A list's text for a container's health, after the time.
const fn words(health: HealthStatus) -> &'static str {
    match health {
        HealthStatus::Starting => " (health: starting)",
        HealthStatus::Healthy => " (healthy)",
        HealthStatus::Unhealthy => " (unhealthy)",
    }
}

/// A span of time in the words of the version.
fn span(duration: Duration, version: ApiVersion) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) if version.one_second_is_singular() => "1 second".to_owned(),
        (_, 0, _) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, _, 0) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, 2..48) => format!("{hours} hours"),
        (_, _, 48..336) => format!("{} days", hours / 24),
        (_, _, 336..2160) => format!("{} weeks", hours / 24 / 7),
        (_, _, 2160..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_words() {
        let hour = 3600;
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 seconds"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (120, "2 minutes"),
            (hour, "About an hour"),
            (2 * hour, "2 hours"),
            (47 * hour, "47 hours"),
            (48 * hour, "2 days"),
            (14 * 24 * hour, "2 weeks"),
            (90 * 24 * hour, "3 months"),
            (730 * 24 * hour, "2 years"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds), ApiVersion::minor(20)), words, "{seconds}");
        }
        assert_eq!(span(Duration::from_secs(1), ApiVersion::minor(24)), "1 second");
    }
}
