//! A container's changes to the files of its image, and an archive of its whole root file system.

use engine::images::{Change, ChangeKind};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::stream::answer_with;
use crate::{Call, Handled, Reply};

/// `GET /containers/(id)/changes`
pub(super) async fn changes(call: &Call<'_>) -> Handled {
    let changes = call.engine.files.changes(&call.name).await?;
    let changes: Vec<WireChange> = changes.into_iter().map(WireChange::from).collect();
    // Without changes the reference answers `null`, which its clients expect.
    Reply::json(StatusCode::OK, &(!changes.is_empty()).then_some(changes))
}

/// One changed path.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireChange {
    path: String,
    kind: u8,
}

impl From<Change> for WireChange {
    fn from(change: Change) -> Self {
        let kind = match change.kind {
            ChangeKind::Modified => 0,
            ChangeKind::Added => 1,
            ChangeKind::Deleted => 2,
        };
        Self { path: change.path, kind }
    }
}

/// `GET /containers/(id)/export`
pub(super) async fn export(call: Call<'_>) -> Handled {
    let session = call.engine.files.prepare_export(&call.name)?;
    let octets = [(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
    answer_with(call, &octets, |out| session.run(Box::new(out))).await
}
