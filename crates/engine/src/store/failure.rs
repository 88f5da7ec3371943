//! Where a failure that a row of a container keeps arose.

use serde::{Deserialize, Serialize};

use crate::recorded_failure::RecordedFailure;

/// Where a failure arose.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    System,
    Other,
}

impl Origin {
    pub(super) const fn of(failure: &RecordedFailure) -> Self {
        match failure {
            RecordedFailure::System(_) => Self::System,
            RecordedFailure::Other(_) => Self::Other,
        }
    }
}

/// The failure of a row; earlier releases saved it as one text.
pub(super) fn read(error: String, origin: Option<Origin>) -> Option<RecordedFailure> {
    match origin {
        Some(Origin::System) => Some(RecordedFailure::System(error)),
        Some(Origin::Other) => Some(RecordedFailure::Other(error)),
        None => RecordedFailure::of_text(&error),
    }
}
