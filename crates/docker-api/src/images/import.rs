//! `POST /images/create?fromSrc=…`: imports a root file system from the body or a URL.

use std::sync::Arc;

use engine::Engine;
use engine::builder::{BuildEvent, download};
use engine::images::ImportOptions;
use engine::images::registry::{Cancellation, Message, Progress};
use http::StatusCode;
use model::{ContainerSettings, EventAction};

use super::{new_name, platform, tarball_failure};
use crate::progress::{answer_with_messages, encode};
use crate::stream::{json_fields, with_body_blocking};
use crate::version::ApiVersion;
use crate::wire::image_id;
use crate::{ApiError, Call, Handled, Reply, apply_changes};

/// Imports the body's tar as an image of one layer.
pub(super) async fn import_body(call: Call<'_>) -> Handled {
    let options = options(&call, "-")?;
    let (engine, version) = (Arc::clone(call.engine), call.version);
    let work = move |archive| import(&engine, archive, &options, version);
    let id = with_body_blocking(&mut call.exchange.body, work).await??;
    let (_, output) = call.exchange.begin(StatusCode::OK, &json_fields()).await?;
    output.write(&encode(&Message::line(id))).await?;
    output.finish().await?;
    Ok(Reply::Sent)
}

/// Downloads a tar and imports it.
pub(super) async fn import_url(call: Call<'_>) -> Handled {
    let source = call.query.text("fromSrc");
    let address = if source.contains("://") { source.to_owned() } else { format!("http://{source}") };
    let options = options(&call, &address)?;
    let (engine, version) = (Arc::clone(call.engine), call.version);
    let work = move |progress: &dyn Progress, cancellation: &Cancellation| {
        let report = |event: BuildEvent| {
            if let BuildEvent::Progress(message) = event {
                progress.report(message);
            }
        };
        let begins = || progress.report(Message::line(format!("Downloading from {address}")));
        if !version.imports_fail_before_they_are_shown() {
            begins();
        }
        let archive = download(&address, "Importing", &report, cancellation)
            .map_err(|error| ApiError::of_kind(error.kind(), error.to_string()))?;
        if version.imports_fail_before_they_are_shown() {
            begins();
        }
        let id = import(&engine, archive, &options, version)?;
        progress.report(Message::line(id));
        Ok(())
    };
    answer_with_messages(call.exchange, work).await
}

/// Imports a tar, publishes the event, and returns the image's id.
fn import(
    engine: &Engine,
    archive: impl std::io::Read + Send,
    options: &ImportOptions,
    version: ApiVersion,
) -> Result<String, ApiError> {
    let image = engine.images.store().import(archive, options);
    let id = image.map_err(|error| tarball_failure(&error))?.id;
    let name = options.reference.as_ref().map(ToString::to_string);
    match name {
        Some(name) if version.imports_tell_of_their_tag() => {
            engine.images.emit(EventAction::Tag, &id, &name);
            engine.images.emit(EventAction::Import, &id, &id.to_string());
        }
        name => engine.images.emit(EventAction::Import, &id, &name.unwrap_or_else(|| id.to_string())),
    }
    Ok(image_id(&id, version))
}

fn options(call: &Call<'_>, source: &str) -> Result<ImportOptions, ApiError> {
    Ok(ImportOptions {
        source: source.to_owned(),
        reference: new_name(call)?,
        config: Some(apply_changes(&ContainerSettings::default(), &call.query.all("changes"), call.version)?),
        platform: if call.version.import_has_a_platform() { platform::asked_in_words(call)? } else { None },
        message: Some(call.kept_text("message")?).filter(|message| !message.is_empty()),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
