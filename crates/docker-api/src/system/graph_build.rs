//! `POST /build?version=2`: a build of BuildKit for clients that use no other part of its protocol than sessions. The stream
//! carries BuildKit's own messages of the progress.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildkit_api::{ImageBuild, ImageBuildFailure, ImageExporter};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::build_request::{self, BuildCall};
use crate::stream::{answer_progress_of_body, start, stream_line, with_body};
use crate::{ApiError, Call, Handled, Reply, json};

/// How a request is named that carries the context of a build.
const UPLOAD: &str = "upload-request:";

/// A message of the progress, or the image.
#[derive(Debug, Serialize)]
struct Line<T> {
    id: &'static str,
    aux: T,
}

#[derive(Debug, Serialize)]
struct ImageId {
    #[serde(rename = "ID")]
    id: String,
}

/// An exporter in `outputs`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    attrs: Option<HashMap<String, String>>,
}

/// Whether a request is for a build by BuildKit.
pub(super) fn is_asked_for(call: &Call<'_>) -> bool {
    call.query.text("version") == "2"
}

pub(super) async fn build(call: Call<'_>) -> Handled {
    if let Some(build) = call.query.text("buildid").strip_prefix(UPLOAD).map(str::to_owned) {
        return take_context(call, &build).await;
    }
    let BuildCall { request, credentials, body } = build_request::read(&call)?;
    let names: Vec<String> = request.names.iter().map(ToString::to_string).collect();
    let reference = match call.query.filled("buildid") {
        Some(id) => id.to_owned(),
        None => call.build_kit.new_build_name(),
    };
    let build = ImageBuild {
        reference: reference.clone(),
        session: call.query.text("session").to_owned(),
        exporters: exporters(call.query.text("outputs"), &names.join(","))?,
        request,
        credentials,
    };
    let (build_kit, cancelling) = (call.build_kit.clone(), call.build_kit.clone());
    let work = start(move |reporter| {
        let runtime = tokio::runtime::Handle::current();
        let mut running = runtime.block_on(async { build_kit.start_image_build(build) });
        while let Some(message) = runtime.block_on(running.next()) {
            let line = Line { id: "moby.buildkit.trace", aux: STANDARD.encode(message) };
            if !reporter.send(stream_line(&line)) {
                return Ok(());
            }
        }
        if let Some(id) = runtime.block_on(running.outcome()).map_err(failure)? {
            reporter.send(stream_line(&Line { id: "moby.image.id", aux: ImageId { id } }));
        }
        Ok::<(), ApiError>(())
    })?;
    answer_progress_of_body(call.exchange, work, body, move || cancelling.cancel_build(&reference)).await
}

/// Passes the body to the build that waits for it.
async fn take_context(call: Call<'_>, build: &str) -> Handled {
    let build_kit = call.build_kit.clone();
    let offered = with_body(&mut call.exchange.body, |reader| async move {
        build_kit.offer_context(build, Box::new(reader)).await
    });
    offered.await?.map_err(failure)?;
    Reply::empty(StatusCode::OK)
}

/// `POST /build/cancel`
pub(super) fn cancel(call: &Call<'_>) -> Handled {
    let Some(build) = call.query.filled("id") else {
        return Err(ApiError::bad_request("build ID not provided".to_owned()));
    };
    call.build_kit.cancel_build(build);
    Reply::empty(StatusCode::OK)
}

/// The exporters of a build: the engine's store by default.
fn exporters(outputs: &str, names: &str) -> Result<Vec<ImageExporter>, ApiError> {
    let outputs: Option<Vec<Output>> = match outputs {
        "" => None,
        text => json::from_parameter("outputs", text)?,
    };
    let mut exporters: Vec<_> = outputs
        .unwrap_or_default()
        .into_iter()
        .map(|output| (output.kind, output.attrs.unwrap_or_default()))
        .collect();
    if exporters.is_empty() {
        exporters.push(("moby".to_owned(), HashMap::new()));
    }
    for (kind, attributes) in &mut exporters {
        if matches!(kind.as_str(), "moby" | "image" | "docker" | "oci") && !names.is_empty() {
            attributes.entry("name".to_owned()).or_insert_with(|| names.to_owned());
        }
    }
    Ok(exporters)
}

fn failure(failure: ImageBuildFailure) -> ApiError {
    ApiError::of_kind(failure.kind, failure.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_goes_into_the_store_unless_something_else_is_asked_for() {
        let read = |outputs: &str| exporters(outputs, "a:1,b:1").expect("exporters");
        let named =
            |kind: &str| (kind.to_owned(), HashMap::from([("name".to_owned(), "a:1,b:1".to_owned())]));
        for nothing in ["", "[]", "null"] {
            assert_eq!(read(nothing), [named("moby")], "{nothing}");
        }
        let local = ("local".to_owned(), HashMap::from([("dest".to_owned(), "out".to_owned())]));
        assert_eq!(read(r#"[{"Type":"local","Attrs":{"dest":"out"}}]"#), [local]);
        assert_eq!(read(r#"[{"Type":"oci","Attrs":null}]"#), [named("oci")]);
        assert!(exporters("{", "").is_err());
    }
}
