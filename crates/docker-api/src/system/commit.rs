//! `POST /commit`

use engine::Commit;
use http::StatusCode;
use serde::Serialize;

use crate::container_settings::Config;
use crate::images::new_name;
use crate::wire::image_id;
use crate::{ApiError, Call, Handled, Reply, apply_changes, json};

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CommitAnswer {
    id: String,
}

pub(super) async fn commit(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let config: Config =
        if body.trim_ascii().is_empty() { Config::default() } else { json::from_body(&body)? };
    let query = &call.query;
    let config = apply_changes(&config.into_settings(), &query.all("changes"), call.version)?;
    let container = query.filled("container").ok_or_else(|| {
        if call.version.refusals_have_words_of_today() {
            ApiError::bad_request("invalid name or ID supplied: \"\"")
        } else {
            ApiError::invalid("Prefix can't be empty")
        }
    })?;
    let commit = Commit {
        config,
        reference: new_name(&call)?,
        author: call.kept_text("author")?,
        comment: call.kept_text("comment")?,
        pause: query.is_true_or("pause", true),
        has_more_events: call.version.commits_have_more_events(),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let image = call.engine.files.commit(container, commit).await?;
    Reply::json(StatusCode::CREATED, &CommitAnswer { id: image_id(&image.id, call.version) })
}
