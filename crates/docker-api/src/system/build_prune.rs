//! `POST /build/prune`: removes what is kept of builds. Steps of classic builds are images, which `POST /images/prune`
//! removes.

use buildkit_api::Pruning;
use engine::builder::{CacheRecord, CacheRoom};
use http::StatusCode;
use model::Timestamp;
use serde::Serialize;

use super::build::failure;
use crate::filters::Filters;
use crate::wire::parse_until;
use crate::{ApiError, Call, Handled, Reply};

/// The filters of cache records. `docker system prune` sends its filters for labels here too: records have none.
const FILTERS: [&str; 10] =
    ["until", "id", "parent", "type", "description", "inuse", "shared", "private", "label", "label!"];

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PruneAnswer {
    /// `null` when empty.
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
    let truth = |name| filters.truth(name).map_err(ApiError::bad_request);
    let states = States { in_use: truth("inuse")?, shared: truth("shared")?, private: truth("private")? };
    let pruning = Pruning {
        room: room(call)?,
        all: call.query.is_true("all"),
        is_meant: Box::new(move |record| {
            states.fit(record)
                && until.is_none_or(|until| was_used_before(record, until))
                && fits(record, &filters)
        }),
    };
    let gone = call.build_kit.prune_cache(pruning).await.map_err(failure)?;
    let names: Vec<_> = gone.iter().map(|record| record.id.clone()).collect();
    let answer = PruneAnswer {
        caches_deleted: (!names.is_empty()).then_some(names),
        space_reclaimed: gone.iter().filter(|record| !record.shared).map(|record| record.size).sum(),
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

/// Required states of records; `None` accepts any.
struct States {
    in_use: Option<bool>,
    shared: Option<bool>,
    private: Option<bool>,
}

impl States {
    fn fit(&self, record: &CacheRecord) -> bool {
        let asked =
            [(self.in_use, record.in_use), (self.shared, record.shared), (self.private, !record.shared)];
        asked.iter().all(|(wanted, is)| wanted.is_none_or(|wanted| wanted == *is))
    }
}

fn was_used_before(record: &CacheRecord, moment: Timestamp) -> bool {
    record.used.is_none_or(|used| used < moment)
}

/// Whether a record has what the filters name.
fn fits(record: &CacheRecord, filters: &Filters) -> bool {
    let has = |name: &str, values: &[&str]| {
        let wanted = filters.values(name);
        wanted.is_empty() || wanted.iter().any(|wanted| values.contains(&wanted.as_str()))
    };
    let parents: Vec<&str> = record.parents.iter().map(String::as_str).collect();
    filters.values("label").is_empty()
        && has("parent", &parents)
        && has("id", &[&record.id])
        && has("type", &[record.kind.name()])
        && has("description", &[&record.description])
}
