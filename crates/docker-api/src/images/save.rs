//! Images as tarballs: `GET /images/(name)/get`, `GET /images/get`, `POST /images/load`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode, header};
use model::Digest;

use super::{failure, tarball_failure};
use crate::stream::{answer_with, finished, with_body_blocking};
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
    // Unknown names have their status: they are known before the first byte.
    let (engine, store) = (Arc::clone(call.engine), call.engine.images.store());
    let saved = store.save(&names).map_err(failure)?;
    let ids: Vec<Digest> = names.iter().filter_map(|name| store.resolve_id(name).ok()).collect();
    let work = |mut out| async move {
        finished(tokio::task::spawn_blocking(move || saved.write(&mut out)).await)?.map_err(failure)?;
        ids.iter().for_each(|id| engine.images.emit("save", id, &id.to_string()));
        Ok::<(), ApiError>(())
    };
    answer_with(call, &TAR, work).await
}

/// `POST /images/load`
pub(super) async fn load(call: Call<'_>) -> Handled {
    let engine = Arc::clone(call.engine);
    let work = move |archive| engine.images.store().load(archive);
    let loaded = with_body_blocking(&mut call.exchange.body, work).await?;
    let loaded = loaded.map_err(|error| tarball_failure(&error))?;
    loaded.images.iter().for_each(|id| call.engine.images.emit("load", id, &id.to_string()));
    let notices: String = loaded.notices.iter().map(|notice| format!("{notice}\n")).collect();
    Ok(Reply::Whole(Response::text(StatusCode::OK, notices)))
}
