//! `GET /images/(name)/history`

use engine::images::HistoryStep;
use http::StatusCode;
use model::Timestamp;
use serde::Serialize;

use super::failure;
use crate::{Call, Handled, Reply};

/// The id of a step whose image is not here.
const MISSING: &str = "<missing>";

pub(super) fn history(call: &Call<'_>) -> Handled {
    let steps = call.engine.images.store().history(&call.name).map_err(failure)?;
    let entries: Vec<HistoryEntry> = steps.into_iter().map(HistoryEntry::from).collect();
    Reply::json(StatusCode::OK, &entries)
}

/// One step, in the documented form.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HistoryEntry {
    id: String,
    created: i64,
    created_by: String,
    /// `null` for none.
    tags: Option<Vec<String>>,
    size: u64,
    comment: String,
}

impl From<HistoryStep> for HistoryEntry {
    fn from(step: HistoryStep) -> Self {
        Self {
            id: step.image.map_or_else(|| MISSING.to_owned(), |image| image.hexadecimal()),
            created: step.created.unwrap_or(Timestamp::NEVER).unix_seconds(),
            created_by: step.created_by,
            tags: (!step.tags.is_empty()).then_some(step.tags),
            size: step.size,
            comment: step.comment,
        }
    }
}
