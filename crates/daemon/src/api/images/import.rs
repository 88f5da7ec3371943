//! `POST /images/create?fromSrc=…`: imports a root file system from the body or a URL.

use engine::images::ImportOptions;
use http::StatusCode;
use model::ImageReference;
use serde_json::json;

use super::failure;
use crate::api::stream::{json_fields, stream_line, with_body_blocking};
use crate::api::{ApiError, Call, Handled, Reply};

/// Imports the body's tar as an image of one layer.
pub(super) async fn import_body(call: Call<'_>) -> Handled {
    let reference = reference(&call)?;
    let name = reference.as_ref().map(ToString::to_string);
    let mut config = model::Config::default();
    crate::api::apply_changes(&mut config, &call.query.all("changes"))?;
    let options = ImportOptions {
        source: "-".to_owned(),
        reference,
        config: Some(config),
        message: call.query.filled("message").map(str::to_owned),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let engine = std::sync::Arc::clone(call.engine);
    let work = move |archive| engine.images().import(archive, &options);
    let image = with_body_blocking(&mut call.exchange.body, work).await?.map_err(failure)?;
    let id = image.id.hexadecimal();
    call.engine.emit_image("import", name.as_deref().unwrap_or(&id));
    let (_, output) = call.exchange.begin(StatusCode::OK, &json_fields()).await?;
    output.write(&stream_line(&json!({ "status": id }))).await?;
    output.finish().await?;
    Ok(Reply::Sent)
}

/// The name that `repo` and `tag` give the image, if they do.
fn reference(call: &Call<'_>) -> Result<Option<ImageReference>, ApiError> {
    let Some(repository) = call.query.filled("repo") else { return Ok(None) };
    let reference = ImageReference::from_parts(repository, call.query.text("tag"));
    reference
        .map(|reference| Some(reference.with_default_tag()))
        .map_err(|error| ApiError::refused(error.to_string()))
}
