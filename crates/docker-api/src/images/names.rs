//! Gives images names and takes them away.

use engine::images::{Removal, RemoveOptions, TagPolicy};
use http::StatusCode;
use model::{ImageReference, split_tag};
use serde::Serialize;

use super::failure;
use crate::{ApiError, Call, Handled, Reply};
use berth_http::Response;

/// `POST /images/(name)/tag`
pub(super) fn tag(call: &Call<'_>) -> Handled {
    let Some(repository) = call.query.filled("repo") else {
        return Err(ApiError::bad_request("Repository name can't be empty"));
    };
    let reference = ImageReference::tagged(repository, call.query.text("tag"))
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    let images = call.engine.images.store();
    let id = images.resolve_id(&call.name).map_err(|error| failure(error.as_lookup()))?;
    let policy = if call.query.is_true("force") { TagPolicy::Move } else { TagPolicy::Keep };
    images.tag(&id, &reference, policy).map_err(failure)?;
    call.engine.events.emit_image("tag", &reference.to_string());
    Ok(Reply::Whole(Response::text(StatusCode::CREATED, "")))
}

/// `DELETE /images/(name)`
pub(super) async fn remove(call: &Call<'_>) -> Handled {
    let options =
        RemoveOptions { force: call.query.is_true("force"), keep_parents: call.query.is_true("noprune") };
    let removals = call.engine.images.remove(&call.name, options).await?;
    let removals: Vec<WireRemoval> = removals.into_iter().map(WireRemoval::from).collect();
    Reply::json(StatusCode::OK, &removals)
}

/// One thing that was done, as an object with one field.
#[derive(Debug, Serialize)]
enum WireRemoval {
    Untagged(String),
    Deleted(String),
}

impl From<Removal> for WireRemoval {
    fn from(removal: Removal) -> Self {
        match removal {
            Removal::Untagged(name) => Self::Untagged(name),
            Removal::Deleted(id) => Self::Deleted(id.hexadecimal()),
        }
    }
}

/// The name that `repo` and `tag` give a new image, if they do. Without `tag` it may stand in `repo`, where
/// newer clients leave it when they import.
pub(crate) fn new_name(call: &Call<'_>) -> Result<Option<ImageReference>, ApiError> {
    let Some(repository) = call.query.filled("repo") else { return Ok(None) };
    let (repository, tag) = match (split_tag(repository), call.query.text("tag")) {
        ((repository, Some(tag)), "") => (repository, tag),
        (_, tag) => (repository, tag),
    };
    ImageReference::tagged(repository, tag).map(Some).map_err(|error| ApiError::invalid(error.to_string()))
}
