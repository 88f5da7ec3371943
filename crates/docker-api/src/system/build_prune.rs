//! `POST /build/prune`: removes the directories of `RUN --mount=type=cache`. A build's steps are images here, which
//! `POST /images/prune` removes.

use std::sync::Arc;

use engine::builder::{CacheMount, CacheRoom};
use http::StatusCode;
use model::Timestamp;
use serde::Serialize;

use super::build::failure;
use super::build_cache::{KIND, description};
use crate::filters::Filters;
use crate::wire::parse_until;
use crate::{ApiError, Call, Handled, Reply};

/// What records of the cache can be chosen by.
const FILTERS: [&str; 8] = ["until", "id", "parent", "type", "description", "inuse", "shared", "private"];

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PruneAnswer {
    /// `null` when there are none.
    caches_deleted: Option<Vec<String>>,
    space_reclaimed: u64,
}

pub(super) async fn prune(call: &Call<'_>) -> Handled {
    let filters =
        Filters::parse_known(call.query.text("filters"), &FILTERS).map_err(ApiError::bad_request)?;
    let until = match filters.values("until") {
        [] => None,
        [moment] => Some(
            parse_until(moment)
                .ok_or_else(|| ApiError::bad_request(format!("invalid filter: 'until'='{moment}'")))?,
        ),
        _ => return Err(ApiError::bad_request("more than one until filter specified".to_owned())),
    };
    let room = room(call)?;
    let engine = Arc::clone(call.engine);
    let work = move || engine.builds.prune_cache_mounts(&room, &|cache| is_meant(cache, &filters, until));
    let gone =
        tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::internal(error.to_string()))?;
    let gone = gone.map_err(failure)?;
    let names: Vec<_> = gone.iter().map(|cache| cache.name.clone()).collect();
    let answer = PruneAnswer {
        caches_deleted: (!names.is_empty()).then_some(names),
        space_reclaimed: gone.iter().map(|cache| cache.size).sum(),
    };
    Reply::json(StatusCode::OK, &answer)
}

/// The bytes that are to be left: `keep-storage` is an older name of `reserved-space`.
fn room(call: &Call<'_>) -> Result<CacheRoom, ApiError> {
    let bytes = |name| {
        let number = call.query.number_if_filled::<i64>(name);
        let number = number.map_err(|error| ApiError::bad_request(error.to_string()))?;
        Ok::<u64, ApiError>(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
    };
    Ok(CacheRoom {
        reserved: bytes("reserved-space")?.max(bytes("keep-storage")?),
        most: bytes("max-used-space")?,
        free: bytes("min-free-space")?,
    })
}

fn is_meant(cache: &CacheMount, filters: &Filters, until: Option<Timestamp>) -> bool {
    let has = |name: &str, value: &str| {
        let wanted = filters.values(name);
        wanted.is_empty() || wanted.iter().any(|wanted| wanted == value)
    };
    let truth = |value: bool| if value { "true" } else { "false" };
    // A record here has no parent, and belongs to no other record.
    filters.values("parent").is_empty()
        && has("id", &cache.name)
        && has("type", KIND)
        && has("description", &description(cache))
        && has("inuse", truth(cache.in_use))
        && has("shared", truth(false))
        && has("private", truth(true))
        && until.is_none_or(|until| cache.used.is_none_or(|used| Timestamp::from(used) < until))
}
