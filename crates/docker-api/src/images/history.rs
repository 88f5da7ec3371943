//! `GET /images/(name)/history`

use engine::images::HistoryStep;
use http::StatusCode;
use model::Timestamp;
use serde::Serialize;

use super::{failure, platform};
use crate::version::ApiVersion;
use crate::wire::image_id;
use crate::{Call, Handled, Reply};

/// The id of a step whose image is not here.
const MISSING: &str = "<missing>";

pub(super) fn history(call: &Call<'_>) -> Handled {
    let store = call.engine.images.store();
    let wanted =
        if call.version.history_and_archives_have_a_platform() { platform::asked(call)? } else { None };
    let steps = store.history(&call.name, wanted.as_ref()).map_err(failure)?;
    let entries: Vec<HistoryEntry> =
        steps.into_iter().map(|step| HistoryEntry::new(step, call.version)).collect();
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

impl HistoryEntry {
    fn new(step: HistoryStep, version: ApiVersion) -> Self {
        Self {
            id: step.image.map_or_else(|| MISSING.to_owned(), |image| image_id(&image, version)),
            created: step.created.unwrap_or(Timestamp::NEVER).unix_seconds(),
            created_by: step.created_by,
            tags: (!step.tags.is_empty()).then_some(step.tags),
            size: step.size,
            comment: step.comment,
        }
    }
}
