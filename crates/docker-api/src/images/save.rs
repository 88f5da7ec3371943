//! Images as tarballs: `GET /images/(name)/get`, `GET /images/get`, `POST /images/load`.

use std::io::Write;
use std::sync::Arc;

use engine::images::registry::Platform;
use engine::images::{SavedImages, SavedLayout, Store};
use http::{HeaderName, HeaderValue, StatusCode, header};
use model::{Digest, EventAction};

use super::{failure, platform, tarball_failure};
use crate::stream::{answer_with, finished, json_fields, stream_error, stream_text, with_body_blocking};
use crate::version::ApiVersion;
use crate::{ApiError, Call, Handled, Reply};
use berth_http::Response;

const TAR: [(HeaderName, HeaderValue); 1] =
    [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"))];

/// `GET /images/(name)/get`
pub(super) async fn save(call: Call<'_>) -> Handled {
    let name = call.name.clone();
    write(call, vec![name]).await
}

/// `GET /images/get?names=…&names=…`
pub(super) async fn save_several(call: Call<'_>) -> Handled {
    let names = call.query.all("names");
    write(call, names).await
}

async fn write(call: Call<'_>, names: Vec<String>) -> Handled {
    // Unknown names have a status of their own: they are found before the first byte is sent.
    let (engine, store) = (Arc::clone(call.engine), call.engine.images.store());
    let wanted = platforms(&call)?;
    let saved = Saved::prepare(store, &names, &wanted, call.version).map_err(failure)?;
    let ids: Vec<Digest> = names.iter().filter_map(|name| store.resolve_id(name).ok()).collect();
    let work = |mut out| async move {
        finished(tokio::task::spawn_blocking(move || saved.write(&mut out)).await)?.map_err(failure)?;
        ids.iter().for_each(|id| engine.images.emit(EventAction::Save, id, &id.to_string()));
        Ok::<(), ApiError>(())
    };
    answer_with(call, &TAR, work).await
}

/// The archive to be written, in the form of the version.
enum Saved {
    Directories(SavedImages),
    Layout(Box<SavedLayout>),
}

impl Saved {
    fn prepare(
        store: &Store,
        names: &[String],
        platforms: &[Platform],
        version: ApiVersion,
    ) -> Result<Self, engine::images::Error> {
        if version.images_are_saved_as_layouts() {
            let layout = store.save_layout(names, platforms)?;
            return Ok(Self::Layout(Box::new(layout)));
        }
        store.save(names).map(Self::Directories)
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), engine::images::Error> {
        match self {
            Self::Directories(saved) => saved.write(out),
            Self::Layout(saved) => saved.write(out),
        }
    }
}

/// The platforms that images must be for; several only since the version that takes them.
fn platforms(call: &Call<'_>) -> Result<Vec<Platform>, ApiError> {
    if !call.version.history_and_archives_have_a_platform() {
        return Ok(Vec::new());
    }
    let wanted = platform::repeated(call)?;
    if wanted.len() > 1 && !call.version.archives_have_several_platforms() {
        return Err(ApiError::bad_request("platform may be given once in this version of the API"));
    }
    Ok(wanted)
}

/// `POST /images/load`
pub(super) async fn load(call: Call<'_>) -> Handled {
    let wanted = platforms(&call)?;
    let engine = Arc::clone(call.engine);
    let work = move |archive| engine.images.store().load_for(archive, &wanted);
    let loaded = with_body_blocking(&mut call.exchange.body, work).await?;
    let loaded = match loaded.map_err(|error| tarball_failure(&error)) {
        Ok(loaded) => loaded,
        // Clients read the stream for what is wrong with an archive. That there is no room for one now is a status.
        Err(failure)
            if call.version.load_is_a_json_stream()
                && failure.status(call.version) != StatusCode::SERVICE_UNAVAILABLE =>
        {
            return answer_lines(call, &stream_error(&failure.to_string(), None)).await;
        }
        Err(failure) => return Err(failure),
    };
    loaded.images.iter().for_each(|id| call.engine.images.emit(EventAction::Load, id, &id.to_string()));
    if call.version.load_is_a_json_stream() {
        if loaded.images.is_empty() {
            return answer_lines(call, &stream_error("the archive holds no image", None)).await;
        }
        let unnamed = loaded.unnamed.iter().map(|id| format!("Loaded image ID: {id}\n"));
        let named = loaded.tags.iter().map(|tag| format!("Loaded image: {tag}\n"));
        let notices = loaded.notices.iter().map(|notice| format!("{notice}\n"));
        let lines = notices.chain(named).chain(unnamed).map(|text| stream_text(&text));
        return answer_lines(call, &lines.collect::<Vec<_>>().concat()).await;
    }
    let notices: String = loaded.notices.iter().map(|notice| format!("{notice}\n")).collect();
    Ok(Reply::Whole(Response::text(StatusCode::OK, notices)))
}

/// Answers with a JSON stream of these lines. It is chunked, as all streams: docker-py takes one with a length for a single
/// document.
async fn answer_lines(call: Call<'_>, lines: &[u8]) -> Handled {
    let (_, output) = call.exchange.begin(StatusCode::OK, &json_fields()).await?;
    output.write(lines).await?;
    output.finish().await?;
    Ok(Reply::Sent)
}
