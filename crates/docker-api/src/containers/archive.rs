//! Files in and out of a container: `archive` in its three methods, and the old `copy`.

use engine::FileOwner;
use engine::images::Overwrite;
use engine::images::paths::PathError;
use engine::images::tar::ArchiveError;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::path_stat;
use crate::stream::{answer_with, with_body};
use crate::{ApiError, Call, Handled, Reply, json};
use berth_http::Response;

const TAR: HeaderValue = HeaderValue::from_static("application/x-tar");

/// The path that the query must name.
fn path(call: &Call<'_>) -> Result<String, ApiError> {
    let missing = || ApiError::bad_parameter("'path' cannot be empty");
    call.query.filled("path").map(str::to_owned).ok_or_else(missing)
}

/// The specification lists 400 for a path that is no directory where one is wanted, and for an archive that would
/// change one sort of file into the other; links without end are no parameter's fault to the reference.
fn failure(call: &Call<'_>, error: engine::Error) -> ApiError {
    match &error {
        engine::Error::Path(PathError::NotFound(path)) if call.version.refusals_have_words_of_today() => {
            ApiError::not_found(format!("Could not find the file {path} in container {}", call.name))
        }
        engine::Error::Path(
            PathError::NotADirectory(_)
            | PathError::NotADirectoryToFill
            | PathError::Archive(ArchiveError::OverDirectory { .. } | ArchiveError::OverNonDirectory { .. }),
        ) => ApiError::bad_request(error.to_string()),
        _ => error.into(),
    }
}

/// `HEAD /containers/(id)/archive`
pub(super) async fn stat(call: &Call<'_>) -> Handled {
    let path = path(call)?;
    let (name, value) = path_stat::field(
        &call.engine.files.archive_stat(&call.name, &path).await.map_err(|error| failure(call, error))?,
    )?;
    Ok(Reply::Whole(Response::empty(StatusCode::OK).with(name, value)))
}

/// `GET /containers/(id)/archive`
pub(super) async fn read(call: Call<'_>) -> Handled {
    let path = path(&call)?;
    let session =
        call.engine.files.prepare_archive(&call.name, &path).await.map_err(|error| failure(&call, error))?;
    let fields = [(header::CONTENT_TYPE, TAR), path_stat::field(session.stat())?];
    answer_with(call, &fields, |out| session.run(Box::new(out))).await
}

/// `PUT /containers/(id)/archive`
pub(super) async fn write(call: Call<'_>) -> Handled {
    let path = path(&call)?;
    let overwrite = match call.query.is_true("noOverwriteDirNonDir") {
        true => Overwrite::SameSort,
        false => Overwrite::Anything,
    };
    // In every version: `docker cp --archive` of newer clients sends it.
    let owner = match call.query.is_true("copyUIDGID") {
        true => FileOwner::ContainerUser,
        false if call.version.archives_keep_owners() => FileOwner::Archive,
        false => FileOwner::Root,
    };
    let (engine, name) = (call.engine, &call.name);
    let work = |archive| engine.files.archive_write(name, &path, overwrite, owner, Box::new(archive));
    with_body(&mut call.exchange.body, work).await?.map_err(|error| failure(&call, error))?;
    Ok(Reply::Whole(Response::text(StatusCode::OK, "")))
}

/// The body of copy.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CopyBody {
    resource: String,
}

/// `POST /containers/(id)/copy`
pub(super) async fn copy(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let body: CopyBody = json::from_body(&body)?;
    if body.resource.is_empty() {
        return Err(ApiError::invalid("Path cannot be empty"));
    }
    let session = call
        .engine
        .files
        .prepare_copy(&call.name, &body.resource)
        .await
        .map_err(|error| failure(&call, error))?;
    answer_with(call, &[(header::CONTENT_TYPE, TAR)], |out| session.run(Box::new(out))).await
}
