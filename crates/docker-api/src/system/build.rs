//! `POST /build`: the context comes in while the build's words go out.

use std::sync::{Arc, Mutex, PoisonError};

use engine::builder::{BuildError, BuildEvent, Wording};
use engine::images::registry::Cancellation;
use serde::Serialize;

use super::build_request::{self, BuildCall};
use super::withheld::Withheld;
use crate::progress::encode;
use crate::stream::{self, Reporter, answer_progress_of_body, stream_line, stream_text};
use crate::wire::image_id;
use crate::words;
use crate::{ApiError, Call, Handled};

/// The image of a stage.
#[derive(Debug, Serialize)]
struct StageLine {
    aux: StageImage,
}

#[derive(Debug, Serialize)]
struct StageImage {
    #[serde(rename = "ID")]
    id: String,
}

pub(super) async fn build(call: Call<'_>) -> Handled {
    let BuildCall { request, credentials, body } = build_request::read(&call)?;
    let (quiet, version, wording) = (call.query.is_true("q"), call.version, request.wording);
    let engine = Arc::clone(call.engine);
    let cancellation = Arc::new(Cancellation::new());
    let stop = Arc::clone(&cancellation);
    let work = stream::start(move |reporter: Reporter| {
        let withheld = Mutex::new(Withheld::default());
        let withheld = || withheld.lock().unwrap_or_else(PoisonError::into_inner);
        let tell = |event: BuildEvent| {
            let message = match event {
                BuildEvent::Stream(text) if quiet => {
                    withheld().keep(stream_text(&text));
                    // The answer begins all the same, so that a failure is reported in its stream.
                    Vec::new()
                }
                BuildEvent::Progress(_) | BuildEvent::Stage(_) if quiet => Vec::new(),
                BuildEvent::Stage(image) => {
                    stream_line(&StageLine { aux: StageImage { id: image.to_string() } })
                }
                BuildEvent::Stream(text) => stream_text(&text),
                BuildEvent::Progress(message) => encode(&message),
                // Only builds that run as graphs send them.
                BuildEvent::Plan(_)
                | BuildEvent::Vertex { .. }
                | BuildEvent::Warning(_)
                | BuildEvent::Material(_)
                | BuildEvent::Provision { .. } => Vec::new(),
            };
            if !reporter.send(message) {
                cancellation.cancel();
            }
        };
        let built = engine.builds.build(request, &credentials, &tell, &cancellation);
        if quiet && built.is_err() {
            // The client may have left.
            let _ = withheld().take().into_iter().all(|line| reporter.send(line));
        }
        let image = built.map_err(|error| failure_in(error, wording))?;
        if quiet {
            reporter.send(stream_text(&format!("{}\n", image_id(&image, version))));
        }
        Ok::<(), ApiError>(())
    })?;
    answer_progress_of_body(call.exchange, work, body, move || stop.cancel()).await
}

/// The answer of a build that failed, in the words of its version.
fn failure_in(error: BuildError, wording: Wording) -> ApiError {
    let of_engine = match &error {
        BuildError::Step(step) if wording == Wording::Today => {
            step.source.downcast_ref::<engine::Error>().and_then(words::of_today)
        }
        _ => None,
    };
    let message = of_engine.unwrap_or_else(|| error.text(wording));
    match error.code() {
        Some(code) => ApiError::Command { code, message },
        None => ApiError::of_kind(error.kind(), message),
    }
}

/// The answer where the cache of builds cannot be used.
pub(super) fn failure(error: BuildError) -> ApiError {
    ApiError::of_kind(error.kind(), error.to_string())
}
