//! `POST /commit`

use engine::Commit;
use http::StatusCode;
use model::{Config, ImageReference};
use serde::Serialize;

use crate::api::{ApiError, Call, Handled, Reply, apply_changes, json};

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CommitAnswer {
    id: String,
}

pub(super) async fn commit(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let config = if body.trim_ascii().is_empty() {
        Config::default()
    } else {
        json::from_body(&body).map_err(|error| ApiError::refused(error.to_string()))?
    };
    let query = &call.query;
    let config = apply_changes(config, &query.all("changes"))?;
    let reference = query.filled("repo").map(|repository| {
        ImageReference::from_parts(repository, query.text("tag"))
            .map(ImageReference::with_default_tag)
            .map_err(|error| ApiError::refused(error.to_string()))
    });
    let commit = Commit {
        config,
        reference: reference.transpose()?,
        author: query.text("author").to_owned(),
        comment: query.text("comment").to_owned(),
        pause: query.is_true_or("pause", true),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let image = call.engine.commit(query.text("container"), commit).await?;
    Reply::json(StatusCode::CREATED, &CommitAnswer { id: image.id.hexadecimal() })
}
