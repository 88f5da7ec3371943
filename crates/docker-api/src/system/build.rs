//! `POST /build`: the context comes in while the build's words go out.

use std::sync::{Arc, Mutex, PoisonError};

use engine::builder::BuildEvent;
use engine::images::registry::Cancellation;
use serde::Serialize;

use super::build_request::{self, BuildCall};
use super::withheld::Withheld;
use crate::progress::encode;
use crate::stream::{self, Reporter, answer_progress_of_body, stream_line, stream_text};
use crate::wire::image_id;
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
    let (quiet, version) = (call.query.is_true("q"), call.version);
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
                | BuildEvent::Material(_) => Vec::new(),
            };
            if !reporter.send(message) {
                cancellation.cancel();
            }
        };
        let built = engine.builds.build(request, &credentials, &tell, &cancellation);
        if quiet && built.is_err() {
            // Who would read them may have left.
            let _ = withheld().take().into_iter().all(|line| reporter.send(line));
        }
        let image = built.map_err(failure)?;
        if quiet {
            reporter.send(stream_text(&format!("{}\n", image_id(&image, version))));
        }
        Ok::<(), ApiError>(())
    })?;
    answer_progress_of_body(call.exchange, work, body, move || stop.cancel()).await
}

/// The answer of a build that failed.
pub(super) fn failure(error: engine::builder::BuildError) -> ApiError {
    match error.code() {
        Some(code) => ApiError::Command { code, message: error.to_string() },
        None => ApiError::of_kind(error.kind(), error.to_string()),
    }
}
