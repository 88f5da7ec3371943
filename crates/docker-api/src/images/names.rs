//! Gives images names and takes them away.

use engine::images::{Removal, RemoveOptions, TagPolicy};
use http::StatusCode;
use model::{ImageReference, split_tag};
use serde::Serialize;

use super::platform;
use super::removal_words::removal_failure;
use crate::version::ApiVersion;
use crate::wire::image_id;
use crate::{ApiError, Call, Handled, Reply};
use berth_http::Response;

/// Refuses a request for an image whose name ends with a colon, where that does not mean `latest`: a client
/// that removes `name:$TAG` with an empty `TAG` does not mean another tag.
pub(super) fn named(call: Call<'_>) -> Result<Call<'_>, ApiError> {
    check_end(&call.name, call.version)?;
    Ok(call)
}

/// The same for any name in a request.
pub(crate) fn check_end(name: &str, version: ApiVersion) -> Result<(), ApiError> {
    if version.names_need_what_their_colon_announces() && name.ends_with(':') {
        return Err(ApiError::bad_request("invalid reference format"));
    }
    Ok(())
}

/// `POST /images/(name)/tag`
pub(super) async fn tag(call: &Call<'_>) -> Handled {
    let Some(repository) = call.query.filled("repo") else {
        return Err(ApiError::bad_request("Repository name can't be empty"));
    };
    check_end(repository, call.version)?;
    let (repository, tag) = if call.version.new_tags_may_stand_in_the_name() {
        name_and_tag(repository, call.query.text("tag"))
    } else {
        (repository, call.query.text("tag"))
    };
    let reference =
        ImageReference::tagged(repository, tag).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let moves = call.version.tags_always_move() || call.query.is_true("force");
    let policy = if moves { TagPolicy::Move } else { TagPolicy::Keep };
    call.engine.images.tag(&call.name, reference, policy).await?;
    Ok(Reply::Whole(Response::text(StatusCode::CREATED, "")))
}

/// `DELETE /images/(name)`
pub(super) async fn remove(call: &Call<'_>) -> Handled {
    let options = RemoveOptions {
        force: call.query.is_true("force"),
        keep_parents: call.query.is_true("noprune"),
        names_in_use: call.version.forced_removals_take_names_in_use(),
        names_of_parents: call.version.names_of_parents_are_free(),
        ..RemoveOptions::default()
    };
    let platforms =
        if call.version.image_removal_has_platforms() { platform::all_asked(call)? } else { Vec::new() };
    if !platforms.is_empty() && !options.force {
        return Err(ApiError::bad_request(
            "Content will be removed from all images referencing this variant. Use —-force to force delete.",
        ));
    }
    let removals = if platforms.is_empty() {
        call.engine.images.remove(&call.name, options).await
    } else {
        call.engine.images.remove_platforms(&call.name, platforms, options).await
    };
    let removals = removals.map_err(|error| removal_failure(error, call))?;
    let removals: Vec<WireRemoval> =
        removals.into_iter().map(|removal| WireRemoval::of(removal, call.version)).collect();
    Reply::json(StatusCode::OK, &removals)
}

/// One thing that was done, as an object with one field.
#[derive(Debug, Serialize)]
pub(super) enum WireRemoval {
    Untagged(String),
    Deleted(String),
}

impl WireRemoval {
    pub(super) fn of(removal: Removal, version: ApiVersion) -> Self {
        match removal {
            Removal::Untagged(name) => Self::Untagged(name),
            Removal::Deleted(id) => Self::Deleted(image_id(&id, version)),
        }
    }
}

/// The name that `repo` and `tag` give a new image, if they do. Without `tag` it may stand in `repo`, where
/// newer clients leave it when they import.
pub(crate) fn new_name(call: &Call<'_>) -> Result<Option<ImageReference>, ApiError> {
    let Some(repository) = call.query.filled("repo") else { return Ok(None) };
    check_end(repository, call.version)?;
    let tag = call.query.text("tag");
    let (repository, tag) = if tag.is_empty() || call.version.new_tags_may_stand_in_the_name() {
        name_and_tag(repository, tag)
    } else {
        (repository, tag)
    };
    ImageReference::tagged(repository, tag).map(Some).map_err(|error| ApiError::invalid(error.to_string()))
}

/// A name and the tag in it, which the one that stands apart overrules.
pub(super) fn name_and_tag<'name>(repository: &'name str, tag: &'name str) -> (&'name str, &'name str) {
    match (split_tag(repository), tag) {
        ((repository, Some(tag)), "") => (repository, tag),
        ((repository, _), tag) => (repository, tag),
    }
}
